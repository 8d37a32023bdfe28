//! Changing what opens the master keys: they are wrapped anew, and no data are touched. First `repository.json`, which
//! is replaced only if it is still the one that was read; then its copy. Killed in between, the next run that writes
//! brings the copy up.

use holdfast_codec::{AgeRecipient, MasterKey};
use holdfast_domain::{KeyEpoch, ObjectKey, RepositoryFile, RepositoryId, WrappedKey};
use holdfast_storage::{PutMode, StoreError};
use serde::Serialize;

use super::{Repository, RepositoryFileError, create::encode, keyring::wrap_for};
use crate::RepositoryError;

/// What is to become of the wrapped keys.
#[derive(Debug, Clone)]
pub enum KeyChange {
    /// Wrapped under the keys at hand now, and under no other key or KMS key. Recipients stay.
    Rotate,
    /// Wrapped for this recipient too.
    AddRecipient(AgeRecipient),
    /// No longer wrapped for the recipient of this text.
    RemoveRecipient(String),
}

/// What a master key is wrapped under.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WrappedUnder {
    /// `key`, `passphrase`, `kms` or `age`.
    pub method: &'static str,
    /// The KMS key's ARN, or the age recipient. As the file has it: whoever may write that chose the text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
}

/// One master key, before and after.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RewrappedEpoch {
    /// Its epoch.
    pub epoch: u32,
    /// What it was wrapped under.
    pub before: Vec<WrappedUnder>,
    /// What it is wrapped under.
    pub after: Vec<WrappedUnder>,
}

/// What a change comes to.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RewrapReport {
    /// The repository.
    pub repository_id: RepositoryId,
    /// The number of the file as changed.
    pub revision: u64,
    /// Every master key.
    pub epochs: Vec<RewrappedEpoch>,
}

/// A change that is worked out and not written yet. It fits the very file it was made from, and no other.
#[derive(Debug)]
pub struct Rewrap {
    file: RepositoryFile,
    etag: String,
    report: RewrapReport,
}

impl Rewrap {
    /// What writing it comes to.
    #[must_use]
    pub const fn report(&self) -> &RewrapReport {
        &self.report
    }
}

impl WrappedUnder {
    /// What this key is wrapped under.
    #[must_use]
    pub fn of(key: &WrappedKey) -> Self {
        let of = match key {
            WrappedKey::Key { .. } | WrappedKey::Passphrase { .. } => None,
            WrappedKey::Kms { key_id, .. } => Some(key_id.clone()),
            WrappedKey::Age { recipient, .. } => Some(recipient.clone()),
        };
        Self { method: key.method(), of }
    }
}

impl Repository {
    /// Opens every master key with the keys at hand and wraps it as the change wants it. Writes nothing.
    ///
    /// # Errors
    /// [`RepositoryError::Key`] where an epoch does not open, or what was wrapped does not open again;
    /// [`RepositoryError::Invalid`] where a recipient is to be removed that is not there, or that is all there is.
    pub async fn prepare_rewrap(&self, change: &KeyChange) -> Result<Rewrap, RepositoryError> {
        // The mark first: a file that changes after it is refused when this one is to take its place.
        let marked = self.store().head(&ObjectKey::repository()).await;
        // The copy before the file, for it is written after it.
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
        let report = RewrapReport { repository_id: file.id.clone(), revision: file.revision, epochs };
        Ok(Rewrap { file, etag: marked?.etag, report })
    }

    /// Writes a change: the file, then its copy.
    ///
    /// # Errors
    /// [`RepositoryFileError::Changed`] where the file is no longer the one that the change was made from: nothing was
    /// written. After any other error the file may be written, and is whole in any case.
    pub async fn rewrap(&self, change: Rewrap) -> Result<RewrapReport, RepositoryError> {
        let Rewrap { file, etag, report } = change;
        match self.store().put(&ObjectKey::repository(), encode(&file)?, PutMode::IfUnchanged(etag)).await {
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
                let wrapped = self.keyring().wrap_anew(master, repository).await?;
                // As they are: what somebody else may have put there is never given the key.
                let others = still_there(&epoch.keys, &wrapped);
                Ok([wrapped, others].concat())
            }
            KeyChange::AddRecipient(recipient) => {
                let added = wrap_for(recipient, master)?;
                let others = epoch.keys.iter().filter(|key| WrappedUnder::of(key) != WrappedUnder::of(&added));
                Ok(others.cloned().chain([added.clone()]).collect())
            }
            KeyChange::RemoveRecipient(recipient) => without_recipient(&epoch.keys, recipient),
        }
    }
}

/// Those of before, but for the recipients that were wrapped for now.
fn still_there(before: &[WrappedKey], now: &[WrappedKey]) -> Vec<WrappedKey> {
    let is_new = |key: &WrappedKey| now.iter().any(|new| WrappedUnder::of(new) == WrappedUnder::of(key));
    let is_kept = |key: &&WrappedKey| matches!(key, WrappedKey::Age { .. }) && !is_new(key);
    before.iter().filter(is_kept).cloned().collect()
}

fn without_recipient(keys: &[WrappedKey], removed: &str) -> Result<Vec<WrappedKey>, RepositoryError> {
    let is_removed = |key: &WrappedKey| matches!(key, WrappedKey::Age { recipient, .. } if recipient == removed);
    let left: Vec<WrappedKey> = keys.iter().filter(|key| !is_removed(key)).cloned().collect();
    if left.len() == keys.len() {
        return Err(RepositoryError::Invalid(
            "the master key is not wrapped for that recipient: `holdfast key show` lists those it is".to_owned(),
        ));
    }
    if left.iter().all(|key| matches!(key, WrappedKey::Age { .. })) {
        return Err(RepositoryError::Invalid(
            "neither a key nor a KMS key would open the repository any more: run `holdfast key rotate` with one set"
                .to_owned(),
        ));
    }
    Ok(left)
}
