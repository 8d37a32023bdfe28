//! The checksums stored with an object, computed here from the sent bytes.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use holdfast_domain::Sha256Digest;
use sha2::{Digest, Sha256};

/// The checksum of a stored object. Displayed in S3's form: base64, and `-<parts>` after a
/// composite one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checksum {
    /// SHA-256 of the complete object, sent in one piece.
    Full(Sha256Digest),
    /// SHA-256 of the parts' digests. For an upload in parts, S3 has only this kind of SHA-256.
    Composite(CompositeDigest),
}

/// SHA-256 of the parts' concatenated SHA-256 digests, and the number of parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompositeDigest {
    digest: Sha256Digest,
    parts: usize,
}

impl CompositeDigest {
    /// The composite of parts with these digests, in the parts' order.
    pub fn of<'a>(parts: impl IntoIterator<Item = &'a Sha256Digest>) -> Self {
        let mut hasher = Sha256::new();
        let mut count = 0;
        for part in parts {
            hasher.update(part.as_bytes());
            count += 1;
        }
        Self {
            digest: Sha256Digest::new(hasher.finalize().into()),
            parts: count,
        }
    }

    /// The digest of the digests.
    #[must_use]
    pub fn digest(&self) -> Sha256Digest {
        self.digest
    }

    /// Number of its parts.
    #[must_use]
    pub fn parts(&self) -> usize {
        self.parts
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(digest) => f.write_str(&to_base64(digest)),
            Self::Composite(composite) => {
                write!(f, "{}-{}", to_base64(&composite.digest), composite.parts)
            }
        }
    }
}

/// The checksum for stores without SHA-256. It detects only accidents.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Md5([u8; 16]);

impl Md5 {
    pub(crate) fn of(body: &[u8]) -> Self {
        Self(md5::Md5::digest(body).into())
    }

    /// In the form of `Content-MD5`.
    pub(crate) fn to_base64(self) -> String {
        STANDARD.encode(self.0)
    }

    /// Whether an `ETag` is this MD5. A different `ETag` proves nothing, because it may be no
    /// checksum.
    pub(crate) fn is(self, etag: &str) -> bool {
        etag.trim_matches('"')
            .eq_ignore_ascii_case(&hex::encode(self.0))
    }
}

/// A digest in the form of S3's headers.
pub(crate) fn to_base64(digest: &Sha256Digest) -> String {
    STANDARD.encode(digest.as_bytes())
}

/// SHA-256 of a buffer, on a thread for blocking work: 8 MiB take milliseconds.
pub(crate) async fn sha256(body: Bytes) -> Sha256Digest {
    let work = tokio::task::spawn_blocking({
        let body = body.clone();
        move || digest(&body)
    });
    match work.await {
        Ok(result) => result,
        // A runtime refuses the task only during shutdown.
        Err(_) => digest(&body),
    }
}

fn digest(body: &[u8]) -> Sha256Digest {
    Sha256Digest::new(Sha256::digest(body).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_composite_is_the_digest_of_the_digests_and_their_number() {
        let (one, two) = (digest(b"one"), digest(b"two"));
        let by_hand = digest(&[&one.as_bytes()[..], two.as_bytes()].concat());
        let composite = Checksum::Composite(CompositeDigest::of([&one, &two]));
        assert_eq!(composite.to_string(), format!("{}-2", to_base64(&by_hand)));
    }

    #[test]
    fn an_etag_of_another_form_is_no_md5() {
        let empty = Md5::of(b"");
        assert_eq!(empty.to_base64(), "1B2M2Y8AsgTpgAmY7PhCfg==");
        assert!(empty.is("\"d41d8cd98f00b204e9800998ecf8427e\""));
        assert!(!empty.is("\"d41d8cd98f00b204e9800998ecf8427e-1\"") && !empty.is(""));
    }

    #[test]
    fn a_full_checksum_is_base64() {
        let empty = Checksum::Full(digest(b""));
        assert_eq!(
            empty.to_string(),
            "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
        );
    }
}
