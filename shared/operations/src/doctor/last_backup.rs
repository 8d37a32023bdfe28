//! The source against the last backup of it: a misspelt or wiped database can be read very well.

use holdfast_domain::BackupType;

use super::{Finding, Health};
use holdfast_repository::{SourceName, StoredBackup, amount_held, newest_filled, sources_of};

const PART: &str = "last backup";

/// What the source holds now.
#[derive(Debug, Clone, Copy)]
pub(super) struct Holds<'a> {
    /// Without credentials.
    pub(super) uri: &'a str,
    /// About how many documents.
    pub(super) documents: u64,
}

/// Nothing if the repository has no backup to compare with.
pub(super) fn compare(source: Holds<'_>, stored: &[StoredBackup]) -> Vec<Finding> {
    let Some(last) = newest_filled(stored, BackupType::Database) else { return Vec::new() };
    let (name, held) = (SourceName::from_uri(source.uri), amount_held(last).0);
    let known = sources_of(stored, BackupType::Database);
    if !known.iter().any(|known| known.is_same(&name)) {
        let known: Vec<String> = known.iter().map(ToString::to_string).collect();
        let found = format!("{name} was never backed up to this repository, which has backups of {}", known.join(", "));
        return vec![Finding::warning(PART, found, "check MONGODB_URI, or name a repository of its own")];
    }
    let now = source.documents;
    let found = format!("{} holds {held} documents, the source about {now}", last.backup_id);
    let advice = "check that nothing was deleted by mistake, and that MONGODB_URI names the right database";
    vec![match (now, now < held / 2) {
        (0, _) => Finding { health: Health::Bad, ..Finding::warning(PART, found, advice) },
        (_, true) => Finding::warning(PART, found, advice),
        (_, false) => Finding::good(PART, found),
    }]
}
