//! The keys that open a repository's master keys: those of the settings, which wrap too, and those that only open.

use aws_sdk_kms::Client;
use holdfast_codec::{
    AgeIdentity, AgeRecipient, KeyEncryptionKey, KeyError, MasterKey, WrapMethod, WrappedMasterKey, random_bytes,
};
use holdfast_domain::{KeyEpoch, RepositoryId, WrappedKey};

use super::kms;

/// The keys at hand. Holds secrets; prints none.
#[derive(Debug, Default)]
pub struct Keyring {
    key: Option<KeyEncryptionKey>,
    kms: Option<(Client, String)>,
    recipient: Option<AgeRecipient>,
    openers: Openers,
}

/// Keys that open a master key, and that none is wrapped under.
#[derive(Debug, Default)]
pub struct Openers {
    /// Keys of before, where `BACKUP_ENCRYPTION_KEY` is another by now.
    pub previous_keys: Vec<KeyEncryptionKey>,
    /// Identities of age recipients.
    pub identities: Vec<AgeIdentity>,
    /// KMS, for what was wrapped by a key that `BACKUP_KMS_KEY_ID` does not name.
    pub kms: Option<Client>,
    /// Master keys themselves, each with its epoch.
    pub exported: Vec<(u32, MasterKey)>,
}

/// A master key that could not be wrapped or unwrapped.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// Encryption was asked for, and neither key is set.
    #[error("no key is set: set BACKUP_ENCRYPTION_KEY or BACKUP_KMS_KEY_ID")]
    Empty,
    /// None of the keys at hand opens this epoch.
    #[error("{reason} (key epoch {epoch} of repository {repository})")]
    DoesNotOpen {
        /// The epoch.
        epoch: u32,
        /// The repository.
        repository: RepositoryId,
        /// What was tried, and how it failed.
        reason: String,
    },
    /// What was just wrapped does not open again, so that it must not take the place of what does.
    #[error(
        "the master key was wrapped ({method}) and does not open again: {reason}. Nothing was written: correct the key, \
         or the right to use it"
    )]
    NotReopened {
        /// How it was wrapped.
        method: &'static str,
        /// How it failed.
        reason: String,
    },
    /// KMS did not do as asked.
    #[error("AWS KMS refused to {action}: {cause}")]
    Kms {
        /// What was asked.
        action: &'static str,
        /// What it said.
        cause: String,
    },
    /// A key or a wrapped key is not what it should be.
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl Keyring {
    /// The keys that the settings name.
    #[must_use]
    pub const fn new(key: Option<KeyEncryptionKey>, kms: Option<(Client, String)>) -> Self {
        let openers = Openers { previous_keys: Vec::new(), identities: Vec::new(), kms: None, exported: Vec::new() };
        Self { key, kms, recipient: None, openers }
    }

    /// No keys: enough for what is not encrypted.
    #[must_use]
    pub const fn none() -> Self {
        Self::new(None, None)
    }

    /// The same, and what is wrapped from now on is wrapped for this recipient too.
    #[must_use]
    pub fn wrapping_for(self, recipient: Option<AgeRecipient>) -> Self {
        Self { recipient, ..self }
    }

    /// The same, and these open too.
    #[must_use]
    pub fn opening_with(self, openers: Openers) -> Self {
        Self { openers, ..self }
    }

    /// The age recipient that the settings name.
    pub(super) const fn recipient(&self) -> Option<&AgeRecipient> {
        self.recipient.as_ref()
    }

    /// The master key, wrapped under every key at hand that opens it again without anything from offline, and then for
    /// the recipient.
    pub(super) async fn wrap(
        &self,
        master: &MasterKey,
        repository: &RepositoryId,
    ) -> Result<Vec<WrappedKey>, KeyringError> {
        let mut wrapped = Vec::new();
        if let Some(key) = &self.key {
            wrapped.push(to_file(&key.wrap(master, random_bytes()?)));
        }
        if let Some((client, key_id)) = &self.kms {
            wrapped.push(kms::wrap(client, key_id, master, repository).await?);
        }
        if wrapped.is_empty() {
            return Err(KeyringError::Empty);
        }
        if let Some(recipient) = &self.recipient {
            wrapped.push(wrap_for(recipient, master)?);
        }
        Ok(wrapped)
    }

    /// The same, for what takes the place of keys that work: each is seen to open again, as far as its key is here.
    pub(super) async fn wrap_anew(
        &self,
        master: &MasterKey,
        repository: &RepositoryId,
    ) -> Result<Vec<WrappedKey>, KeyringError> {
        let wrapped = self.wrap(master, repository).await?;
        for wrapped in &wrapped {
            // Its identity is offline.
            if matches!(wrapped, WrappedKey::Age { .. }) {
                continue;
            }
            let method = wrapped.method();
            match self.unwrap_one(wrapped, repository).await {
                Ok(opened) if opened.fingerprint() == master.fingerprint() => {}
                Ok(_) => {
                    let reason = "it opens to another key".to_owned();
                    return Err(KeyringError::NotReopened { method, reason });
                }
                Err(reason) => return Err(KeyringError::NotReopened { method, reason }),
            }
        }
        Ok(wrapped)
    }

    /// The master key of an epoch as it was exported, where it is at hand.
    pub(super) fn exported(&self, epoch: u32) -> Option<&MasterKey> {
        self.openers.exported.iter().find(|(exported, _)| *exported == epoch).map(|(_, master)| master)
    }

    /// The master key of an epoch, by whichever key at hand opens it. KMS is asked last: it may be gone.
    pub(super) async fn unwrap(&self, epoch: &KeyEpoch, repository: &RepositoryId) -> Result<MasterKey, KeyringError> {
        let mut reasons = Vec::new();
        match self.exported(epoch.epoch) {
            Some(master) if is_key_of(epoch, master) => return Ok(master.clone()),
            Some(_) => reasons.push("the exported master key is another repository's, or mistyped".to_owned()),
            None => {}
        }
        let (by_kms, here): (Vec<_>, Vec<_>) =
            epoch.keys.iter().partition(|wrapped| matches!(wrapped, WrappedKey::Kms { .. }));
        for wrapped in here.into_iter().chain(by_kms) {
            match self.unwrap_one(wrapped, repository).await {
                Ok(master) if is_key_of(epoch, &master) => return Ok(master),
                Ok(_) => reasons.push(format!("what is wrapped ({}) is not its master key", wrapped.method())),
                Err(reason) => reasons.push(reason),
            }
        }
        if reasons.is_empty() {
            reasons.push("it lists no wrapped key".to_owned());
        }
        Err(KeyringError::DoesNotOpen {
            epoch: epoch.epoch,
            repository: repository.clone(),
            reason: reasons.join("; "),
        })
    }

    async fn unwrap_one(&self, wrapped: &WrappedKey, repository: &RepositoryId) -> Result<MasterKey, String> {
        match wrapped {
            WrappedKey::Key { .. } | WrappedKey::Passphrase { .. } => self.by_key(wrapped),
            WrappedKey::Kms { key_id, ciphertext } => {
                let client = self.kms.as_ref().map(|(client, _)| client).or(self.openers.kms.as_ref());
                let client = client.ok_or_else(|| format!("BACKUP_KMS_KEY_ID is not set (it was {key_id})"))?;
                kms::unwrap(client, key_id, ciphertext, repository).await.map_err(|error| error.to_string())
            }
            WrappedKey::Age { recipient, file } => self.by_identity(recipient, file),
        }
    }

    fn by_key(&self, wrapped: &WrappedKey) -> Result<MasterKey, String> {
        let wrapped = from_file(wrapped).ok_or("its wrapped key is not hex of the right length")?;
        let key = self.key.as_ref().map(|key| ("BACKUP_ENCRYPTION_KEY", key));
        let previous = self.openers.previous_keys.iter().map(|key| ("the previous key", key));
        let mut reasons = Vec::new();
        for (name, key) in key.into_iter().chain(previous) {
            match key.unwrap(&wrapped) {
                Ok(master) => return Ok(master),
                Err(KeyError::WrongKey) => reasons.push(format!("{name} is the wrong key for this repository")),
                Err(error) => reasons.push(format!("{name}: {error}")),
            }
        }
        if reasons.is_empty() {
            reasons.push("BACKUP_ENCRYPTION_KEY is not set".to_owned());
        }
        Err(reasons.join("; "))
    }

    fn by_identity(&self, recipient: &str, file: &str) -> Result<MasterKey, String> {
        // Whoever can write the file chose its text: only what is a recipient is repeated.
        let recipient = AgeRecipient::parse(recipient).map_or_else(|_| "age".to_owned(), |known| known.to_string());
        if self.openers.identities.is_empty() {
            return Err(format!("no age identity was given (--identity; it is wrapped for {recipient})"));
        }
        let file = hex::decode(file).map_err(|_| format!("its file for {recipient} is not hex"))?;
        for identity in &self.openers.identities {
            match identity.unwrap(&file) {
                Err(KeyError::WrongIdentity) => {}
                opened => return opened.map_err(|error| error.to_string()),
            }
        }
        Err(format!("no identity that was given is that of {recipient}"))
    }
}

/// The master key, wrapped for somebody who keeps the identity offline.
pub(super) fn wrap_for(recipient: &AgeRecipient, master: &MasterKey) -> Result<WrappedKey, KeyError> {
    Ok(WrappedKey::Age { recipient: recipient.to_string(), file: hex::encode(recipient.wrap(master)?) })
}

fn is_key_of(epoch: &KeyEpoch, master: &MasterKey) -> bool {
    epoch.fingerprint.is_none_or(|fingerprint| fingerprint == master.fingerprint())
}

fn to_file(wrapped: &WrappedMasterKey) -> WrappedKey {
    let bytes = hex::encode(wrapped.bytes);
    match wrapped.method {
        WrapMethod::Raw => WrappedKey::Key { wrapped: bytes },
        WrapMethod::Pbkdf2 { salt, rounds } => {
            WrappedKey::Passphrase { salt: hex::encode(salt), iterations: rounds, wrapped: bytes }
        }
    }
}

fn from_file(key: &WrappedKey) -> Option<WrappedMasterKey> {
    let (method, wrapped) = match key {
        WrappedKey::Key { wrapped } => (WrapMethod::Raw, wrapped),
        WrappedKey::Passphrase { salt, iterations, wrapped } => {
            (WrapMethod::Pbkdf2 { salt: from_hex(salt)?, rounds: *iterations }, wrapped)
        }
        WrappedKey::Kms { .. } | WrappedKey::Age { .. } => return None,
    };
    Some(WrappedMasterKey { method, bytes: from_hex(wrapped)? })
}

fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(bytes)
}
