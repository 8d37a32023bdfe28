//! The secret half of a key pair, kept in a file. It unwraps master keys of its recipient.

use std::fmt;

use aws_lc_rs::agreement::{PrivateKey, X25519};
use holdfast_domain::Secret;

use super::{AgeRecipient, agreed_key, file::AgeFile, from_bech32, public};
use crate::{KeyError, MasterKey};

const PREFIX: &str = "age-secret-key-";

/// Limit of identities in one file. Real files have fewer.
const MAX_IDENTITIES: usize = 100;

/// An age identity of the kind X25519. Prints its recipient, never itself.
pub struct AgeIdentity {
    secret: PrivateKey,
    recipient: AgeRecipient,
}

impl AgeIdentity {
    /// Reads the identities of a file in the form of `age-keygen`: one line each, and comments.
    ///
    /// # Errors
    /// [`KeyError::Identity`] if the file has no identity, or another kind of line. The line is not
    /// shown.
    pub fn read_file(text: &Secret) -> Result<Vec<Self>, KeyError> {
        let invalid = |reason| KeyError::Identity { reason };
        let text = text.expose();
        if text.starts_with("age-encryption.org/")
            || text.starts_with("-----BEGIN AGE ENCRYPTED FILE")
        {
            return Err(invalid(
                "the file is encrypted itself: decrypt it first, with `age -d`",
            ));
        }
        let lines = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        let identities = lines
            .take(MAX_IDENTITIES)
            .map(Self::parse)
            .collect::<Result<Vec<_>, _>>()?;
        if identities.is_empty() {
            return Err(invalid("the file contains no identity"));
        }
        Ok(identities)
    }

    fn parse(line: &str) -> Result<Self, KeyError> {
        let invalid = |reason| KeyError::Identity { reason };
        let bytes = from_bech32(line, PREFIX).ok_or_else(|| invalid(problem_of(line)))?;
        let secret = PrivateKey::from_private_key(&X25519, bytes.as_ref()).ok();
        let known =
            secret.and_then(|secret| public(&secret).map(|point| (secret, AgeRecipient(point))));
        let (secret, recipient) = known.ok_or_else(|| invalid("a line is not a valid key"))?;
        Ok(Self { secret, recipient })
    }

    /// The recipient of this identity.
    #[must_use]
    pub const fn recipient(&self) -> &AgeRecipient {
        &self.recipient
    }

    /// Unwraps the master key of a file for this identity's recipient.
    ///
    /// # Errors
    /// [`KeyError::WrongIdentity`] for another recipient's file. [`KeyError::Corrupt`] for another
    /// kind of file, or a changed one.
    pub fn unwrap(&self, file: &[u8]) -> Result<MasterKey, KeyError> {
        let corrupt = |reason: &str| KeyError::Corrupt {
            reason: reason.to_owned(),
        };
        let file = AgeFile::parse(file)
            .ok_or_else(|| corrupt("it is not an age file of one X25519 recipient"))?;
        let wrap = agreed_key(
            &self.secret,
            &file.ephemeral,
            &file.ephemeral,
            &self.recipient.0,
        )
        .ok_or_else(|| corrupt("the point in its age file belongs to no key pair"))?;
        let key = file.file_key(&wrap).ok_or(KeyError::WrongIdentity)?;
        file.open(&key)
            .ok_or_else(|| corrupt("its age file was changed"))
    }
}

fn problem_of(line: &str) -> &'static str {
    let lower = line.to_ascii_lowercase();
    if lower.starts_with("age-plugin-") {
        "it belongs to a plugin of age: open the master key with age itself, as described in RESTORE.md"
    } else if lower.starts_with("age1") {
        "it is a recipient, and only an identity opens the master key"
    } else if lower.starts_with("-----begin openssh") {
        "it is an SSH key"
    } else if lower.starts_with(PREFIX) {
        "a line is cut, mistyped, or of another kind than X25519"
    } else {
        "a line is neither an identity nor a comment"
    }
}

impl fmt::Debug for AgeIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AgeIdentity(of {})", self.recipient)
    }
}
