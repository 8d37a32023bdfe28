//! The vocabulary of Holdfast: ids, store keys, settings, jobs, manifests. Pure: no I/O, no clock,
//! no randomness.

mod connection_string;
mod content;
mod copy;
mod deletion;
mod digest;
mod drill;
pub mod heartbeat;
mod id;
mod item;
mod job;
mod key;
mod loss;
mod manifest;
mod repository;
mod retention;
mod secret;
pub mod settings;
mod status;

pub use connection_string::{ConnectionString, MAX_IDLE_TIME};
pub use content::{ContentWordError, HostState, ItemFailureCode, StorageType, Validator, Verified};
pub use copy::{CopyStatus, JobCopy};
pub use deletion::{DeletionCause, JobDeletion};
pub use digest::{HexError, Sha256Digest};
pub use drill::DrilledCollection;
pub use id::{BackupId, BackupType, IdError, RepositoryId};
pub use item::{
    ContentItem, DownloadMessage, ItemCounts, ItemFailure, ItemRecord, ItemStatus, StoredFile,
    StoredObject, file_name,
};
pub use jiff::Timestamp;
pub use job::{
    Consistency, EngineInfo, FailureCode, Job, JobFailure, JobVerification, NamespaceCount,
    Progress, Trigger, TriggerKind, VerificationLevel, VerificationStatus,
};
pub use key::{Encoding, KeyError, ObjectKey};
pub use manifest::{
    Artifact, Compression, ContentManifest, Encryption, FORMAT_VERSION, MAX_MANIFEST_BYTES,
    Manifest, ManifestError, ManifestFile, NamespaceManifest, SEGMENT_BYTES, Source,
};
pub use repository::{KeyEpoch, RepositoryFile, WrappedKey};
pub use retention::{
    DEFAULT_MAX_COUNT, DEFAULT_MIN_COUNT, PolicyError, RetentionCandidate, RetentionDecision,
    RetentionPolicy, RetentionReason, RetentionVerdict, Standing, plan_retention,
};
pub use secret::Secret;
pub use status::JobStatus;
