//! The schema of the answer to an export.

use utoipa::ToSchema;

/// A stored export.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct Export {
    /// Key in the store: `exports/backup_metadata_<unix ms>.json`.
    key: String,
    /// Size in bytes.
    size: u64,
    /// SHA-256 of the export.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    checksum: String,
    /// When the export started.
    #[schema(format = DateTime)]
    created_at: String,
    /// Number of exported jobs.
    jobs: u64,
    /// Number of exported verifications.
    verifications: u64,
    /// Number of unreadable catalogue rows. The export names them.
    unreadable: u64,
    /// Link that needs no token. Null if the store supports no links.
    link: Option<ExportLink>,
    /// Why there is no link.
    #[schema(required = false)]
    reason: Option<String>,
}

/// Link to an export that needs no token and is valid for at most 15 minutes.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct ExportLink {
    /// The URL. Anyone with this URL can read the export.
    url: String,
    /// When the link expires at the latest. It expires earlier if the credentials of the signing
    /// function do.
    #[schema(format = DateTime)]
    expires_at: String,
}
