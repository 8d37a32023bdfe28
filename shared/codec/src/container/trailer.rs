//! The HMAC at the end of the file. It covers all bytes before it and the file's place.

use hmac::Mac;
use holdfast_domain::ObjectKey;

use super::HEADER_BYTES;
use crate::{
    ArtifactError, ArtifactKeys,
    mac::{self, HmacSha256},
};

/// Bytes of the trailer.
pub const TRAILER_BYTES: usize = 32;

const _: () =
    assert!(ObjectKey::MAX_LENGTH <= 9999 && HEADER_BYTES.is_multiple_of(super::BLOCK_BYTES));

/// Takes in header and ciphertext, and returns the trailer.
pub(super) struct TrailerMac(HmacSha256);

impl TrailerMac {
    pub(super) fn new(keys: &ArtifactKeys) -> Self {
        Self(mac::hmac(&keys.mac))
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(super) fn finish(self, object_key: &ObjectKey) -> [u8; TRAILER_BYTES] {
        self.bound_to(object_key).finalize().into_bytes().into()
    }

    /// The length comes last, so ciphertext can never act as the start of a longer key.
    fn bound_to(self, object_key: &ObjectKey) -> HmacSha256 {
        let key = object_key.as_str();
        self.0
            .chain_update(key)
            .chain_update(format!("{:04}", key.len()))
    }
}

/// Takes in a file of known size with its trailer, and compares.
pub(super) struct TrailerCheck {
    mac: TrailerMac,
    object_key: ObjectKey,
    /// Remaining bytes before the trailer.
    left_bytes: u64,
    trailer: Vec<u8>,
}

impl TrailerCheck {
    pub(super) fn new(keys: &ArtifactKeys, object_key: &ObjectKey, size_bytes: u64) -> Self {
        let left_bytes = size_bytes.saturating_sub(TRAILER_BYTES as u64);
        let (mac, trailer) = (TrailerMac::new(keys), Vec::with_capacity(TRAILER_BYTES));
        Self {
            mac,
            object_key: object_key.clone(),
            left_bytes,
            trailer,
        }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        let (covered, trailer) = bytes.split_at(within(self.left_bytes, bytes.len()));
        self.mac.update(covered);
        self.left_bytes -= covered.len() as u64;
        self.trailer.extend_from_slice(trailer);
    }

    pub(super) fn is_complete(&self) -> bool {
        self.trailer.len() == TRAILER_BYTES
    }

    /// Compares in constant time.
    pub(super) fn finish(self) -> Result<(), ArtifactError> {
        let matched = self
            .mac
            .bound_to(&self.object_key)
            .verify_slice(&self.trailer);
        matched.map_err(|_| ArtifactError::Mac {
            object_key: self.object_key.to_string(),
        })
    }
}

/// The smaller of `offset` and the buffer's length.
pub(super) fn within(offset: u64, length: usize) -> usize {
    usize::try_from(offset).map_or(length, |offset| offset.min(length))
}
