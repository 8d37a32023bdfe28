//! The words Holdfast is spoken in: ids, store keys, settings, jobs, manifests. Pure: no I/O, no clock, no randomness.

mod digest;
mod id;
mod job;
mod key;
mod manifest;
mod repository;
mod secret;
pub mod settings;
mod status;

pub use digest::{HexError, Sha256Digest};
pub use id::{BackupId, BackupType, IdError, RepositoryId};
pub use jiff::Timestamp;
pub use job::{
    Consistency, EngineInfo, FailureCode, Job, JobFailure, JobVerification, NamespaceCount, Progress, Trigger,
    TriggerKind, VerificationLevel, VerificationStatus,
};
pub use key::{KeyError, ObjectKey};
pub use manifest::{
    Artifact, Compression, Encryption, FORMAT_VERSION, Manifest, ManifestError, ManifestFile, NamespaceManifest,
    SEGMENT_BYTES, Source,
};
pub use repository::{KeyEpoch, RepositoryFile, WrappedKey};
pub use secret::Secret;
pub use status::JobStatus;
