//! A job: one backup's row in the catalogue, and its shape in the API.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{BackupId, BackupType, ItemCounts, JobCopy, JobDeletion, JobStatus, ObjectKey, Sha256Digest};

/// Why a backup was begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trigger {
    /// By the clock or by a person.
    pub kind: TriggerKind,
    /// Who: a token's subject, an operator's login, a schedule's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// By the clock or by a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TriggerKind {
    /// An EventBridge schedule.
    Schedule,
    /// A call of the API or of the command line.
    Manual,
}

/// What wrote the dump.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineInfo {
    /// `native` or `mongodump`.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// At which moment the documents of a dump stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Consistency {
    /// Each collection was read by its own cursor; writes made meanwhile may be in one and not in another.
    PerCollection,
}

/// How many documents of a namespace a backup holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamespaceCount {
    /// `database.collection`.
    pub namespace: String,
    /// Documents.
    pub documents: u64,
}

impl NamespaceCount {
    /// The most namespaces that a job's row lists. The manifest lists all of them.
    pub const MAX_LISTED: usize = 1000;

    /// At most [`NamespaceCount::MAX_LISTED`] namespaces: those with the most documents, in their order.
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

/// How far a running backup is. Overwritten at each beat.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// Bytes of the archive that were read from the engine.
    pub bytes_read: u64,
    /// The server's own estimate of what there is to read.
    pub bytes_expected: u64,
    /// Bytes handed to the store.
    pub bytes_stored: u64,
}

/// How deep a verification went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VerificationLevel {
    /// Manifest and every artifact there, with the right size.
    Exists,
    /// All bytes read, SHA-256 and MAC as in the manifest.
    Checksum,
    /// Decrypted, unzipped, walked: every namespace, count and content hash as in the manifest.
    Structure,
    /// Restored into scratch databases of a server, compared, and dropped again. Of database backups alone.
    Drill,
}

impl VerificationLevel {
    /// Every level, from the shallowest on.
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

/// What a verification found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VerificationStatus {
    /// Everything as it should be.
    Passed,
    /// Something is wrong.
    Failed,
}

/// The newest verification of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobVerification {
    /// How deep it went.
    pub level: VerificationLevel,
    /// What it found.
    pub status: VerificationStatus,
    /// When.
    pub at: Timestamp,
}

/// The kinds of failure, by what an operator can do about them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureCode {
    /// Settings are wrong or missing.
    ConfigInvalid,
    /// The database server could not be reached.
    SourceUnreachable,
    /// The database server refused the login or the right to read.
    SourceDenied,
    /// The database server went away during the dump.
    SourceLost,
    /// The database could not be dumped faithfully.
    DumpRefused,
    /// The store refused.
    StoreDenied,
    /// The store could not be reached, or kept failing.
    StoreUnavailable,
    /// There is no room left in the store.
    StoreFull,
    /// What the store holds is not what was sent.
    StoreCorrupt,
    /// The repository's keys are missing, or open nothing.
    Encryption,
    /// The function's time ran out.
    Deadline,
    /// The run stopped beating.
    Stalled,
    /// Nobody took the job over.
    NotStarted,
    /// Another run holds the lease now.
    LeaseLost,
    /// More items failed than `BACKUP_CONTENT_MAX_FAILURE_PERCENT` allows.
    TooManyFailures,
    /// A part of a full backup failed.
    PartFailed,
    /// A fault of Holdfast's own.
    Internal,
}

impl FailureCode {
    /// The word used in the API and the catalogue.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ConfigInvalid => "config-invalid",
            Self::SourceUnreachable => "source-unreachable",
            Self::SourceDenied => "source-denied",
            Self::SourceLost => "source-lost",
            Self::DumpRefused => "dump-refused",
            Self::StoreDenied => "store-denied",
            Self::StoreUnavailable => "store-unavailable",
            Self::StoreFull => "store-full",
            Self::StoreCorrupt => "store-corrupt",
            Self::Encryption => "encryption",
            Self::Deadline => "deadline",
            Self::Stalled => "stalled",
            Self::NotStarted => "not-started",
            Self::LeaseLost => "lease-lost",
            Self::TooManyFailures => "too-many-failures",
            Self::PartFailed => "part-failed",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for FailureCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a job failed. No secret is ever in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobFailure {
    /// The kind of failure.
    pub code: FailureCode,
    /// What failed, on what, and why.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl JobFailure {
    /// The longest message of a failure, in characters. Rows, events and answers hold many of them.
    pub const MAX_MESSAGE: usize = 4000;

    /// The failure, with the message cut to [`JobFailure::MAX_MESSAGE`].
    #[must_use]
    pub fn new(code: FailureCode, mut message: String, hint: Option<&str>) -> Self {
        if let Some((end, _)) = message.char_indices().nth(Self::MAX_MESSAGE) {
            message.truncate(end);
            message.push('…');
        }
        Self { code, message, hint: hint.map(str::to_owned) }
    }
}

/// One backup's row in the catalogue, and its shape in the API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Job {
    /// The backup's id.
    pub backup_id: BackupId,
    /// What it holds.
    #[serde(rename = "type")]
    pub backup_type: BackupType,
    /// Where it stands.
    pub status: JobStatus,
    /// Why it was begun.
    pub trigger: Trigger,
    /// The `full` backup it is part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<BackupId>,
    /// Fencing number of the run that holds, or held, the lease: 0 before the first.
    #[serde(default)]
    pub fence: u64,
    /// What wrote the dump.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<EngineInfo>,
    /// At which moment its documents stand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consistency: Option<Consistency>,
    /// When it was triggered.
    pub created_at: Timestamp,
    /// When a run first took it over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it was settled, well or badly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Timestamp>,
    /// From `startedAt` to `completedAt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// Bytes of the archive before compression and encryption.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original_size: Option<u64>,
    /// Bytes stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Whether it is compressed.
    pub compressed: bool,
    /// Whether it is encrypted.
    pub encrypted: bool,
    /// SHA-256 of the artifact as stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<Sha256Digest>,
    /// Where the artifact is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<ObjectKey>,
    /// What is inside a database backup: at most [`NamespaceCount::MAX_LISTED`] namespaces. Lists of jobs leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespaces: Option<Vec<NamespaceCount>>,
    /// How many namespaces a database backup holds, listed or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_count: Option<u64>,
    /// How many documents a database backup holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_count: Option<u64>,
    /// The last write that the member read had applied when the dump began, if the server reports it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_write_at: Option<Timestamp>,
    /// Seconds that this member was behind at that moment: 0 for a primary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag_seconds: Option<u64>,
    /// The items of a content backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<ItemCounts>,
    /// How far a running backup is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// Its newest verification.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verification: Option<JobVerification>,
    /// Its copy in the second store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy: Option<JobCopy>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<JobFailure>,
    /// When retention found that its manifest is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost_at: Option<Timestamp>,
    /// The decision to delete it. A `deleted` job of an older version has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion: Option<JobDeletion>,
    /// Said where nothing was wrong and something is worth knowing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What a person must look at though the backup is complete. The message says it too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

impl Job {
    /// A job that was just triggered.
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

    /// Whether its manifest is missing and no deletion was decided. Everything that it may name must stay.
    ///
    /// An older version wrote no decision: there, the error `store-corrupt` means lost.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        let is_corrupt = self.error.as_ref().is_some_and(|error| error.code == FailureCode::StoreCorrupt);
        self.status == JobStatus::Deleted && self.deletion.is_none() && is_corrupt
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fullest_namespaces_are_listed_in_their_order() {
        let count =
            |index: usize| NamespaceCount { namespace: format!("db.c{index}"), documents: u64::from(index % 2 == 1) };
        let few: Vec<_> = (0..NamespaceCount::MAX_LISTED).map(count).collect();
        assert_eq!(NamespaceCount::listed(few.clone()), few);
        let many: Vec<_> = (0..NamespaceCount::MAX_LISTED * 2).map(count).collect();
        let filled: Vec<_> = many.iter().filter(|one| one.documents > 0).cloned().collect();
        assert_eq!(NamespaceCount::listed(many), filled);
    }

    #[test]
    fn the_message_of_a_failure_is_cut_between_characters() {
        let failure = |length| JobFailure::new(FailureCode::Internal, "é".repeat(length), Some("retry"));
        assert_eq!(failure(JobFailure::MAX_MESSAGE).message, "é".repeat(JobFailure::MAX_MESSAGE));
        assert_eq!(failure(1_000_000).message.chars().count(), JobFailure::MAX_MESSAGE + 1);
        assert_eq!(failure(1).hint.as_deref(), Some("retry"));
    }

    #[test]
    fn a_job_is_read_as_it_is_written() {
        let at = Timestamp::from_millisecond(1_700_000_000_000).unwrap();
        let trigger = Trigger { kind: TriggerKind::Manual, by: Some("ada".to_owned()) };
        let job = Job::pending(BackupId::new(BackupType::Database, at, [1, 2, 3, 4]), trigger, at);
        let text = serde_json::to_string(&job).unwrap();
        assert!(
            text.contains(r#""backupId":"db_1700000000000_01020304","type":"database","status":"pending""#),
            "{text}"
        );
        assert_eq!(serde_json::from_str::<Job>(&text).unwrap(), job);
    }

    #[test]
    fn a_deleted_job_is_lost_if_it_is_store_corrupt_and_no_deletion_was_decided() {
        use crate::DeletionCause::{AcceptedLoss, Retention};
        let at = Timestamp::UNIX_EPOCH;
        let id = BackupId::new(BackupType::Database, at, [0; 4]);
        let pending = Job::pending(id, Trigger { kind: TriggerKind::Manual, by: None }, at);
        let decided = |cause| Some(JobDeletion { cause, decided_at: at, by: None });
        let corrupt = Some(FailureCode::StoreCorrupt);
        for (status, code, deletion, is_lost) in [
            (JobStatus::Deleted, corrupt, None, true),
            (JobStatus::Deleted, corrupt, decided(Retention), false),
            (JobStatus::Deleted, corrupt, decided(AcceptedLoss), false),
            (JobStatus::Deleted, None, None, false),
            (JobStatus::Deleted, None, decided(Retention), false),
            (JobStatus::Deleted, Some(FailureCode::Stalled), None, false),
            (JobStatus::Failed, corrupt, None, false),
            (JobStatus::Completed, None, None, false),
        ] {
            let error = code.map(|code| JobFailure { code, message: String::new(), hint: None });
            let job = Job { status, error, deletion, ..pending.clone() };
            assert_eq!(job.is_lost(), is_lost, "{job:?}");
        }
    }
}
