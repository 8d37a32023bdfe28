//! The promises of a CID: the codec of its block, and the hash that proves it.

use blake2::{
    Blake2b,
    digest::{Digest as _, typenum::U32},
};
use bytes::Bytes;
use sha2::{Sha256, Sha512};

use super::DagFault;

/// A content identifier, version 0 or 1, with up to 128 bytes of digest. This is IPFS's maximum for
/// an identity CID, which contains its block.
pub type Cid = ::cid::CidGeneric<128>;

/// Codec of a CID's block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Codec {
    Raw,
    DagPb,
}

/// Hash of a CID's block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hash {
    Identity,
    Sha2_256,
    Sha2_512,
    Blake2b256,
    Blake3,
}

const SHA2_256: u64 = 0x12;

/// Checks that the block of this CID can be read and proved.
///
/// # Errors
/// [`DagFault::Codec`] or [`DagFault::Hash`], with the name of the unsupported codec or hash.
pub fn check_supported(cid: &Cid) -> Result<(), DagFault> {
    codec(cid)?;
    hash(cid)?;
    Ok(())
}

pub(super) fn codec(cid: &Cid) -> Result<Codec, DagFault> {
    match cid.codec() {
        0x55 => Ok(Codec::Raw),
        0x70 => Ok(Codec::DagPb),
        other => Err(DagFault::Codec {
            cid: cid.to_string(),
            codec: codec_name(other),
        }),
    }
}

/// Whether a CID promises this block.
pub(super) fn proves(cid: &Cid, block: &[u8]) -> Result<bool, DagFault> {
    let mut proof = RawProof::begin(cid)?;
    proof.update(block);
    Ok(proof.holds())
}

/// Whether the block of this CID is the file itself.
pub(crate) fn is_raw(cid: &Cid) -> bool {
    cid.codec() == 0x55
}

/// Whether this is a raw CID without a path. The file is its one block, of any length. Its hash
/// proves all of it, and the block can be rebuilt from the file alone.
#[must_use]
pub fn is_raw_file(path: &str) -> bool {
    path.parse().is_ok_and(|cid: Cid| is_raw(&cid))
}

/// The incremental proof of a raw block of any length.
pub(crate) struct RawProof {
    cid: Cid,
    hasher: Hasher,
}

enum Hasher {
    /// An identity CID holds its bytes, at most 128 of them.
    Identity(Vec<u8>),
    Sha2_256(Sha256),
    Sha2_512(Sha512),
    Blake2b256(Blake2b<U32>),
    Blake3(Box<blake3::Hasher>),
}

impl RawProof {
    /// # Errors
    /// [`DagFault::Hash`] if the CID's hash is unknown here.
    pub(crate) fn begin(cid: &Cid) -> Result<Self, DagFault> {
        let hasher = match hash(cid)? {
            Hash::Identity => Hasher::Identity(Vec::new()),
            Hash::Sha2_256 => Hasher::Sha2_256(Sha256::new()),
            Hash::Sha2_512 => Hasher::Sha2_512(Sha512::new()),
            Hash::Blake2b256 => Hasher::Blake2b256(Blake2b::new()),
            Hash::Blake3 => Hasher::Blake3(Box::default()),
        };
        Ok(Self { cid: *cid, hasher })
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match &mut self.hasher {
            Hasher::Identity(held) => {
                held.extend(bytes.iter().take(129_usize.saturating_sub(held.len())));
            }
            Hasher::Sha2_256(hasher) => hasher.update(bytes),
            Hasher::Sha2_512(hasher) => hasher.update(bytes),
            Hasher::Blake2b256(hasher) => hasher.update(bytes),
            Hasher::Blake3(hasher) => {
                hasher.update(bytes);
            }
        }
    }

    /// Whether all bytes together match the CID.
    pub(crate) fn holds(self) -> bool {
        let digest = self.cid.hash().digest();
        match self.hasher {
            Hasher::Identity(held) => digest == held,
            Hasher::Sha2_256(hasher) => digest == hasher.finalize().as_slice(),
            Hasher::Sha2_512(hasher) => digest == hasher.finalize().as_slice(),
            Hasher::Blake2b256(hasher) => digest == hasher.finalize().as_slice(),
            Hasher::Blake3(hasher) => digest == hasher.finalize().as_bytes(),
        }
    }
}

/// The block inside an identity CID.
pub(super) fn inline_block(cid: &Cid) -> Option<Bytes> {
    is_identity(cid).then(|| Bytes::copy_from_slice(cid.hash().digest()))
}

pub(super) fn is_identity(cid: &Cid) -> bool {
    cid.hash().code() == 0
}

/// Reads a CID from exactly these bytes.
pub(super) fn read_whole(mut bytes: &[u8]) -> Option<Cid> {
    let cid = Cid::read_bytes(&mut bytes).ok()?;
    bytes.is_empty().then_some(cid)
}

fn hash(cid: &Cid) -> Result<Hash, DagFault> {
    let (code, bytes) = (cid.hash().code(), cid.hash().digest().len());
    match (code, bytes) {
        (0x00, _) => Ok(Hash::Identity),
        (SHA2_256, 32) => Ok(Hash::Sha2_256),
        (0x13, 64) => Ok(Hash::Sha2_512),
        (0xb220, 32) => Ok(Hash::Blake2b256),
        (0x1e, 32) => Ok(Hash::Blake3),
        _ => Err(DagFault::Hash {
            cid: cid.to_string(),
            hash: hash_name(code),
            bits: bytes * 8,
        }),
    }
}

fn codec_name(code: u64) -> String {
    let name = match code {
        0x51 => "cbor",
        0x71 => "dag-cbor",
        0x72 => "libp2p-key (an IPNS name)",
        0x78 => "git-raw",
        0x85 => "dag-jose",
        0x0129 => "dag-json",
        0x0200 => "json",
        _ => return format!("0x{code:x}"),
    };
    name.to_owned()
}

fn hash_name(code: u64) -> String {
    let name = match code {
        0x11 => "sha1",
        SHA2_256 => "sha2-256",
        0x13 => "sha2-512",
        0x14 => "sha3-512",
        0x16 => "sha3-256",
        0x1b => "keccak-256",
        0x1e => "blake3",
        0x56 => "dbl-sha2-256",
        0xb220 => "blake2b-256",
        _ => return format!("0x{code:x}"),
    };
    name.to_owned()
}
