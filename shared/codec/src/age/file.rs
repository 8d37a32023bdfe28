//! The bytes of the file: a header of four lines whose MAC is keyed by the file's own key, then nonce and one sealed chunk.

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use base64::{Engine, prelude::BASE64_STANDARD_NO_PAD};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::{
    MasterKey,
    keys::{hkdf, hmac_of},
};

/// What stands before the ephemeral point.
const INTRODUCTION: &str = "age-encryption.org/v1\n-> X25519 ";
/// What stands before the MAC, and is the last that it covers but for the blank.
const FOOTER: &str = "\n---";
/// 32 bytes in base64.
const LINE: usize = 43;
const TAG: usize = 16;

/// Bytes of the file.
const LENGTH: usize = INTRODUCTION.len() + LINE + 1 + LINE + FOOTER.len() + 1 + LINE + 1 + 16 + 32 + TAG;

/// What stands in the file.
pub(super) struct AgeFile {
    /// The sender's half of the exchange.
    pub(super) ephemeral: [u8; 32],
    /// The file's key, sealed under what the exchange gave.
    pub(super) sealed_key: [u8; 32],
    mac: [u8; 32],
    nonce: [u8; 16],
    sealed: [u8; 32 + TAG],
}

/// The key that a file has to itself.
pub(super) type FileKey = Zeroizing<[u8; 16]>;

impl AgeFile {
    /// The file that holds the master key. `nonce` must be random and new, and so must `key`.
    pub(super) fn seal(
        master: &MasterKey,
        key: &FileKey,
        ephemeral: [u8; 32],
        wrap: &[u8; 32],
        nonce: [u8; 16],
    ) -> Option<Self> {
        let sealed_key = seal(wrap, [0; 12], key.as_ref())?.try_into().ok()?;
        let sealed = seal(&payload_key(key, &nonce), only_chunk(), master.expose())?.try_into().ok()?;
        let mut file = Self { ephemeral, sealed_key, mac: [0; 32], nonce, sealed };
        file.mac = file.expected_mac(key);
        Some(file)
    }

    /// The file's key, where `wrap` is what it was sealed under.
    pub(super) fn file_key(&self, wrap: &[u8; 32]) -> Option<FileKey> {
        let opened = open(wrap, [0; 12], &self.sealed_key)?;
        opened.as_slice().try_into().ok().map(FileKey::new)
    }

    /// The master key; `None` where anything of the file was changed.
    pub(super) fn open(&self, key: &FileKey) -> Option<MasterKey> {
        if !bool::from(self.expected_mac(key).ct_eq(&self.mac)) {
            return None;
        }
        let opened = open(&payload_key(key, &self.nonce), only_chunk(), &self.sealed)?;
        opened.as_slice().try_into().ok().map(MasterKey::new)
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.header().into_bytes();
        bytes.extend_from_slice(format!(" {}\n", BASE64_STANDARD_NO_PAD.encode(self.mac)).as_bytes());
        bytes.extend_from_slice(&self.nonce);
        bytes.extend_from_slice(&self.sealed);
        bytes
    }

    /// Reads what [`Self::to_bytes`] writes, and no other form of an age file.
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
        Some(Self { ephemeral, sealed_key, mac, nonce, sealed })
    }

    /// What the MAC covers.
    fn header(&self) -> String {
        let base64 = |bytes: &[u8; 32]| BASE64_STANDARD_NO_PAD.encode(bytes);
        format!("{INTRODUCTION}{}\n{}{FOOTER}", base64(&self.ephemeral), base64(&self.sealed_key))
    }

    fn expected_mac(&self, key: &FileKey) -> [u8; 32] {
        *hmac_of(&hkdf(key.as_ref(), &[], b"header"), self.header().as_bytes()).as_bytes()
    }
}

/// One line's 32 bytes, and what follows them.
fn line(text: &[u8]) -> Option<([u8; 32], &[u8])> {
    let (line, rest) = text.split_at_checked(LINE)?;
    let mut bytes = [0; 32];
    let length = BASE64_STANDARD_NO_PAD.decode_slice(line, &mut bytes).ok()?;
    (length == bytes.len()).then_some((bytes, rest))
}

fn payload_key(key: &FileKey, nonce: &[u8; 16]) -> Zeroizing<[u8; 32]> {
    hkdf(key.as_ref(), nonce, b"payload")
}

/// The first chunk, counted from 0, and the last.
const fn only_chunk() -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[11] = 1;
    nonce
}

fn cipher(key: &[u8; 32]) -> Option<LessSafeKey> {
    UnboundKey::new(&CHACHA20_POLY1305, key).ok().map(LessSafeKey::new)
}

fn seal(key: &[u8; 32], nonce: [u8; 12], plain: &[u8]) -> Option<Vec<u8>> {
    // Room for the tag, or a copy of the plaintext would be left behind.
    let mut sealed = Vec::with_capacity(plain.len() + TAG);
    sealed.extend_from_slice(plain);
    let nonce = Nonce::assume_unique_for_key(nonce);
    cipher(key)?.seal_in_place_append_tag(nonce, Aad::empty(), &mut sealed).ok()?;
    Some(sealed)
}

fn open(key: &[u8; 32], nonce: [u8; 12], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut plain = Zeroizing::new(sealed.to_vec());
    let length = cipher(key)?.open_in_place(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut plain).ok()?.len();
    plain.truncate(length);
    Some(plain)
}
