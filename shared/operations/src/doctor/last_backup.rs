//! Compares the source with its last backup, because a misspelt or wiped database is readable too.

use holdfast_domain::BackupType;
use holdfast_repository::{SourceName, StoredBackup, amount_stored, newest_filled, sources_of};

use super::{Finding, Health};

const PART: &str = "last backup";

/// The current content of the source.
#[derive(Debug, Clone, Copy)]
pub(super) struct Holds<'a> {
    /// Without credentials.
    pub(super) uri: &'a str,
    /// Approximate number of documents.
    pub(super) documents: u64,
}

/// No finding if the repository has no backup to compare with.
pub(super) fn compare(source: Holds<'_>, stored: &[StoredBackup]) -> Vec<Finding> {
    let Some(last) = newest_filled(stored, BackupType::Database) else {
        return Vec::new();
    };
    let (name, held) = (SourceName::from_uri(source.uri), amount_stored(last).0);
    let known = sources_of(stored, BackupType::Database);
    if !known.iter().any(|known| known.is_same(&name)) {
        let known: Vec<String> = known.iter().map(ToString::to_string).collect();
        let found = format!(
            "{name} was never backed up to this repository. It has backups of {}",
            known.join(", ")
        );
        return vec![Finding::warning(
            PART,
            found,
            "check MONGODB_URI, or use a separate repository",
        )];
    }
    let now = source.documents;
    let found = format!(
        "{} holds {held} documents, the source about {now}",
        last.backup_id
    );
    let advice = "check for a deletion by mistake, and check the database in MONGODB_URI";
    vec![match (now, now < held / 2) {
        (0, _) => Finding {
            health: Health::Bad,
            ..Finding::warning(PART, found, advice)
        },
        (_, true) => Finding::warning(PART, found, advice),
        (_, false) => Finding::good(PART, found),
    }]
}
