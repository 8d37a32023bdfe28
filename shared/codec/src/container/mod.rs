//! The encrypted file: a header of 1,024 bytes, AES-256-CBC ciphertext, and an HMAC-SHA256 of 32
//! bytes. The HMAC covers header, ciphertext, the object's key in the repository and the key's
//! length in four decimal digits. It binds an artifact to its place. The openssl command can check
//! and open the file.

mod header;
mod reader;
#[cfg(test)]
mod tests;
mod trailer;
mod verify;
mod writer;

pub use header::{HEADER_BYTES, Header, SUITE};
use holdfast_domain::{ObjectKey, RepositoryId};
pub use reader::DecryptReader;
use subtle::ConstantTimeEq;
pub use trailer::TRAILER_BYTES;
pub use verify::verify;
pub use writer::{EncryptSummary, EncryptWriter};

use crate::{ArtifactError, ArtifactKeys, KeyError, MasterKey, keys::random_bytes};

/// Bytes of an AES block. Header, trailer and segments are multiples of it, so no block is split
/// between two segments.
const BLOCK_BYTES: usize = 16;

/// The place of an artifact, and its master key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactPlace {
    /// The repository.
    pub repository: RepositoryId,
    /// Epoch of the repository's master key.
    pub key_epoch: u32,
    /// The object's key, relative to the repository's root.
    pub object_key: ObjectKey,
}

/// Random values of one artifact, never used for a second one. They are not secret: the header
/// contains both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactSecrets {
    /// Salt for deriving the artifact's keys from the master key.
    pub salt: [u8; 32],
    /// Initialization vector of the ciphertext.
    pub iv: [u8; 16],
}

impl ArtifactSecrets {
    /// New random values.
    ///
    /// # Errors
    /// [`KeyError::Random`] if the system has no randomness.
    pub fn random() -> Result<Self, KeyError> {
        Ok(Self {
            salt: random_bytes()?,
            iv: random_bytes()?,
        })
    }
}

/// Reads the header, and derives the artifact's keys. The commitment is checked first, so a wrong
/// key is not reported as damage.
fn unlock(
    bytes: &[u8],
    master: &MasterKey,
    place: &ArtifactPlace,
) -> Result<(Header, ArtifactKeys), ArtifactError> {
    let header = Header::parse(bytes)?;
    let keys = master.artifact_keys(&header.salt);
    let committed: bool = keys.commit.ct_eq(&header.commit).into();
    if !committed {
        return Err(ArtifactError::WrongKey {
            repository: header.repository,
            key_epoch: header.key_epoch,
        });
    }
    if header.repository != place.repository {
        return Err(ArtifactError::OtherRepository {
            expected: place.repository.clone(),
            found: header.repository,
        });
    }
    if header.key_epoch != place.key_epoch {
        return Err(ArtifactError::OtherEpoch {
            expected: place.key_epoch,
            found: header.key_epoch,
        });
    }
    Ok((header, keys))
}

/// Refuses lengths below header, one block of padding and trailer.
fn check_length(size_bytes: u64) -> Result<(), ArtifactError> {
    let least = (HEADER_BYTES + BLOCK_BYTES + TRAILER_BYTES) as u64;
    if size_bytes >= least && size_bytes.is_multiple_of(BLOCK_BYTES as u64) {
        return Ok(());
    }
    Err(ArtifactError::Length { size_bytes })
}
