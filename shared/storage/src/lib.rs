//! The store: S3, streamed both ways, every byte checked on its way in.
//! Keys are relative to the repository's root; memory is bounded by a few parts. Knows nothing of backups.

mod azure;
mod body;
mod checksum;
mod clock;
mod directory;
mod error;
mod proof;
mod read;
mod retry;
mod s3;
mod store;
pub mod upload;

pub use azure::{AzureKey, AzureStore};
pub use checksum::{Checksum, CompositeDigest};
pub use directory::DirectoryStore;
pub use error::StoreError;
pub use read::{ByteReader, read_all};
pub use retry::RetryPolicy;
pub use s3::{S3Store, interoperable_client, s3_client};
pub use store::{
    ByteStream, Link, Lock, ObjectInfo, ObjectStream, PutMode, Store, Stored, UnfinishedUpload, UploadId, UploadedPart,
};
