//! The master key, wrapped for the owner of an offline key pair. The file equals the output of `age
//! -r <recipient>` for the 32 bytes, and `age -d -i <identity>` opens it.
//!
//! Only one form of age (<https://age-encryption.org/v1>) is written: one X25519 recipient, one
//! chunk.

mod file;
mod identity;
mod recipient;

pub use identity::AgeIdentity;
pub use recipient::AgeRecipient;

use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};
use bech32::{Bech32, Hrp, primitives::decode::CheckedHrpstring};
use zeroize::Zeroizing;

use crate::keys::hkdf;

/// The key for sealing one file's own key: the result of the exchange, equal on both sides. `None`
/// for a point of small order, because its result is not secret.
fn agreed_key(
    secret: &PrivateKey,
    other: &[u8; 32],
    ephemeral: &[u8; 32],
    recipient: &[u8; 32],
) -> Option<Zeroizing<[u8; 32]>> {
    let salt = [*ephemeral, *recipient].concat();
    let derive = |shared: &[u8]| Ok(hkdf(shared, &salt, b"age-encryption.org/v1/X25519"));
    agree(secret, UnparsedPublicKey::new(&X25519, other), (), derive).ok()
}

/// The public point of a secret.
fn public(secret: &PrivateKey) -> Option<[u8; 32]> {
    secret.compute_public_key().ok()?.as_ref().try_into().ok()
}

/// The 32 bytes of a Bech32 text after this prefix. `None` for another prefix, and for any form but
/// the canonical one.
fn from_bech32(text: &str, prefix: &str) -> Option<Zeroizing<[u8; 32]>> {
    let text = Zeroizing::new(text.to_ascii_lowercase());
    let checked = CheckedHrpstring::new::<Bech32>(&text).ok()?;
    let mut bytes = Zeroizing::new([0; 32]);
    if checked.byte_iter().len() != bytes.len() {
        return None;
    }
    bytes
        .iter_mut()
        .zip(checked.byte_iter())
        .for_each(|(to, from)| *to = from);
    (*to_bech32(&bytes, prefix)? == *text).then_some(bytes)
}

fn to_bech32(bytes: &[u8; 32], prefix: &str) -> Option<Zeroizing<String>> {
    bech32::encode::<Bech32>(Hrp::parse(prefix).ok()?, bytes)
        .ok()
        .map(Zeroizing::new)
}

#[cfg(test)]
mod tests;
