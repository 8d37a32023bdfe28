//! The keys that open a repository's master keys. The settings' keys also wrap master keys. The
//! others only open them.

use aws_sdk_kms::Client;
use holdfast_codec::{
    AgeIdentity, AgeRecipient, KeyEncryptionKey, KeyError, MasterKey, WrapMethod, WrappedMasterKey,
    random_bytes,
};
use holdfast_domain::{KeyEpoch, RepositoryId, WrappedKey};

use super::{KeyringError, kms};

/// The keys at hand. They are secret and are never printed.
#[derive(Debug, Default)]
pub struct Keyring {
    key: Option<KeyEncryptionKey>,
    kms: Option<(Client, String)>,
    recipient: Option<AgeRecipient>,
    openers: Openers,
}

/// Keys that only open master keys.
#[derive(Debug, Default)]
pub struct Openers {
    /// Earlier values of `BACKUP_ENCRYPTION_KEY`.
    pub previous_keys: Vec<KeyEncryptionKey>,
    /// Identities of age recipients.
    pub identities: Vec<AgeIdentity>,
    /// KMS, for master keys wrapped by another key than `BACKUP_KMS_KEY_ID`.
    pub kms: Option<Client>,
    /// Exported master keys, each with its epoch.
    pub exported: Vec<(u32, MasterKey)>,
}

impl Keyring {
    /// The keys named by the settings.
    #[must_use]
    pub const fn new(key: Option<KeyEncryptionKey>, kms: Option<(Client, String)>) -> Self {
        let openers = Openers {
            previous_keys: Vec::new(),
            identities: Vec::new(),
            kms: None,
            exported: Vec::new(),
        };
        Self {
            key,
            kms,
            recipient: None,
            openers,
        }
    }

    /// No keys: sufficient for unencrypted backups.
    #[must_use]
    pub const fn none() -> Self {
        Self::new(None, None)
    }

    /// Adds a recipient to the later wrappings.
    #[must_use]
    pub fn wrapping_for(self, recipient: Option<AgeRecipient>) -> Self {
        Self { recipient, ..self }
    }

    /// Adds keys for opening.
    #[must_use]
    pub fn opening_with(self, openers: Openers) -> Self {
        Self { openers, ..self }
    }

    /// The age recipient named by the settings.
    pub(super) const fn recipient(&self) -> Option<&AgeRecipient> {
        self.recipient.as_ref()
    }

    /// Wraps the master key under every key at hand that opens it online, and then for the
    /// recipient.
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

    /// As `wrap`, for the replacement of working keys. It opens each wrapped key again, if the key
    /// for it is at hand.
    pub(super) async fn wrap_again(
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

    /// The exported master key of an epoch, if it is at hand.
    pub(super) fn exported(&self, epoch: u32) -> Option<&MasterKey> {
        self.openers
            .exported
            .iter()
            .find(|(exported, _)| *exported == epoch)
            .map(|(_, master)| master)
    }

    /// Opens the master key of an epoch with any key at hand. KMS comes last, because it may be
    /// unavailable.
    pub(super) async fn unwrap(
        &self,
        epoch: &KeyEpoch,
        repository: &RepositoryId,
    ) -> Result<MasterKey, KeyringError> {
        let mut reasons = Vec::new();
        match self.exported(epoch.epoch) {
            Some(master) if is_key_of(epoch, master) => return Ok(master.clone()),
            Some(_) => reasons.push(
                "the exported master key belongs to another repository, or is mistyped".to_owned(),
            ),
            None => {}
        }
        let (by_kms, here): (Vec<_>, Vec<_>) = epoch
            .keys
            .iter()
            .partition(|wrapped| matches!(wrapped, WrappedKey::Kms { .. }));
        for wrapped in here.into_iter().chain(by_kms) {
            match self.unwrap_one(wrapped, repository).await {
                Ok(master) if is_key_of(epoch, &master) => return Ok(master),
                Ok(_) => reasons.push(format!(
                    "the wrapped key ({}) is not its master key",
                    wrapped.method()
                )),
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

    async fn unwrap_one(
        &self,
        wrapped: &WrappedKey,
        repository: &RepositoryId,
    ) -> Result<MasterKey, String> {
        match wrapped {
            WrappedKey::Key { .. } | WrappedKey::Passphrase { .. } => self.by_key(wrapped),
            WrappedKey::Kms { key_id, ciphertext } => {
                let client = self
                    .kms
                    .as_ref()
                    .map(|(client, _)| client)
                    .or(self.openers.kms.as_ref());
                let client = client
                    .ok_or_else(|| format!("BACKUP_KMS_KEY_ID is not set (it was {key_id})"))?;
                kms::unwrap(client, key_id, ciphertext, repository)
                    .await
                    .map_err(|error| error.to_string())
            }
            WrappedKey::Age { recipient, file } => self.by_identity(recipient, file),
        }
    }

    fn by_key(&self, wrapped: &WrappedKey) -> Result<MasterKey, String> {
        let wrapped = from_file(wrapped).ok_or("its wrapped key is not hex of the right length")?;
        let key = self.key.as_ref().map(|key| ("BACKUP_ENCRYPTION_KEY", key));
        let previous = self
            .openers
            .previous_keys
            .iter()
            .map(|key| ("the previous key", key));
        let mut reasons = Vec::new();
        for (name, key) in key.into_iter().chain(previous) {
            match key.unwrap(&wrapped) {
                Ok(master) => return Ok(master),
                Err(KeyError::WrongKey) => {
                    reasons.push(format!("{name} is the wrong key for this repository"));
                }
                Err(error) => reasons.push(format!("{name}: {error}")),
            }
        }
        if reasons.is_empty() {
            reasons.push("BACKUP_ENCRYPTION_KEY is not set".to_owned());
        }
        Err(reasons.join("; "))
    }

    fn by_identity(&self, recipient: &str, file: &str) -> Result<MasterKey, String> {
        // The author of the file chose this text, so only a valid recipient is repeated.
        let recipient = AgeRecipient::parse(recipient)
            .map_or_else(|_| "age".to_owned(), |known| known.to_string());
        if self.openers.identities.is_empty() {
            return Err(format!(
                "no age identity was given: set --identity to the identity of {recipient}"
            ));
        }
        let file = hex::decode(file).map_err(|_| format!("its file for {recipient} is not hex"))?;
        for identity in &self.openers.identities {
            match identity.unwrap(&file) {
                Err(KeyError::WrongIdentity) => {}
                opened => return opened.map_err(|error| error.to_string()),
            }
        }
        Err(format!("no given identity belongs to {recipient}"))
    }
}

/// Wraps the master key for the owner of an offline identity.
pub(super) fn wrap_for(
    recipient: &AgeRecipient,
    master: &MasterKey,
) -> Result<WrappedKey, KeyError> {
    Ok(WrappedKey::Age {
        recipient: recipient.to_string(),
        file: hex::encode(recipient.wrap(master)?),
    })
}

fn is_key_of(epoch: &KeyEpoch, master: &MasterKey) -> bool {
    epoch
        .fingerprint
        .is_none_or(|fingerprint| fingerprint == master.fingerprint())
}

fn to_file(wrapped: &WrappedMasterKey) -> WrappedKey {
    let bytes = hex::encode(wrapped.bytes);
    match wrapped.method {
        WrapMethod::Raw => WrappedKey::Key { wrapped: bytes },
        WrapMethod::Pbkdf2 { salt, rounds } => WrappedKey::Passphrase {
            salt: hex::encode(salt),
            iterations: rounds,
            wrapped: bytes,
        },
    }
}

fn from_file(key: &WrappedKey) -> Option<WrappedMasterKey> {
    let (method, wrapped) = match key {
        WrappedKey::Key { wrapped } => (WrapMethod::Raw, wrapped),
        WrappedKey::Passphrase {
            salt,
            iterations,
            wrapped,
        } => (
            WrapMethod::Pbkdf2 {
                salt: from_hex(salt)?,
                rounds: *iterations,
            },
            wrapped,
        ),
        WrappedKey::Kms { .. } | WrappedKey::Age { .. } => return None,
    };
    Some(WrappedMasterKey {
        method,
        bytes: from_hex(wrapped)?,
    })
}

fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(bytes)
}
