//! Whether a manifest has room for the planned dump. The names are known before the first byte is
//! read. All other fields and digests only make the manifest larger, so names above the limit are
//! refused at once.

use holdfast_archive::MAX_NAMESPACES;
use holdfast_domain::{MAX_MANIFEST_BYTES, NamespaceManifest, Sha256Digest};

use crate::OperationError;

/// Refuses namespaces if their names alone exceed the size of a manifest.
pub(super) fn check_manifest_limit<'a>(
    namespaces: impl Iterator<Item = (&'a str, &'a str, &'a [String])>,
) -> Result<(), OperationError> {
    let (mut count, mut bytes) = (0, 0);
    for (db, collection, indexes) in namespaces {
        count += 1;
        bytes += min_bytes(db, collection, indexes)?;
    }
    if count > MAX_NAMESPACES {
        return Err(OperationError::DumpNotWhole(format!(
            "{count} namespaces are to be dumped, and an archive holds {MAX_NAMESPACES}: exclude collections by \
             BACKUP_DATABASE_EXCLUDE_COLLECTIONS, or back up one database at a time"
        )));
    }
    if bytes > MAX_MANIFEST_BYTES as u64 {
        return Err(OperationError::ManifestTooLarge {
            bytes,
            namespaces: count,
            segments: 0,
        });
    }
    Ok(())
}

/// Size of an empty namespace in a manifest, in bytes.
fn min_bytes(db: &str, collection: &str, indexes: &[String]) -> Result<u64, OperationError> {
    let least = NamespaceManifest {
        db: db.to_owned(),
        collection: collection.to_owned(),
        kind: "view".to_owned(),
        documents: 0,
        bytes: 0,
        content_hash: Sha256Digest::new([0; 32]),
        indexes: indexes.to_vec(),
        rolled_over: false,
    };
    let json = serde_json::to_string(&least)
        .map_err(|error| OperationError::internal("measure a manifest", &error))?;
    Ok(json.len() as u64)
}

#[cfg(test)]
mod tests {
    use holdfast_domain::FailureCode;

    use super::*;

    fn fits(count: usize, collection: &str, indexes: &[String]) -> Result<(), OperationError> {
        check_manifest_limit((0..count).map(|_| ("platform", collection, indexes)))
    }

    #[test]
    fn a_hundred_thousand_namespaces_with_long_names_fit() {
        let indexes = ["_id_".to_owned()];
        assert!(fits(100_000, &"c".repeat(150), &indexes).is_ok());
    }

    #[test]
    fn more_namespaces_than_an_archive_holds_are_refused_before_anything_is_read() {
        let error = fits(100_001, "c", &[]).unwrap_err();
        assert_eq!(error.code(), FailureCode::DumpRefused);
        let message = error.failure().message;
        assert!(
            message.contains("100001") && message.contains("BACKUP_DATABASE_EXCLUDE_COLLECTIONS"),
            "{message}"
        );
    }

    #[test]
    fn more_names_than_a_manifest_holds_are_refused_before_anything_is_read() {
        let indexes: Vec<String> = (0..64)
            .map(|index| format!("index_{index}_{}", "x".repeat(100)))
            .collect();
        let error = fits(10_000, "c", &indexes).unwrap_err();
        assert_eq!(error.code(), FailureCode::DumpRefused);
        let failure = error.failure();
        assert!(failure.message.contains("10000 namespaces"), "{failure:?}");
        assert!(
            failure
                .hint
                .unwrap()
                .contains("BACKUP_DATABASE_EXCLUDE_COLLECTIONS")
        );
    }
}
