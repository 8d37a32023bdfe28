//! Gzip, the encryption container, digests and key wrapping: bytes in, bytes out. No async, no
//! files, no clock.
//!
//! `finish` ends a writing stage, and `finish_as` ends the encrypting one. A dropped stage leaves
//! no valid end. Readers release only authentic bytes, and make their last checks at the end: read
//! until `Ok(0)`.

mod age;
mod container;
mod digest;
mod error;
mod gzip;

mod key_encryption;
mod keys;
mod mac;
mod segments;

pub use age::{AgeIdentity, AgeRecipient};
pub use container::{
    ArtifactPlace, ArtifactSecrets, DecryptReader, EncryptSummary, EncryptWriter, HEADER_BYTES,
    Header, SUITE, TRAILER_BYTES, verify,
};
pub use digest::{ArtifactDigest, DigestWriter, SegmentHasher};
pub use error::{ArtifactError, HeaderError, KeyError};
pub use gzip::{GunzipReader, GzipSummary, GzipWriter, MemberReader, is_worthwhile};
pub use key_encryption::{KeyEncryptionKey, WrapMethod, WrappedMasterKey};
pub use keys::{ArtifactKeys, MasterKey, random_bytes};
pub use segments::SegmentReader;
