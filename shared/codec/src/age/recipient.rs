//! The public half of a key pair, for wrapping a master key. It is not secret.

use std::fmt;

use aws_lc_rs::agreement::{PrivateKey, X25519};

use zeroize::Zeroizing;

use super::{agreed_key, file::AgeFile, from_bech32, public, to_bech32};
use crate::{KeyError, MasterKey, random_bytes};

const PREFIX: &str = "age";

/// An age recipient of the kind X25519: `age1` and 58 more characters.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct AgeRecipient(pub(super) [u8; 32]);

/// The ephemeral public half, and the result of the exchange.
type Exchange = ([u8; 32], Zeroizing<[u8; 32]>);

impl AgeRecipient {
    /// Reads a recipient in the form of `age-keygen`.
    ///
    /// # Errors
    /// [`KeyError::Recipient`] for everything else. The text is left out: a wrongly given identity
    /// is a secret.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let invalid = |reason| KeyError::Recipient { reason };
        let text = text.trim();
        let Some(point) = from_bech32(text, PREFIX) else {
            return Err(invalid(problem_of(text)));
        };
        let recipient = Self(*point);
        // A point of small order gives the same key for every secret.
        recipient
            .exchange()?
            .map(|_| recipient)
            .ok_or_else(|| invalid("its point belongs to no key pair"))
    }

    /// Wraps the master key in a file. Only this recipient's identity opens it.
    ///
    /// # Errors
    /// [`KeyError::Random`] if the system has no randomness.
    pub fn wrap(&self, master: &MasterKey) -> Result<Vec<u8>, KeyError> {
        let failed = || KeyError::Recipient {
            reason: "its point belongs to no key pair",
        };
        let (ephemeral, wrap) = self.exchange()?.ok_or_else(failed)?;
        let (key, nonce) = (random_bytes()?.into(), random_bytes()?);
        AgeFile::seal(master, &key, ephemeral, &wrap, nonce)
            .map(|file| file.to_bytes())
            .ok_or_else(failed)
    }

    /// The public half of a new key pair, and the result of its exchange with the recipient.
    fn exchange(&self) -> Result<Option<Exchange>, KeyError> {
        let secret =
            PrivateKey::generate(&X25519).map_err(|error| KeyError::Random(error.to_string()))?;
        Ok(public(&secret).and_then(|ephemeral| {
            Some((
                ephemeral,
                agreed_key(&secret, &self.0, &ephemeral, &self.0)?,
            ))
        }))
    }
}

fn problem_of(text: &str) -> &'static str {
    let lower = text.to_ascii_lowercase();
    match lower.as_str() {
        "" => "it is empty",
        text if text.starts_with("age-secret-key-") => {
            "it is an identity, a secret: give its recipient instead"
        }
        text if text.starts_with("ssh-") => {
            "it is an SSH key: only X25519 recipients are supported"
        }
        text if text.starts_with("age1") && text.len() != 62 => {
            "its length is not that of an X25519 recipient: it is cut, or of another kind"
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
