//! `GET /list`: backups in the store, from the manifests only. It works without MongoDB, which may
//! be lost.

use std::sync::Arc;

use axum::extract::State;
use holdfast_domain::{
    Artifact, BackupId, BackupType, ItemCounts, Manifest, ObjectKey, Sha256Digest, Timestamp,
};
use holdfast_repository::StoredBackup;
use serde::Serialize;
use utoipa::ToSchema;

use super::page::{Pagination, page_of};
use crate::{
    answer::{Answer, Failure},
    host::Host,
    request::PageQuery,
};

/// Backups in the store, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Listing {
    /// Database backups, one entry per artifact.
    database: Vec<Entry>,
    /// Content backups, one entry per artifact.
    content: Vec<Entry>,
    /// Position of this page among all backups, database and content together.
    pagination: Pagination,
}

/// A stored artifact, or an unreadable manifest.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Entry {
    /// ID of the backup.
    #[schema(value_type = String)]
    backup_id: BackupId,
    /// Last segment of the key.
    filename: String,
    /// Key in the store.
    #[schema(value_type = String)]
    key: ObjectKey,
    #[serde(flatten)]
    content: Content,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
enum Content {
    Readable(Readable),
    Unreadable(Unreadable),
}

/// Facts about an artifact, from the manifest.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Readable {
    /// Bytes stored.
    size: u64,
    /// Bytes of the whole backup before compression and encryption.
    original_size: u64,
    /// When the backup was triggered.
    created: Timestamp,
    /// SHA-256 of the stored bytes.
    #[schema(value_type = String, pattern = "^[0-9a-f]{64}$")]
    checksum: Sha256Digest,
    /// Whether the artifact is compressed.
    compressed: bool,
    /// Whether the artifact is encrypted.
    encrypted: bool,
    /// Whether the manifest was authenticated. Always `false`: this call has no key, so the entry
    /// shows the manifest as stored. Verification and restore authenticate the manifest of an
    /// encrypted backup. The manifest of an unencrypted backup cannot be authenticated.
    authenticated: bool,
    /// The source of the backup: the connection string without credentials and options.
    source: String,
    #[serde(flatten)]
    inside: Inside,
}

/// Contents of a backup.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
enum Inside {
    Database {
        /// Number of collections, views and time series in the backup.
        namespaces: usize,
        /// Number of documents in the backup.
        documents: u64,
    },
    Content {
        /// Item counts of the backup.
        items: ItemCounts,
    },
}

/// A backup with an unreadable manifest.
#[derive(Debug, Serialize, ToSchema)]
struct Unreadable {
    /// Why the manifest cannot be read.
    error: String,
}

/// Lists the backups in the store from their manifests. This call does not authenticate manifests.
/// Verification and restore do.
#[utoipa::path(
    get,
    path = "/api/backups/list",
    operation_id = "listStored",
    params(
        ("page" = Option<u32>, Query, minimum = 1, description = "Page number, counted from 1. Default 1"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 1000, description = "Backups per page. Default 500")
    ),
    responses((status = 200, description = "One page of backups", body = Answer<Listing>))
)]
pub(crate) async fn list(
    State(host): State<Arc<dyn Host>>,
    PageQuery { page, limit }: PageQuery<500, 1000>,
) -> Result<Answer<Listing>, Failure> {
    let repository = host.repository().await?;
    let mut ids = repository.backup_ids().await?;
    // A parent stores nothing itself.
    ids.retain(|id| id.backup_type() != BackupType::Full);
    let (ids, pagination) = page_of(ids, page, limit);
    let mut listing = Listing {
        database: Vec::new(),
        content: Vec::new(),
        pagination,
    };
    for (kind, entries) in repository
        .read_each(ids, |backup| {
            (backup.backup_id.backup_type(), entries(backup))
        })
        .await
    {
        match kind {
            BackupType::Database => listing.database.extend(entries),
            BackupType::Content | BackupType::Full => listing.content.extend(entries),
        }
    }
    Ok(Answer::new(listing))
}

fn entries(backup: StoredBackup) -> Vec<Entry> {
    let id = backup.backup_id;
    match backup.manifest {
        Ok(manifest) => manifest
            .artifacts
            .iter()
            .map(|artifact| readable(&id, &manifest, artifact))
            .collect(),
        Err(error) => {
            vec![entry(
                &id,
                ObjectKey::manifest(&id),
                Content::Unreadable(Unreadable { error }),
            )]
        }
    }
}

fn readable(id: &BackupId, manifest: &Manifest, artifact: &Artifact) -> Entry {
    let content = Readable {
        size: artifact.size,
        original_size: manifest.original_size,
        created: manifest.created_at,
        checksum: artifact.sha256,
        compressed: manifest.compression.is_some(),
        encrypted: manifest.encryption.is_some(),
        authenticated: false,
        source: manifest.source.uri.clone(),
        inside: match &manifest.content {
            Some(content) => Inside::Content {
                items: content.items,
            },
            None => Inside::Database {
                namespaces: manifest.namespaces.len(),
                documents: manifest
                    .namespaces
                    .iter()
                    .map(|namespace| namespace.documents)
                    .sum(),
            },
        },
    };
    entry(id, artifact.key.clone(), Content::Readable(content))
}

fn entry(id: &BackupId, key: ObjectKey, content: Content) -> Entry {
    Entry {
        backup_id: id.clone(),
        filename: key.file_name().to_owned(),
        key,
        content,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_manifest_that_cannot_be_read_is_listed_as_such() {
        let backup_id: BackupId = "db_1_a".parse().unwrap();
        let entries = entries(StoredBackup {
            backup_id,
            manifest: Err("it is cut".to_owned()),
        });
        assert_eq!(
            json!(entries),
            json!([{
                "backupId": "db_1_a", "filename": "manifest.json", "key": "database/db_1_a/manifest.json",
                "error": "it is cut"
            }])
        );
    }
}
