//! HMAC-SHA256 with keys of 32 bytes.

use hmac::{Hmac, KeyInit, Mac};
use holdfast_domain::Sha256Digest;
use sha2::Sha256;

pub(crate) type HmacSha256 = Hmac<Sha256>;

/// HMAC-SHA256 keyed with these bytes.
#[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
pub(crate) fn hmac(key: &[u8; 32]) -> HmacSha256 {
    HmacSha256::new_from_slice(key).expect("HMAC takes keys of every length")
}

/// HMAC-SHA256 of `bytes` under `key`.
pub(crate) fn hmac_of(key: &[u8; 32], bytes: &[u8]) -> Sha256Digest {
    Sha256Digest::new(hmac(key).chain_update(bytes).finalize().into_bytes().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authentication_is_that_of_rfc_4231() {
        let mut key = [0; 32];
        key[..20].fill(0x0b); // HMAC pads a key with zeros, so that 20 bytes and these 32 are one key.
        assert_eq!(
            hmac_of(&key, b"Hi There").to_string(),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        );
    }
}
