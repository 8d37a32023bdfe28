//! The store: S3, Azure and directories, streamed both ways, with every written byte checked. Keys
//! are relative to the repository's root. Memory is bounded by a few parts. This crate has no
//! concept of backups.

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
    ByteStream, Link, Lock, ObjectInfo, ObjectStream, PutMode, Store, Stored, UnfinishedUpload,
    UploadId, UploadedPart,
};
