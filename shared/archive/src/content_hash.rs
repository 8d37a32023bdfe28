//! A hash of a set of documents, independent of their order: the sum modulo 2²⁵⁶ of their SHA-256,
//! each as a big-endian number. It needs constant memory. It detects accidental differences. It
//! does not resist forgery by itself: the writer of a manifest adds a key.

use std::{
    fmt,
    ops::{Add, AddAssign},
    str::FromStr,
};

use holdfast_domain::{HexError, Sha256Digest};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

/// The sum of the documents' hashes. Zero without documents.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ContentHash {
    /// The least significant first.
    limbs: [u64; 4],
}

impl ContentHash {
    /// The hash of one document.
    #[must_use]
    pub fn of(document: &[u8]) -> Self {
        Self::from_be_bytes(Sha256::digest(document).into())
    }

    /// Adds one document.
    pub fn add_document(&mut self, document: &[u8]) {
        *self += Self::of(document);
    }

    /// The number with these 32 bytes, most significant first.
    #[must_use]
    pub fn from_be_bytes(bytes: [u8; 32]) -> Self {
        let mut limbs = [0; 4];
        for (limb, eight) in limbs.iter_mut().rev().zip(bytes.as_chunks().0) {
            *limb = u64::from_be_bytes(*eight);
        }
        Self { limbs }
    }

    /// The number's 32 bytes, the most significant first.
    #[must_use]
    pub fn to_be_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (eight, limb) in bytes
            .as_chunks_mut()
            .0
            .iter_mut()
            .zip(self.limbs.iter().rev())
        {
            *eight = limb.to_be_bytes();
        }
        bytes
    }

    /// The digest for a manifest.
    #[must_use]
    pub fn digest(self) -> Sha256Digest {
        Sha256Digest::new(self.to_be_bytes())
    }
}

impl AddAssign for ContentHash {
    fn add_assign(&mut self, other: Self) {
        let mut carry = false;
        for (limb, more) in self.limbs.iter_mut().zip(other.limbs) {
            let (sum, over) = limb.overflowing_add(more);
            let (sum, over_again) = sum.overflowing_add(u64::from(carry));
            *limb = sum;
            carry = over || over_again;
        }
    }
}

impl Add for ContentHash {
    type Output = Self;

    fn add(mut self, other: Self) -> Self {
        self += other;
        self
    }
}

impl From<Sha256Digest> for ContentHash {
    fn from(digest: Sha256Digest) -> Self {
        Self::from_be_bytes(*digest.as_bytes())
    }
}

impl From<ContentHash> for Sha256Digest {
    fn from(hash: ContentHash) -> Self {
        hash.digest()
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.to_be_bytes()))
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ContentHash {
    type Err = HexError;

    fn from_str(text: &str) -> Result<Self, HexError> {
        text.parse::<Sha256Digest>().map(Self::from)
    }
}

impl Serialize for ContentHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.digest().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ContentHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Sha256Digest::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ONE: &str = "0000000000000000000000000000000000000000000000000000000000000001";

    #[test]
    fn the_hash_of_one_document_is_its_sha256() {
        assert_eq!(
            ContentHash::of(b"abc").to_string(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn the_sum_carries_through_all_limbs_and_wraps() {
        let greatest: ContentHash = "f".repeat(64).parse().unwrap();
        let one: ContentHash = ONE.parse().unwrap();
        assert_eq!(greatest + one, ContentHash::default());
        assert_eq!(
            (greatest + greatest).to_string(),
            format!("{}e", "f".repeat(63))
        );
    }

    #[test]
    fn json_holds_the_hex_digits() {
        let one: ContentHash = ONE.parse().unwrap();
        assert_eq!(serde_json::to_string(&one).unwrap(), format!("\"{ONE}\""));
        assert_eq!(
            serde_json::from_str::<ContentHash>(&format!("\"{ONE}\"")).unwrap(),
            one
        );
        assert!("1".parse::<ContentHash>().is_err());
    }

    proptest! {
        #[test]
        fn the_order_of_documents_does_not_matter(
            a in any::<[u8; 32]>(), b in any::<[u8; 32]>(), c in any::<[u8; 32]>(),
        ) {
            let [a, b, c] = [a, b, c].map(ContentHash::from_be_bytes);
            prop_assert_eq!(a + b, b + a);
            prop_assert_eq!((a + b) + c, a + (b + c));
            prop_assert_eq!(ContentHash::from_be_bytes(a.to_be_bytes()), a);
        }
    }
}
