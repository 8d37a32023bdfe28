//! The shape of an export's answer.

use utoipa::ToSchema;

/// An export that is in the store.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct Export {
    /// Where it is in the store: `exports/backup_metadata_<unix ms>.json`.
    key: String,
    /// Its bytes.
    size: u64,
    /// SHA-256 of them.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    checksum: String,
    /// When it was begun.
    #[schema(format = DateTime)]
    created_at: String,
    /// Jobs in it.
    jobs: u64,
    /// Verifications in it.
    verifications: u64,
    /// Rows of the catalogue that could not be read: it names them.
    unreadable: u64,
    /// Where it can be fetched without a token; none where the store makes no links.
    link: Option<ExportLink>,
    /// Why there is no link.
    #[schema(required = false)]
    reason: Option<String>,
}

/// Where an export can be fetched without a token, for a quarter of an hour.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct ExportLink {
    /// The address: whoever has it reads the export.
    url: String,
    /// When it ends, at the latest: it ends with the credentials of the function that signed it, where those end sooner.
    #[schema(format = DateTime)]
    expires_at: String,
}
