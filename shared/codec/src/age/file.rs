//! The bytes of an age file: a header of four lines, a nonce and one sealed chunk. The file's own
//! key is the key of the header's MAC.

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use base64::{Engine, prelude::BASE64_STANDARD_NO_PAD};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::{MasterKey, keys::hkdf, mac::hmac_of};

/// Text before the ephemeral point.
const INTRODUCTION: &str = "age-encryption.org/v1\n-> X25519 ";
/// Text before the MAC. The MAC covers it, without the blank.
const FOOTER: &str = "\n---";
/// 32 bytes in base64.
const LINE: usize = 43;
const TAG: usize = 16;

/// Bytes of the file.
const LENGTH: usize =
    INTRODUCTION.len() + LINE + 1 + LINE + FOOTER.len() + 1 + LINE + 1 + 16 + 32 + TAG;

/// The fields of the file.
pub(super) struct AgeFile {
    /// The sender's half of the exchange.
    pub(super) ephemeral: [u8; 32],
    /// The file's key, sealed under the agreed key.
    pub(super) sealed_key: [u8; 32],
    mac: [u8; 32],
    nonce: [u8; 16],
    sealed: [u8; 32 + TAG],
}

/// A key of this file alone.
pub(super) type FileKey = Zeroizing<[u8; 16]>;

impl AgeFile {
    /// Makes the file with the master key. `nonce` and `key` must be random and new.
    pub(super) fn seal(
        master: &MasterKey,
        key: &FileKey,
        ephemeral: [u8; 32],
        wrap: &[u8; 32],
        nonce: [u8; 16],
    ) -> Option<Self> {
        let sealed_key = seal(wrap, [0; 12], key.as_ref())?.try_into().ok()?;
        let sealed = seal(&payload_key(key, &nonce), only_chunk(), master.expose())?
            .try_into()
            .ok()?;
        let mut file = Self {
            ephemeral,
            sealed_key,
            mac: [0; 32],
            nonce,
            sealed,
        };
        file.mac = file.expected_mac(key);
        Some(file)
    }

    /// The file's key, if it was sealed under `wrap`.
    pub(super) fn file_key(&self, wrap: &[u8; 32]) -> Option<FileKey> {
        let opened = open(wrap, [0; 12], &self.sealed_key)?;
        opened.as_slice().try_into().ok().map(FileKey::new)
    }

    /// The master key. `None` if a byte of the file was changed.
    pub(super) fn open(&self, key: &FileKey) -> Option<MasterKey> {
        if !bool::from(self.expected_mac(key).ct_eq(&self.mac)) {
            return None;
        }
        let opened = open(&payload_key(key, &self.nonce), only_chunk(), &self.sealed)?;
        opened.as_slice().try_into().ok().map(MasterKey::new)
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.header().into_bytes();
        bytes.extend_from_slice(
            format!(" {}\n", BASE64_STANDARD_NO_PAD.encode(self.mac)).as_bytes(),
        );
        bytes.extend_from_slice(&self.nonce);
        bytes.extend_from_slice(&self.sealed);
        bytes
    }

    /// Reads the form of [`Self::to_bytes`]. Every other form of an age file is refused.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        if bytes.len() != LENGTH {
            return None;
        }
        let rest = bytes.strip_prefix(INTRODUCTION.as_bytes())?;
        let (ephemeral, rest) = line(rest)?;
        let (sealed_key, rest) = line(rest.strip_prefix(b"\n")?)?;
        let rest = rest.strip_prefix(FOOTER.as_bytes())?;
        let (mac, rest) = line(rest.strip_prefix(b" ")?)?;
        let (nonce, sealed) = rest.strip_prefix(b"\n")?.split_at_checked(16)?;
        let (nonce, sealed) = (nonce.try_into().ok()?, sealed.try_into().ok()?);
        Some(Self {
            ephemeral,
            sealed_key,
            mac,
            nonce,
            sealed,
        })
    }

    /// The bytes under the MAC.
    fn header(&self) -> String {
        let base64 = |bytes: &[u8; 32]| BASE64_STANDARD_NO_PAD.encode(bytes);
        format!(
            "{INTRODUCTION}{}\n{}{FOOTER}",
            base64(&self.ephemeral),
            base64(&self.sealed_key)
        )
    }

    fn expected_mac(&self, key: &FileKey) -> [u8; 32] {
        *hmac_of(
            &hkdf(key.as_ref(), &[], b"header"),
            self.header().as_bytes(),
        )
        .as_bytes()
    }
}

/// The 32 bytes of one line, and the rest of the text.
fn line(text: &[u8]) -> Option<([u8; 32], &[u8])> {
    let (line, rest) = text.split_at_checked(LINE)?;
    let mut bytes = [0; 32];
    let length = BASE64_STANDARD_NO_PAD.decode_slice(line, &mut bytes).ok()?;
    (length == bytes.len()).then_some((bytes, rest))
}

fn payload_key(key: &FileKey, nonce: &[u8; 16]) -> Zeroizing<[u8; 32]> {
    hkdf(key.as_ref(), nonce, b"payload")
}

/// The nonce of a chunk that is both the first, number 0, and the last.
const fn only_chunk() -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[11] = 1;
    nonce
}

fn cipher(key: &[u8; 32]) -> Option<LessSafeKey> {
    UnboundKey::new(&CHACHA20_POLY1305, key)
        .ok()
        .map(LessSafeKey::new)
}

fn seal(key: &[u8; 32], nonce: [u8; 12], plain: &[u8]) -> Option<Vec<u8>> {
    // Room for the tag, or a copy of the plaintext would be left behind.
    let mut sealed = Vec::with_capacity(plain.len() + TAG);
    sealed.extend_from_slice(plain);
    let nonce = Nonce::assume_unique_for_key(nonce);
    cipher(key)?
        .seal_in_place_append_tag(nonce, Aad::empty(), &mut sealed)
        .ok()?;
    Some(sealed)
}

fn open(key: &[u8; 32], nonce: [u8; 12], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut plain = Zeroizing::new(sealed.to_vec());
    let length = cipher(key)?
        .open_in_place(
            Nonce::assume_unique_for_key(nonce),
            Aad::empty(),
            &mut plain,
        )
        .ok()?
        .len();
    plain.truncate(length);
    Some(plain)
}
