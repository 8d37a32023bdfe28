//! The keys that open a repository's master keys: one from the settings, one in AWS KMS, or neither.

use aws_sdk_kms::{Client, error::ProvideErrorMetadata, primitives::Blob};
use holdfast_codec::{KeyEncryptionKey, KeyError, MasterKey, WrapMethod, WrappedMasterKey, random_bytes};
use holdfast_domain::{KeyEpoch, RepositoryId, WrappedKey};

/// What KMS binds a wrapped key to, so that it opens for no other repository.
const ENCRYPTION_CONTEXT: &str = "holdfast:repository";

/// The keys at hand. Holds secrets; prints none.
#[derive(Debug, Default)]
pub struct Keyring {
    key: Option<KeyEncryptionKey>,
    kms: Option<(Client, String)>,
}

/// A master key that could not be wrapped or unwrapped.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// Encryption was asked for, and neither key is set.
    #[error("no key is set: set BACKUP_ENCRYPTION_KEY or BACKUP_KMS_KEY_ID")]
    Empty,
    /// None of the keys at hand opens this epoch.
    #[error("key epoch {epoch} of repository {repository} does not open: {reason}")]
    DoesNotOpen {
        /// The epoch.
        epoch: u32,
        /// The repository.
        repository: RepositoryId,
        /// What was tried, and how it failed.
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
        Self { key, kms }
    }

    /// No keys: enough for what is not encrypted.
    #[must_use]
    pub const fn none() -> Self {
        Self::new(None, None)
    }

    /// The master key, wrapped under every key at hand.
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
            wrapped.push(kms_wrap(client, key_id, master, repository).await?);
        }
        if wrapped.is_empty() { Err(KeyringError::Empty) } else { Ok(wrapped) }
    }

    /// The master key of an epoch, by whichever key at hand opens it.
    pub(super) async fn unwrap(&self, epoch: &KeyEpoch, repository: &RepositoryId) -> Result<MasterKey, KeyringError> {
        let mut reasons = Vec::new();
        for wrapped in &epoch.keys {
            match self.unwrap_one(wrapped, repository).await {
                Ok(master) => return Ok(master),
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
            WrappedKey::Key { .. } | WrappedKey::Passphrase { .. } => {
                let key = self.key.as_ref().ok_or("BACKUP_ENCRYPTION_KEY is not set")?;
                let wrapped = from_file(wrapped).ok_or("its wrapped key is not hex of the right length")?;
                key.unwrap(&wrapped).map_err(|error| format!("BACKUP_ENCRYPTION_KEY: {error}"))
            }
            WrappedKey::Kms { key_id, ciphertext } => {
                let (client, _) =
                    self.kms.as_ref().ok_or_else(|| format!("BACKUP_KMS_KEY_ID is not set (it was {key_id})"))?;
                kms_unwrap(client, key_id, ciphertext, repository).await.map_err(|error| error.to_string())
            }
        }
    }
}

async fn kms_wrap(
    client: &Client,
    key_id: &str,
    master: &MasterKey,
    repository: &RepositoryId,
) -> Result<WrappedKey, KeyringError> {
    let answer = client
        .encrypt()
        .key_id(key_id)
        .plaintext(Blob::new(master.expose()))
        .encryption_context(ENCRYPTION_CONTEXT, repository.as_str())
        .send()
        .await
        .map_err(|error| KeyringError::Kms { action: "wrap", cause: said(&error) })?;
    let ciphertext = answer
        .ciphertext_blob()
        .ok_or_else(|| KeyringError::Kms { action: "wrap", cause: "the answer holds no ciphertext".to_owned() })?;
    Ok(WrappedKey::Kms {
        key_id: answer.key_id().unwrap_or(key_id).to_owned(),
        ciphertext: hex::encode(ciphertext.as_ref()),
    })
}

async fn kms_unwrap(
    client: &Client,
    key_id: &str,
    ciphertext: &str,
    repository: &RepositoryId,
) -> Result<MasterKey, KeyringError> {
    let fault = |cause: String| KeyringError::Kms { action: "unwrap", cause };
    let ciphertext = hex::decode(ciphertext).map_err(|_| fault("the wrapped key is not hex".to_owned()))?;
    let answer = client
        .decrypt()
        .key_id(key_id)
        .ciphertext_blob(Blob::new(ciphertext))
        .encryption_context(ENCRYPTION_CONTEXT, repository.as_str())
        .send()
        .await
        .map_err(|error| fault(said(&error)))?;
    let master: Option<[u8; 32]> = answer.plaintext().and_then(|plain| plain.as_ref().try_into().ok());
    master.map(MasterKey::new).ok_or_else(|| fault("what it holds is not a master key of 32 bytes".to_owned()))
}

/// KMS's own words; of what lies beneath, as a connection that failed, only that it did.
fn said(error: &impl ProvideErrorMetadata) -> String {
    let code = error.code().unwrap_or("it could not be reached");
    error.message().map_or_else(|| code.to_owned(), |message| format!("{code}: {message}"))
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
        WrappedKey::Kms { .. } => return None,
    };
    Some(WrappedMasterKey { method, bytes: from_hex(wrapped)? })
}

fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(bytes)
}
