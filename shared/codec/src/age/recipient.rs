//! Whom a master key is wrapped for: the public half, which is no secret.

use std::fmt;

use aws_lc_rs::agreement::{PrivateKey, X25519};

use zeroize::Zeroizing;

use super::{agreed_key, file::AgeFile, from_bech32, public, to_bech32};
use crate::{KeyError, MasterKey, random_bytes};

const PREFIX: &str = "age";

/// An age recipient of the kind X25519: `age1` and 58 more characters.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct AgeRecipient(pub(super) [u8; 32]);

/// The ephemeral half that goes along, and what both halves come to.
type Exchange = ([u8; 32], Zeroizing<[u8; 32]>);

impl AgeRecipient {
    /// Reads a recipient as `age-keygen` prints it.
    ///
    /// # Errors
    /// [`KeyError::Recipient`] for everything else, without the text: an identity given in its place is a secret.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let invalid = |reason| KeyError::Recipient { reason };
        let text = text.trim();
        let Some(point) = from_bech32(text, PREFIX) else {
            return Err(invalid(problem_of(text)));
        };
        let recipient = Self(*point);
        // A point of small order gives everybody the same key.
        recipient.exchange()?.map(|_| recipient).ok_or_else(|| invalid("its point is none that a key pair can have"))
    }

    /// The master key, in a file that only this recipient's identity opens.
    ///
    /// # Errors
    /// [`KeyError::Random`] if the system has no randomness.
    pub fn wrap(&self, master: &MasterKey) -> Result<Vec<u8>, KeyError> {
        let failed = || KeyError::Recipient { reason: "its point is none that a key pair can have" };
        let (ephemeral, wrap) = self.exchange()?.ok_or_else(failed)?;
        let (key, nonce) = (random_bytes()?.into(), random_bytes()?);
        AgeFile::seal(master, &key, ephemeral, &wrap, nonce).map(|file| file.to_bytes()).ok_or_else(failed)
    }

    /// A new key pair's public half, and what it and the recipient come to.
    fn exchange(&self) -> Result<Option<Exchange>, KeyError> {
        let secret = PrivateKey::generate(&X25519).map_err(|error| KeyError::Random(error.to_string()))?;
        Ok(public(&secret).and_then(|ephemeral| Some((ephemeral, agreed_key(&secret, &self.0, &ephemeral, &self.0)?))))
    }
}

fn problem_of(text: &str) -> &'static str {
    let lower = text.to_ascii_lowercase();
    match lower.as_str() {
        "" => "it is empty",
        text if text.starts_with("age-secret-key-") => {
            "it is an identity, which is secret and does not belong here: give the recipient of it"
        }
        text if text.starts_with("ssh-") => "it is an SSH key, and recipients are of the kind X25519 alone",
        text if text.starts_with("age1") && text.len() != 62 => {
            "it has not the length of a recipient of the kind X25519: it is cut, or of another kind"
        }
        text if text.starts_with("age1") => "its checksum does not match: it was mistyped",
        _ => "it does not begin with age1",
    }
}

impl fmt::Display for AgeRecipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = to_bech32(&self.0, PREFIX).ok_or(fmt::Error)?;
        f.write_str(&text)
    }
}

impl fmt::Debug for AgeRecipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AgeRecipient({self})")
    }
}
