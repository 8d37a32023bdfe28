//! The names of blocks. Azure has no uploads, only uncommitted blocks under a blob's name. A
//! block's name therefore contains its upload, the upload's beginning, and the SHA-256 of the
//! block.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use holdfast_domain::{ObjectKey, Sha256Digest, Timestamp};

use crate::{StoreError, UploadId, UploadedPart};

/// Milliseconds since 1970, then random bytes to distinguish uploads of the same millisecond.
const NAME_BYTES: usize = 16;
/// The upload's name, the part's number, its SHA-256. Azure allows 64 bytes, and requires the same
/// length for all blocks of a blob.
const BLOCK_BYTES: usize = NAME_BYTES + 4 + 32;

/// Name of an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Upload([u8; NAME_BYTES]);

impl Upload {
    /// A new upload.
    pub(super) fn begin(key: &ObjectKey, now: Timestamp) -> Result<Self, StoreError> {
        let mut name = [0; NAME_BYTES];
        let (begun_at, random) = name.split_at_mut(8);
        begun_at.copy_from_slice(&now.as_millisecond().to_be_bytes());
        let no_randomness = |error| StoreError::Unavailable {
            key: key.to_string(),
            cause: format!("cannot make a name for the upload: {error}"),
        };
        getrandom::fill(random).map_err(no_randomness)?;
        Ok(Self(name))
    }

    /// The upload with this name, if the name is valid.
    pub(super) fn parse(id: &UploadId) -> Option<Self> {
        hex::decode(&id.0)
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .map(Self)
    }

    /// The upload of a block, if the block is Holdfast's.
    pub(super) fn from_block(block: &str) -> Option<Self> {
        let bytes = STANDARD
            .decode(block)
            .ok()
            .filter(|bytes| bytes.len() == BLOCK_BYTES)?;
        bytes.get(..NAME_BYTES)?.try_into().ok().map(Self)
    }

    /// Its name.
    pub(super) fn id(self) -> UploadId {
        UploadId(hex::encode(self.0))
    }

    /// Time of its beginning.
    pub(super) fn begun_at(self) -> Timestamp {
        let mut begun_at = [0; 8];
        begun_at.copy_from_slice(&self.0[..8]);
        Timestamp::from_millisecond(i64::from_be_bytes(begun_at)).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// The name of one of its blocks.
    pub(super) fn block(self, number: u32, sha256: &Sha256Digest) -> String {
        STANDARD.encode([&self.0[..], &number.to_be_bytes(), sha256.as_bytes()].concat())
    }

    /// The body for committing these parts, in their order. Base64 needs no escape in XML.
    pub(super) fn list(self, parts: &[UploadedPart]) -> String {
        let blocks = parts
            .iter()
            .map(|part| self.block(part.number, &part.sha256));
        list_of(
            &blocks
                .map(|block| ["<Uncommitted>", &block, "</Uncommitted>"].concat())
                .collect::<String>(),
        )
    }
}

/// The body for committing no block.
pub(super) fn empty_list() -> String {
    list_of("")
}

fn list_of(blocks: &str) -> String {
    format!("<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>{blocks}</BlockList>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_name_contains_its_upload_and_the_time_of_its_beginning() {
        let now = Timestamp::from_millisecond(1_700_000_000_123).unwrap();
        let key = ObjectKey::repository();
        let (one, other) = (
            Upload::begin(&key, now).unwrap(),
            Upload::begin(&key, now).unwrap(),
        );
        assert_ne!(one, other);
        let block = one.block(7, &[9; 32].into());
        assert_eq!(Upload::from_block(&block), Some(one));
        assert_eq!(Upload::parse(&one.id()), Some(one));
        assert_eq!(one.begun_at(), now);
        assert_ne!(block, one.block(8, &[9; 32].into()));
        assert_ne!(block, one.block(7, &[8; 32].into()));
        assert!(
            STANDARD.decode(&block).unwrap().len() <= 64,
            "Azure takes no more"
        );
    }

    #[test]
    fn what_others_uploaded_is_no_upload_of_ours() {
        for name in ["", "QQ==", "not base64", &STANDARD.encode([0; 51])] {
            assert_eq!(Upload::from_block(name), None, "{name}");
        }
        assert_eq!(Upload::parse(&UploadId("never-was".to_owned())), None);
    }
}
