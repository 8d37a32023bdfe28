//! Changes the keys that open the master keys, without touching data.
//!
//! It first replaces `repository.json`, only if it is unchanged since its reading, and then its
//! copy. After a crash in between, the next writing run updates the copy.

use holdfast_codec::{AgeRecipient, MasterKey};
use holdfast_domain::{KeyEpoch, ObjectKey, RepositoryFile, RepositoryId, WrappedKey};
use holdfast_storage::{PutMode, StoreError};
use serde::Serialize;

use super::{Repository, RepositoryFileError, create::encode, keyring::wrap_for};
use crate::RepositoryError;

/// A change of the wrapped keys.
#[derive(Debug, Clone)]
pub enum KeyChange {
    /// Wraps under the keys at hand, and under no other key or KMS key. Recipients stay.
    Rotate,
    /// Also wraps for this recipient.
    AddRecipient(AgeRecipient),
    /// Removes the recipient of this text.
    RemoveRecipient(String),
}

/// The key that opens a master key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WrappedUnder {
    /// `key`, `passphrase`, `kms` or `age`.
    pub method: &'static str,
    /// The KMS key's ARN, or the age recipient. The author of the file chose this text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
}

/// One master key, before and after.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RewrappedEpoch {
    /// Its epoch.
    pub epoch: u32,
    /// The keys for it before the change.
    pub before: Vec<WrappedUnder>,
    /// The keys for it after the change.
    pub after: Vec<WrappedUnder>,
}

/// Result of a change.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RewrapReport {
    /// The repository.
    pub repository_id: RepositoryId,
    /// Revision number of the changed file.
    pub revision: u64,
    /// Every master key.
    pub epochs: Vec<RewrappedEpoch>,
}

/// A prepared change, not written yet. It applies only to exactly the file of its preparation.
#[derive(Debug)]
pub struct Rewrap {
    file: RepositoryFile,
    etag: String,
    report: RewrapReport,
}

impl Rewrap {
    /// The result of writing it.
    #[must_use]
    pub const fn report(&self) -> &RewrapReport {
        &self.report
    }
}

impl WrappedUnder {
    /// The key that opens this wrapped key.
    #[must_use]
    pub fn of(key: &WrappedKey) -> Self {
        let of = match key {
            WrappedKey::Key { .. } | WrappedKey::Passphrase { .. } => None,
            WrappedKey::Kms { key_id, .. } => Some(key_id.clone()),
            WrappedKey::Age { recipient, .. } => Some(recipient.clone()),
        };
        Self {
            method: key.method(),
            of,
        }
    }
}

impl Repository {
    /// Opens every master key with the keys at hand, and wraps it for the change. Writes nothing.
    ///
    /// # Errors
    /// [`RepositoryError::Key`] if an epoch does not open, or a new wrapped key does not open
    /// again. [`RepositoryError::Invalid`] if the recipient to remove is unknown, or if no
    /// other key would remain.
    pub async fn prepare_rewrap(&self, change: &KeyChange) -> Result<Rewrap, RepositoryError> {
        // The etag first: if the file changes later, its replacement is refused.
        let marked = self.store().head(&ObjectKey::repository()).await;
        // The copy before the file, because it is written after the file.
        let copy = self.copy().await?;
        let mut file = self.open().await?;
        if copy.is_some_and(|copy| !file.covers(&copy)) {
            return Err(RepositoryFileError::CopyDiffers(self.location().clone()).into());
        }
        if file.epochs.is_empty() {
            return Err(RepositoryFileError::NoKey(self.location().clone()).into());
        }
        let mut epochs = Vec::new();
        for epoch in &mut file.epochs {
            let before = epoch.keys.iter().map(WrappedUnder::of).collect();
            let master = self.unwrapped(&file.id, epoch).await?;
            epoch.keys = self.changed(change, &master, epoch, &file.id).await?;
            epoch.fingerprint = Some(master.fingerprint());
            epochs.push(RewrappedEpoch {
                epoch: epoch.epoch,
                before,
                after: epoch.keys.iter().map(WrappedUnder::of).collect(),
            });
        }
        file.revision = file.revision.saturating_add(1);
        let report = RewrapReport {
            repository_id: file.id.clone(),
            revision: file.revision,
            epochs,
        };
        Ok(Rewrap {
            file,
            etag: marked?.etag,
            report,
        })
    }

    /// Writes a change: the file, then its copy.
    ///
    /// # Errors
    /// [`RepositoryFileError::Changed`] if the file changed since the preparation: nothing was
    /// written. After any other error the file may be written, but it is complete in any case.
    pub async fn rewrap(&self, change: Rewrap) -> Result<RewrapReport, RepositoryError> {
        let Rewrap { file, etag, report } = change;
        match self
            .store()
            .put(
                &ObjectKey::repository(),
                encode(&file)?,
                PutMode::IfUnchanged(etag),
            )
            .await
        {
            Ok(_) => {}
            Err(StoreError::AlreadyExists { .. }) => {
                return Err(RepositoryFileError::Changed(self.location().clone()).into());
            }
            Err(error) => return Err(error.into()),
        }
        self.update_copy().await?;
        Ok(report)
    }

    async fn changed(
        &self,
        change: &KeyChange,
        master: &MasterKey,
        epoch: &KeyEpoch,
        repository: &RepositoryId,
    ) -> Result<Vec<WrappedKey>, RepositoryError> {
        match change {
            KeyChange::Rotate => {
                let wrapped = self.keyring().wrap_again(master, repository).await?;
                // They stay unchanged. An injected recipient never receives the key.
                let others = still_there(&epoch.keys, &wrapped);
                Ok([wrapped, others].concat())
            }
            KeyChange::AddRecipient(recipient) => {
                let added = wrap_for(recipient, master)?;
                let others = epoch
                    .keys
                    .iter()
                    .filter(|key| WrappedUnder::of(key) != WrappedUnder::of(&added));
                Ok(others.cloned().chain([added.clone()]).collect())
            }
            KeyChange::RemoveRecipient(recipient) => without_recipient(&epoch.keys, recipient),
        }
    }
}

/// The earlier recipients, without the newly wrapped ones.
fn still_there(before: &[WrappedKey], now: &[WrappedKey]) -> Vec<WrappedKey> {
    let is_new = |key: &WrappedKey| {
        now.iter()
            .any(|new| WrappedUnder::of(new) == WrappedUnder::of(key))
    };
    let is_kept = |key: &&WrappedKey| matches!(key, WrappedKey::Age { .. }) && !is_new(key);
    before.iter().filter(is_kept).cloned().collect()
}

fn without_recipient(
    keys: &[WrappedKey],
    removed: &str,
) -> Result<Vec<WrappedKey>, RepositoryError> {
    let is_removed =
        |key: &WrappedKey| matches!(key, WrappedKey::Age { recipient, .. } if recipient == removed);
    let left: Vec<WrappedKey> = keys
        .iter()
        .filter(|key| !is_removed(key))
        .cloned()
        .collect();
    if left.len() == keys.len() {
        return Err(RepositoryError::Invalid(
            "the master key is not wrapped for that recipient: list the recipients with `holdfast key show`".to_owned(),
        ));
    }
    if left.iter().all(|key| matches!(key, WrappedKey::Age { .. })) {
        return Err(RepositoryError::Invalid(
            "no key or KMS key would open the repository any more: set one and run `holdfast key rotate`".to_owned(),
        ));
    }
    Ok(left)
}
