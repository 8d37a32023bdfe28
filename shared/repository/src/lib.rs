//! A repository, by bucket and key alone: its files and keys, and the stored form of backups. This
//! crate does not know the catalogue, so everything in it works after the loss of MongoDB.

pub mod artifact_reader;
pub mod artifact_writer;
pub mod content;
mod create;
mod decrypt;
mod error;
mod file_copy;
mod file_error;
mod first_key;
pub mod guide;
mod import;
mod keyring;
mod keyring_error;
mod kms;
mod manifests;
pub mod presence;
mod repository;
mod rewrap;
mod sources;
pub mod writing_key;

pub use self::{
    create::InitReport,
    decrypt::{ExportedKey, decrypt_artifact, decrypt_file, export_keys},
    error::RepositoryError,
    file_error::RepositoryFileError,
    keyring::{Keyring, Openers},
    keyring_error::KeyringError,
    manifests::StoredBackup,
    repository::{MAX_FILE_BYTES, Repository},
    rewrap::{KeyChange, Rewrap, RewrapReport, RewrappedEpoch, WrappedUnder},
    sources::{SourceName, amount_stored, newest_filled, source_warnings_before, sources_of},
    writing_key::EncryptionMode,
};
