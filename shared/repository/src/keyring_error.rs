//! Errors of the keyring.

use holdfast_codec::KeyError;
use holdfast_domain::RepositoryId;

/// A failure to wrap or unwrap a master key.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// Encryption was requested, but neither key is set.
    #[error("no key is set: set BACKUP_ENCRYPTION_KEY or BACKUP_KMS_KEY_ID")]
    Empty,
    /// No key at hand opens this epoch.
    #[error("{reason} (key epoch {epoch} of repository {repository})")]
    DoesNotOpen {
        /// The epoch.
        epoch: u32,
        /// The repository.
        repository: RepositoryId,
        /// The attempts and their failures.
        reason: String,
    },
    /// A wrapped key does not open, so it must not replace a working one.
    #[error(
        "the wrapped master key ({method}) does not open again: {reason}. Nothing was written: correct the key, \
         or the permission for it"
    )]
    NotReopened {
        /// The method of wrapping.
        method: &'static str,
        /// The failure.
        reason: String,
    },
    /// KMS refused a request.
    #[error("AWS KMS refused to {action}: {cause}")]
    Kms {
        /// The request.
        action: &'static str,
        /// The answer.
        cause: String,
    },
    /// A key or a wrapped key is invalid.
    #[error(transparent)]
    Key(#[from] KeyError),
}
