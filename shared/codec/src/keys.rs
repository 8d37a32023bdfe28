//! The master key and its derived keys, by HKDF-SHA256 (RFC 5869). They are wiped from memory on
//! drop, and never printed.

use std::fmt;

use hkdf::Hkdf;
use holdfast_domain::{Secret, Sha256Digest};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::{KeyError, SegmentHasher, mac::hmac_of};

/// Random bytes from the operating system.
///
/// # Errors
/// [`KeyError::Random`] if the system has no randomness.
pub fn random_bytes<const N: usize>() -> Result<[u8; N], KeyError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| KeyError::Random(error.to_string()))?;
    Ok(bytes)
}

/// HKDF-SHA256 to 32 bytes. An empty salt is HKDF's "not provided": 32 zero bytes.
#[expect(clippy::expect_used, reason = "one block is within HKDF's 255")]
pub(crate) fn hkdf(master: &[u8], salt: &[u8], info: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut key = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(Some(salt), master)
        .expand(info, key.as_mut())
        .expect("32 bytes are one block");
    key
}

/// A repository's master key: 32 random bytes. It leaves memory only in wrapped form.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct MasterKey([u8; 32]);

impl MasterKey {
    /// The key with these bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A new key.
    ///
    /// # Errors
    /// [`KeyError::Random`] if the system has no randomness.
    pub fn random() -> Result<Self, KeyError> {
        random_bytes().map(Self)
    }

    /// The key of 64 hex digits, as it is exported.
    #[must_use]
    pub fn from_hex(digits: &Secret) -> Option<Self> {
        let mut bytes = Zeroizing::new([0; 32]);
        hex::decode_to_slice(digits.expose().trim(), bytes.as_mut()).ok()?;
        Some(Self(*bytes))
    }

    /// The bytes, for the one call to wrap or export them.
    #[must_use]
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// The keys of the artifact with this salt.
    #[must_use]
    pub fn artifact_keys(&self, salt: &[u8; 32]) -> ArtifactKeys {
        let key = |info: &[u8]| *hkdf(&self.0, salt, info);
        ArtifactKeys {
            salt: *salt,
            encryption: key(b"holdfast/v1/enc"),
            mac: key(b"holdfast/v1/mac"),
            segment: key(b"holdfast/v1/seg"),
            commit: key(b"holdfast/v1/commit"),
        }
    }

    /// The HMAC of a manifest's bytes, as written in the manifest.
    #[must_use]
    pub fn manifest_mac(&self, manifest: &[u8]) -> Sha256Digest {
        hmac_of(&hkdf(&self.0, &[], b"holdfast/v1/manifest"), manifest)
    }

    /// Whether `mac` is this manifest's, in constant time.
    #[must_use]
    pub fn verify_manifest_mac(&self, manifest: &[u8], mac: &Sha256Digest) -> bool {
        self.manifest_mac(manifest)
            .as_bytes()
            .ct_eq(mac.as_bytes())
            .into()
    }

    /// Address of an encrypted file, from the SHA-256 of its plaintext. The same content has the
    /// same address in this repository. Without the key, an address does not reveal whether a
    /// known file is stored.
    #[must_use]
    pub fn address(&self, plain_sha256: &Sha256Digest) -> Sha256Digest {
        hmac_of(
            &hkdf(&self.0, &[], b"holdfast/v1/address"),
            plain_sha256.as_bytes(),
        )
    }

    /// Identifies this key to readers without the key. It reveals nothing about the key, and every
    /// key has another fingerprint.
    #[must_use]
    pub fn fingerprint(&self) -> Sha256Digest {
        Sha256Digest::new(*hkdf(&self.0, &[], b"holdfast/v1/fingerprint"))
    }

    /// A keyed hash of a plaintext's hash. Without the key, it reveals nothing about the plaintext.
    #[must_use]
    pub fn content_hash(&self, plain_hash: &[u8]) -> Sha256Digest {
        hmac_of(&hkdf(&self.0, &[], b"holdfast/v1/content-hash"), plain_hash)
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(***)")
    }
}

/// The keys of one artifact.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct ArtifactKeys {
    pub(crate) salt: [u8; 32],
    pub(crate) encryption: [u8; 32],
    pub(crate) mac: [u8; 32],
    pub(crate) segment: [u8; 32],
    /// Commitment in the header. It proves the right key before anything else, and no second key
    /// fits.
    pub(crate) commit: [u8; 32],
}

impl ArtifactKeys {
    /// Makes the digests of this artifact's segments.
    #[must_use]
    pub fn segment_hasher(&self) -> SegmentHasher {
        SegmentHasher::keyed(&self.segment)
    }
}

impl fmt::Debug for ArtifactKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ArtifactKeys(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derivation_is_that_of_rfc_5869() {
        // The first 32 bytes of appendix A.1, and of A.3 (without salt and info).
        let salt = hex::decode("000102030405060708090a0b0c").unwrap();
        let info = hex::decode("f0f1f2f3f4f5f6f7f8f9").unwrap();
        assert_eq!(
            hex::encode(hkdf(&[0x0b; 22], &salt, &info).as_ref()),
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"
        );
        assert_eq!(
            hex::encode(hkdf(&[0x0b; 22], &[], b"").as_ref()),
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"
        );
    }

    #[test]
    fn every_derived_key_is_another() {
        let master = MasterKey::new([7; 32]);
        let one = master.artifact_keys(&[1; 32]);
        let two = master.artifact_keys(&[2; 32]);
        let mut all = vec![
            one.encryption,
            one.mac,
            one.segment,
            one.commit,
            two.encryption,
            two.mac,
            two.segment,
        ];
        // The three of the master key itself, over the same bytes.
        let plain = Sha256Digest::new([b'x'; 32]);
        all.extend(
            [
                master.manifest_mac(&[b'x'; 32]),
                master.content_hash(&[b'x'; 32]),
            ]
            .map(|mac| *mac.as_bytes()),
        );
        all.extend([*master.address(&plain).as_bytes(), *plain.as_bytes()]);
        all.extend([*master.fingerprint().as_bytes(), *master.expose()]);
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 13);
    }

    #[test]
    fn an_address_is_that_of_its_content_and_its_repository_alone() {
        let (master, other) = (MasterKey::new([7; 32]), MasterKey::new([8; 32]));
        let (one, two) = (Sha256Digest::new([1; 32]), Sha256Digest::new([2; 32]));
        assert_eq!(master.address(&one), master.address(&one));
        assert_ne!(master.address(&one), master.address(&two));
        assert_ne!(master.address(&one), other.address(&one));
        // Computed from the definition by another program. Objects are found by this value, so it
        // must never change.
        let expected = "5b15eb58db79f9f1f9b175f0a0c40cad8d3e10e63e50513b43098b1524136327";
        assert_eq!(master.address(&one).to_string(), expected);
    }

    #[test]
    fn a_manifest_of_other_bytes_or_another_key_is_refused() {
        let master = MasterKey::new([7; 32]);
        let mac = master.manifest_mac(b"manifest");
        assert!(master.verify_manifest_mac(b"manifest", &mac));
        assert!(!master.verify_manifest_mac(b"manifesT", &mac));
        assert!(!MasterKey::new([8; 32]).verify_manifest_mac(b"manifest", &mac));
    }

    #[test]
    fn keys_never_print_themselves() {
        let master = MasterKey::new([0xab; 32]);
        let shown = format!("{master:?} {:?}", master.artifact_keys(&[1; 32]));
        assert_eq!(shown, "MasterKey(***) ArtifactKeys(***)");
    }
}
