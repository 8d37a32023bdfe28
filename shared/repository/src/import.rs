//! Recreates a repository from its exported master keys, after the loss of both files.

use futures_util::TryStreamExt as _;
use holdfast_codec::MasterKey;
use holdfast_domain::{BackupId, BackupType, KeyEpoch, ObjectKey, RepositoryFile, Timestamp};

use super::{InitReport, Repository, RepositoryFileError};
use crate::{EncryptionMode, ExportedKey, RepositoryError};

impl Repository {
    /// Recreates `repository.json` and its copy, with these master keys wrapped under the keys at
    /// hand. Every readable backup in the store must be authentic under them.
    ///
    /// # Errors
    /// [`RepositoryError::Invalid`] if a file exists, or if these are not the keys of the stored
    /// backups.
    pub async fn import(
        &self,
        exported: &[ExportedKey],
        now: Timestamp,
    ) -> Result<InitReport, RepositoryError> {
        self.expect_lost().await?;
        let mut file = of_exports(exported, now)?;
        let mut masters = Vec::new();
        for key in exported {
            let master = key.master()?;
            let keys = self.keyring().wrap_again(&master, &file.id).await?;
            let fingerprint = Some(master.fingerprint());
            file.epochs.push(KeyEpoch {
                epoch: key.epoch,
                created_at: now,
                fingerprint,
                keys,
            });
            masters.push((key.epoch, master));
        }
        self.expect_keys_of_backups(&file, &masters).await?;
        if self.put_first(file.clone()).await? != file {
            return Err(RepositoryFileError::Changed(self.location().clone()).into());
        }
        self.ready_for_writing(EncryptionMode::On, now).await
    }

    async fn expect_lost(&self) -> Result<(), RepositoryError> {
        match self.open().await {
            Ok(_) => Err(RepositoryError::Invalid(format!(
                "{} has a repository.json: change its keys with `holdfast key rotate`",
                self.location()
            ))),
            Err(RepositoryError::File(
                RepositoryFileError::Lost(_) | RepositoryFileError::NotInitialised(_),
            )) => Ok(()),
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
            // `verify` reports damage. An unavailable store proves nothing, so it is an error here.
            Err(RepositoryError::Corrupt { .. }) => return Ok(()),
            Err(error) => return Err(error),
        };
        let Ok(manifest) = stored.manifest(id) else {
            return Ok(());
        };
        let not_of = |what: &str| {
            RepositoryError::Invalid(format!("{what} backup {id}: nothing was written"))
        };
        if manifest.repository != file.id {
            return Err(not_of(
                "the exported keys belong to another repository than",
            ));
        }
        let Some((encryption, hmac)) = manifest.encryption.as_ref().zip(stored.hmac.as_ref())
        else {
            return Ok(());
        };
        let master = masters
            .iter()
            .find(|(epoch, _)| *epoch == encryption.key_epoch);
        let (_, master) =
            master.ok_or_else(|| not_of("the exported keys do not contain the key epoch of"))?;
        if master.verify_manifest_mac(stored.signed_bytes(), hmac) {
            Ok(())
        } else {
            Err(not_of("the exported key is not the master key of"))
        }
    }
}

/// A file of this repository, without its keys.
fn of_exports(exported: &[ExportedKey], now: Timestamp) -> Result<RepositoryFile, RepositoryError> {
    let invalid = |what: &str| Err(RepositoryError::Invalid(what.to_owned()));
    let Some(first) = exported.first() else {
        return invalid("the export contains no master key");
    };
    if exported
        .iter()
        .any(|key| key.repository != first.repository)
    {
        return invalid("the master keys belong to several repositories");
    }
    let repeated = |(at, key): (usize, &ExportedKey)| {
        exported[..at].iter().any(|other| other.epoch == key.epoch)
    };
    if exported.iter().enumerate().any(repeated) {
        return invalid("the export contains a key epoch twice");
    }
    Ok(RepositoryFile::new(first.repository.clone(), now))
}
