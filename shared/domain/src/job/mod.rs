//! A job: one backup's row in the catalogue, and its shape in the API.

mod failure;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::failure::{FailureCode, JobFailure};
use crate::{
    BackupId, BackupType, Encoding, ItemCounts, JobCopy, JobDeletion, JobStatus, ObjectKey,
    Sha256Digest,
};

/// The trigger of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trigger {
    /// A schedule or a person.
    pub kind: TriggerKind,
    /// The subject of the token, the login of the operator, or the name of the schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// A schedule or a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TriggerKind {
    /// An EventBridge schedule.
    Schedule,
    /// A call of the API or of the command line.
    Manual,
}

/// The engine of the dump.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineInfo {
    /// `native` or `mongodump`.
    pub name: String,
    /// Version of the engine.
    pub version: String,
}

/// Consistency of the documents in a dump.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Consistency {
    /// Each collection is read by its own cursor. Writes during the dump may be in one collection
    /// and not in another.
    PerCollection,
}

/// Number of documents of a namespace in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamespaceCount {
    /// `database.collection`.
    pub namespace: String,
    /// Number of documents.
    pub documents: u64,
}

impl NamespaceCount {
    /// Maximum number of namespaces in a job's row. The manifest lists all namespaces.
    pub const MAX_LISTED: usize = 1000;

    /// The [`NamespaceCount::MAX_LISTED`] namespaces with the most documents, in their original
    /// order.
    #[must_use]
    pub fn listed(all: Vec<Self>) -> Vec<Self> {
        if all.len() <= Self::MAX_LISTED {
            return all;
        }
        let mut places: Vec<usize> = (0..all.len()).collect();
        places.sort_by_key(|place| (std::cmp::Reverse(all[*place].documents), *place));
        places.truncate(Self::MAX_LISTED);
        places.sort_unstable();
        let mut kept = places.into_iter().peekable();
        let is_kept = |(place, one): (usize, Self)| kept.next_if_eq(&place).map(|_| one);
        all.into_iter().enumerate().filter_map(is_kept).collect()
    }
}

/// Progress of a running backup. Each heartbeat overwrites it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// Bytes of the archive read from the engine.
    pub bytes_read: u64,
    /// The server's own estimate of the bytes to read.
    pub bytes_expected: u64,
    /// Bytes sent to the store.
    pub bytes_stored: u64,
}

/// Level of a verification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VerificationLevel {
    /// The manifest and every artifact exist with the right size.
    Exists,
    /// All bytes are read. SHA-256 and MAC equal the manifest.
    Checksum,
    /// The backup is decrypted and decompressed. Every namespace, count and content hash equals the
    /// manifest.
    Structure,
    /// The backup is restored into scratch databases, compared, and dropped. Only for database
    /// backups.
    Drill,
}

impl VerificationLevel {
    /// All levels, from the least to the most thorough.
    pub const ALL: [Self; 4] = [Self::Exists, Self::Checksum, Self::Structure, Self::Drill];

    /// The word used on the command line and in the catalogue.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exists => "exists",
            Self::Checksum => "checksum",
            Self::Structure => "structure",
            Self::Drill => "drill",
        }
    }
}

/// Result of a verification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VerificationStatus {
    /// No problem was found.
    Passed,
    /// At least one problem was found.
    Failed,
}

/// The newest verification of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobVerification {
    /// Level of the verification.
    pub level: VerificationLevel,
    /// Result of the verification.
    pub status: VerificationStatus,
    /// Time of the verification.
    pub at: Timestamp,
}

/// One backup's row in the catalogue, and its shape in the API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Job {
    /// ID of the backup.
    pub backup_id: BackupId,
    /// Type of the backup.
    #[serde(rename = "type")]
    pub backup_type: BackupType,
    /// State of the job.
    pub status: JobStatus,
    /// The trigger of the backup.
    pub trigger: Trigger,
    /// ID of the `full` backup around this backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<BackupId>,
    /// Fencing number of the current or last run that held the lease. 0 before the first run.
    #[serde(default)]
    pub fence: u64,
    /// The engine of the dump.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<EngineInfo>,
    /// Consistency of the documents in the dump.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consistency: Option<Consistency>,
    /// When the backup was triggered.
    pub created_at: Timestamp,
    /// When the first run of the backup started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When the job reached a final state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Timestamp>,
    /// Milliseconds from `startedAt` to `completedAt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// Bytes of the archive before compression and encryption.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original_size: Option<u64>,
    /// Bytes stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Whether the backup is compressed.
    pub compressed: bool,
    /// Whether the backup is encrypted.
    pub encrypted: bool,
    /// SHA-256 of the artifact as stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<Sha256Digest>,
    /// Key of the artifact in the store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<ObjectKey>,
    /// Namespaces of a database backup, at most [`NamespaceCount::MAX_LISTED`]. Lists of jobs omit
    /// them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespaces: Option<Vec<NamespaceCount>>,
    /// Number of namespaces in a database backup, listed or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_count: Option<u64>,
    /// Number of documents in a database backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_count: Option<u64>,
    /// Time of the last write applied by the source member at the start of the dump, if the server
    /// reports it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_write_at: Option<Timestamp>,
    /// Replication lag of the source member at that time, in seconds. 0 for a primary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag_seconds: Option<u64>,
    /// Item counts of a content backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<ItemCounts>,
    /// Progress of a running backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// The newest verification of the backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verification: Option<JobVerification>,
    /// The copy of the backup in the second store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy: Option<JobCopy>,
    /// Why the job failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<JobFailure>,
    /// Time at which retention found the manifest missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost_at: Option<Timestamp>,
    /// The decision to delete the backup. Absent in `deleted` jobs of an older version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion: Option<JobDeletion>,
    /// Informational note on a successful job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Problems of a complete backup that need a person's attention. The message contains them
    /// too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

impl Job {
    /// Creates the job of a new trigger.
    #[must_use]
    pub fn pending(backup_id: BackupId, trigger: Trigger, created_at: Timestamp) -> Self {
        Self {
            backup_type: backup_id.backup_type(),
            backup_id,
            status: JobStatus::Pending,
            trigger,
            parent_id: None,
            fence: 0,
            engine: None,
            consistency: None,
            created_at,
            started_at: None,
            completed_at: None,
            duration_ms: None,
            original_size: None,
            size: None,
            compressed: false,
            encrypted: false,
            checksum: None,
            key: None,
            namespaces: None,
            namespace_count: None,
            document_count: None,
            last_write_at: None,
            lag_seconds: None,
            items: None,
            progress: None,
            verification: None,
            copy: None,
            error: None,
            lost_at: None,
            deletion: None,
            message: None,
            warnings: Vec::new(),
        }
    }

    /// The encoding of its artifacts.
    #[must_use]
    pub const fn encoding(&self) -> Encoding {
        Encoding {
            compressed: self.compressed,
            encrypted: self.encrypted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fullest_namespaces_are_listed_in_their_order() {
        let count = |index: usize| NamespaceCount {
            namespace: format!("db.c{index}"),
            documents: u64::from(index % 2 == 1),
        };
        let few: Vec<_> = (0..NamespaceCount::MAX_LISTED).map(count).collect();
        assert_eq!(NamespaceCount::listed(few.clone()), few);
        let many: Vec<_> = (0..NamespaceCount::MAX_LISTED * 2).map(count).collect();
        let filled: Vec<_> = many
            .iter()
            .filter(|one| one.documents > 0)
            .cloned()
            .collect();
        assert_eq!(NamespaceCount::listed(many), filled);
    }

    #[test]
    fn the_message_of_a_failure_is_cut_between_characters() {
        let failure =
            |length| JobFailure::new(FailureCode::Internal, "é".repeat(length), Some("retry"));
        assert_eq!(
            failure(JobFailure::MAX_MESSAGE).message,
            "é".repeat(JobFailure::MAX_MESSAGE)
        );
        assert_eq!(
            failure(1_000_000).message.chars().count(),
            JobFailure::MAX_MESSAGE + 1
        );
        assert_eq!(failure(1).hint.as_deref(), Some("retry"));
    }

    #[test]
    fn a_job_is_read_as_it_is_written() {
        let at = Timestamp::from_millisecond(1_700_000_000_000).unwrap();
        let trigger = Trigger {
            kind: TriggerKind::Manual,
            by: Some("ada".to_owned()),
        };
        let job = Job::pending(
            BackupId::new(BackupType::Database, at, [1, 2, 3, 4]),
            trigger,
            at,
        );
        let text = serde_json::to_string(&job).unwrap();
        assert!(
            text.contains(
                r#""backupId":"db_1700000000000_01020304","type":"database","status":"pending""#
            ),
            "{text}"
        );
        assert_eq!(serde_json::from_str::<Job>(&text).unwrap(), job);
    }
}
