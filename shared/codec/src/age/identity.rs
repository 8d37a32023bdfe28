//! Who opens what was wrapped for a recipient: the secret half, as it is kept in a file of its own.

use std::fmt;

use aws_lc_rs::agreement::{PrivateKey, X25519};
use holdfast_domain::Secret;

use super::{AgeRecipient, agreed_key, file::AgeFile, from_bech32, public};
use crate::{KeyError, MasterKey};

const PREFIX: &str = "age-secret-key-";

/// More identities than anybody keeps in one file.
const MAX_IDENTITIES: usize = 100;

/// An age identity of the kind X25519. Prints its recipient, never itself.
pub struct AgeIdentity {
    secret: PrivateKey,
    recipient: AgeRecipient,
}

impl AgeIdentity {
    /// The identities of a file as `age-keygen` writes it: a line each, beside comments.
    ///
    /// # Errors
    /// [`KeyError::Identity`] where there is none, or a line is something else, which is not shown.
    pub fn read_file(text: &Secret) -> Result<Vec<Self>, KeyError> {
        let invalid = |reason| KeyError::Identity { reason };
        let text = text.expose();
        if text.starts_with("age-encryption.org/") || text.starts_with("-----BEGIN AGE ENCRYPTED FILE") {
            return Err(invalid("the file is encrypted itself: decrypt it first, with `age -d`"));
        }
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let identities = lines.take(MAX_IDENTITIES).map(Self::parse).collect::<Result<Vec<_>, _>>()?;
        if identities.is_empty() {
            return Err(invalid("the file holds none"));
        }
        Ok(identities)
    }

    fn parse(line: &str) -> Result<Self, KeyError> {
        let invalid = |reason| KeyError::Identity { reason };
        let bytes = from_bech32(line, PREFIX).ok_or_else(|| invalid(problem_of(line)))?;
        let secret = PrivateKey::from_private_key(&X25519, bytes.as_ref()).ok();
        let known = secret.and_then(|secret| public(&secret).map(|point| (secret, AgeRecipient(point))));
        let (secret, recipient) = known.ok_or_else(|| invalid("a line is no key"))?;
        Ok(Self { secret, recipient })
    }

    /// Whom to wrap for, so that this opens it.
    #[must_use]
    pub const fn recipient(&self) -> &AgeRecipient {
        &self.recipient
    }

    /// The master key in a file that was written for this identity's recipient.
    ///
    /// # Errors
    /// [`KeyError::WrongIdentity`] where it was written for another; [`KeyError::Corrupt`] where it is not such a file,
    /// or was changed.
    pub fn unwrap(&self, file: &[u8]) -> Result<MasterKey, KeyError> {
        let corrupt = |reason: &str| KeyError::Corrupt { reason: reason.to_owned() };
        let file = AgeFile::parse(file).ok_or_else(|| corrupt("it is no age file of one X25519 recipient"))?;
        let wrap = agreed_key(&self.secret, &file.ephemeral, &file.ephemeral, &self.recipient.0)
            .ok_or_else(|| corrupt("the point in its age file is none that a key pair can have"))?;
        let key = file.file_key(&wrap).ok_or(KeyError::WrongIdentity)?;
        file.open(&key).ok_or_else(|| corrupt("its age file was changed"))
    }
}

fn problem_of(line: &str) -> &'static str {
    let lower = line.to_ascii_lowercase();
    if lower.starts_with("age-plugin-") {
        "it belongs to a plugin of age: open the master key with age itself, as RESTORE.md says"
    } else if lower.starts_with("age1") {
        "it is a recipient, which opens nothing"
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
