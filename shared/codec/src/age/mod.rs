//! The master key wrapped for somebody who keeps the other half of a key pair offline: the very file that
//! `age -r <recipient>` writes of its 32 bytes, so that `age -d -i <identity>` opens it.
//!
//! Of age (<https://age-encryption.org/v1>) this is the one form that is written here: one X25519 recipient, one chunk.

mod file;
mod identity;
mod recipient;

pub use identity::AgeIdentity;
pub use recipient::AgeRecipient;

use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};
use bech32::{Bech32, Hrp, primitives::decode::CheckedHrpstring};
use zeroize::Zeroizing;

use crate::keys::hkdf;

/// The key that one file's own key is sealed under: what both sides of the exchange come to. `None` where one of the
/// points is of a small order, so that the secret would be no secret.
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

/// The point that belongs to a secret.
fn public(secret: &PrivateKey) -> Option<[u8; 32]> {
    secret.compute_public_key().ok()?.as_ref().try_into().ok()
}

/// The 32 bytes that stand in a Bech32 text after this prefix; `None` where it is another, or written otherwise than
/// it is by everybody.
fn from_bech32(text: &str, prefix: &str) -> Option<Zeroizing<[u8; 32]>> {
    let text = Zeroizing::new(text.to_ascii_lowercase());
    let checked = CheckedHrpstring::new::<Bech32>(&text).ok()?;
    let mut bytes = Zeroizing::new([0; 32]);
    if checked.byte_iter().len() != bytes.len() {
        return None;
    }
    bytes.iter_mut().zip(checked.byte_iter()).for_each(|(to, from)| *to = from);
    (*to_bech32(&bytes, prefix)? == *text).then_some(bytes)
}

fn to_bech32(bytes: &[u8; 32], prefix: &str) -> Option<Zeroizing<String>> {
    bech32::encode::<Bech32>(Hrp::parse(prefix).ok()?, bytes).ok().map(Zeroizing::new)
}

#[cfg(test)]
mod tests;
