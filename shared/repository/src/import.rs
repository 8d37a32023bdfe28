//! A repository whose two files are lost, made again from the master keys that were exported.

use futures_util::TryStreamExt as _;
use holdfast_codec::MasterKey;
use holdfast_domain::{BackupId, BackupType, KeyEpoch, ObjectKey, RepositoryFile, Timestamp};

use super::{InitReport, Repository, RepositoryFileError};
use crate::{ExportedKey, RepositoryError};

impl Repository {
    /// Makes `repository.json` and its copy again, with these master keys wrapped under the keys at hand. Every backup
    /// that is there and can be read must be authentic under them.
    ///
    /// # Errors
    /// [`RepositoryError::Invalid`] where a file is there, or these are not the keys of the backups that are.
    pub async fn import(&self, exported: &[ExportedKey], now: Timestamp) -> Result<InitReport, RepositoryError> {
        self.expect_lost().await?;
        let mut file = of_exports(exported, now)?;
        let mut masters = Vec::new();
        for key in exported {
            let master = key.master()?;
            let keys = self.keyring().wrap_anew(&master, &file.id).await?;
            let fingerprint = Some(master.fingerprint());
            file.epochs.push(KeyEpoch { epoch: key.epoch, created_at: now, fingerprint, keys });
            masters.push((key.epoch, master));
        }
        self.expect_keys_of_backups(&file, &masters).await?;
        if self.put_first(file.clone()).await? != file {
            return Err(RepositoryFileError::Changed(self.location().clone()).into());
        }
        self.ready_for_writing(true, now).await
    }

    async fn expect_lost(&self) -> Result<(), RepositoryError> {
        match self.open().await {
            Ok(_) => Err(RepositoryError::Invalid(format!(
                "{} has a repository.json: `holdfast key rotate` changes what opens it",
                self.location()
            ))),
            Err(RepositoryError::File(RepositoryFileError::Lost(_) | RepositoryFileError::NotInitialised(_))) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn expect_keys_of_backups(
        &self,
        file: &RepositoryFile,
        masters: &[(u32, MasterKey)],
    ) -> Result<(), RepositoryError> {
        for kind in BackupType::ALL {
            let mut objects = self.store().list(&ObjectKey::type_prefix(kind));
            while let Some(object) = objects.try_next().await? {
                if let Some(id) = object.key.manifest_of() {
                    self.expect_key_of(&id, file, masters).await?;
                }
            }
        }
        Ok(())
    }

    async fn expect_key_of(
        &self,
        id: &BackupId,
        file: &RepositoryFile,
        masters: &[(u32, MasterKey)],
    ) -> Result<(), RepositoryError> {
        let stored = match self.manifest_file(id).await {
            Ok(stored) => stored,
            // Damage is for `verify` to name; that the store does not answer is no reason to believe anything.
            Err(RepositoryError::Corrupt { .. }) => return Ok(()),
            Err(error) => return Err(error),
        };
        let Ok(manifest) = stored.manifest(id) else { return Ok(()) };
        let not_of = |what: &str| RepositoryError::Invalid(format!("{what} backup {id}: nothing was written"));
        if manifest.repository != file.id {
            return Err(not_of("what was exported is another repository's than that of"));
        }
        let Some((encryption, hmac)) = manifest.encryption.as_ref().zip(stored.hmac.as_ref()) else { return Ok(()) };
        let master = masters.iter().find(|(epoch, _)| *epoch == encryption.key_epoch);
        let (_, master) = master.ok_or_else(|| not_of("no key was given of the epoch of"))?;
        if master.verify_manifest_mac(stored.signed_bytes(), hmac) {
            Ok(())
        } else {
            Err(not_of("the key that was given is not that of"))
        }
    }
}

/// A file of this repository, without its keys.
fn of_exports(exported: &[ExportedKey], now: Timestamp) -> Result<RepositoryFile, RepositoryError> {
    let invalid = |what: &str| Err(RepositoryError::Invalid(what.to_owned()));
    let Some(first) = exported.first() else { return invalid("no master key was given") };
    if exported.iter().any(|key| key.repository != first.repository) {
        return invalid("the master keys are of several repositories");
    }
    let repeated = |(at, key): (usize, &ExportedKey)| exported[..at].iter().any(|other| other.epoch == key.epoch);
    if exported.iter().enumerate().any(repeated) {
        return invalid("a key epoch is given twice");
    }
    Ok(RepositoryFile::new(first.repository.clone(), now))
}
