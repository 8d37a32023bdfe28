//! The repository's own files in the second store, identical to those of the first. They are
//! renewed after keys were wrapped again. They are never replaced by older files, and never replace
//! another repository's files.

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use holdfast_domain::{BackupType, ObjectKey, RepositoryFile};
use holdfast_repository::{MAX_FILE_BYTES, Repository, RepositoryError};
use holdfast_storage::{PutMode, StoreError, read_all};

use crate::{CopyFault, CopyMode, OperationError};

/// The files of a repository.
pub(super) struct RepositoryFiles<'a>(pub(super) &'a Repository);

impl RepositoryFiles<'_> {
    /// Writes `repository.json` and its copy into the second store.
    ///
    /// # Errors
    /// [`CopyFault::AnotherRepository`], [`CopyFault::RepositoryFile`]: nothing was written.
    pub(super) async fn copy_to(
        &self,
        second: &RepositoryFiles<'_>,
        mode: CopyMode,
    ) -> Result<(), OperationError> {
        let ours = self.0.open().await?;
        second.expect_repository(&ours, mode).await?;
        for key in [ObjectKey::repository(), ObjectKey::repository_copy()] {
            match read_all(self.0.store().as_ref(), &key, MAX_FILE_BYTES).await {
                Ok(bytes) => self.copy_file(second, &key, bytes, mode).await?,
                // Only the copy may be missing in the first store: `holdfast init` writes it again.
                Err(StoreError::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Checks for files and backups of another repository before any write.
    async fn expect_repository(
        &self,
        ours: &RepositoryFile,
        mode: CopyMode,
    ) -> Result<(), OperationError> {
        let mut is_known = false;
        for key in [ObjectKey::repository(), ObjectKey::repository_copy()] {
            match self.file_there(&key).await? {
                Some((Ok(theirs), _)) if theirs.id != ours.id => {
                    return Err(self.another_repository(ours, &theirs.id));
                }
                Some((Ok(_), _)) => is_known = true,
                Some((Err(problem), _)) if mode == CopyMode::Missing => {
                    return Err(self.bad_file(&key, format!("{problem}{REPAIR_REMEDY}")));
                }
                _ => {}
            }
        }
        if is_known {
            return Ok(());
        }
        for kind in BackupType::ALL {
            let mut objects = self.0.store().list(&ObjectKey::backups_prefix(kind));
            while let Some(object) = objects
                .try_next()
                .await
                .map_err(|error| self.failed(error))?
            {
                let Some(id) = object.key.manifest_of() else {
                    continue;
                };
                match self.0.unauthenticated(&id).await {
                    Ok(manifest) if manifest.repository != ours.id => {
                        return Err(self.another_repository(ours, &manifest.repository));
                    }
                    Ok(_) => return Ok(()),
                    Err(RepositoryError::Store(error)) => return Err(self.failed(error)),
                    // `verify` reports damage.
                    Err(_) => {}
                }
            }
        }
        Ok(())
    }

    async fn copy_file(
        &self,
        second: &RepositoryFiles<'_>,
        key: &ObjectKey,
        bytes: Bytes,
        mode: CopyMode,
    ) -> Result<(), OperationError> {
        const TRIES: usize = 8;
        // A damaged copy is not spread. `verify` reports it.
        let Ok(new) = serde_json::from_slice::<RepositoryFile>(&bytes) else {
            return Ok(());
        };
        for _ in 0..TRIES {
            let put = match second.file_there(key).await? {
                None => PutMode::IfAbsent,
                Some((Ok(there), _)) if there == new => return Ok(()),
                Some((Ok(there), etag)) if new.covers(&there) => {
                    self.expect_wrapped_well(&new, &there).await?;
                    PutMode::IfUnchanged(etag)
                }
                // Another run wrote a newer file.
                Some((Ok(there), _)) if there.covers(&new) => return Ok(()),
                Some((there, etag)) if mode == CopyMode::Repair => {
                    if let Ok(there) = there {
                        if let Some(epoch) = epoch_lost(&new, &there) {
                            return Err(second.bad_file(
                                key,
                                format!("lists the key epoch {epoch}, {LAST_WRAP}"),
                            ));
                        }
                        self.expect_wrapped_well(&new, &there).await?;
                    }
                    PutMode::IfUnchanged(etag)
                }
                Some((Ok(_), _)) => {
                    let problem = "has other keys than the first store's file";
                    return Err(second.bad_file(key, format!("{problem}{REPAIR_REMEDY}")));
                }
                Some((Err(problem), _)) => {
                    return Err(second.bad_file(key, format!("{problem}{REPAIR_REMEDY}")));
                }
            };
            match second.0.store().put(key, bytes.clone(), put).await {
                Ok(_) => {
                    tracing::info!(%key, store = %second.0.location(), "a file of the repository was written to the second store");
                    return Ok(());
                }
                Err(StoreError::AlreadyExists { .. } | StoreError::NotFound { .. }) => {}
                Err(error) => return Err(second.failed(error)),
            }
        }
        Err(second.bad_file(key, "is changed again and again by other runs".to_owned()))
    }

    /// Checks that the keys of a replacing file open, because the replaced file may hold the last
    /// working ones.
    async fn expect_wrapped_well(
        &self,
        new: &RepositoryFile,
        there: &RepositoryFile,
    ) -> Result<(), OperationError> {
        for epoch in new
            .epochs
            .iter()
            .filter(|epoch| !there.epochs.contains(epoch))
        {
            self.0.unwrapped(&new.id, epoch).await?;
        }
        Ok(())
    }

    /// The file as stored, or its problem, with its etag.
    async fn file_there(
        &self,
        key: &ObjectKey,
    ) -> Result<Option<(Result<RepositoryFile, String>, String)>, OperationError> {
        let etag = match self.0.store().head(key).await {
            Ok(found) => found.etag,
            Err(StoreError::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(self.failed(error)),
        };
        match read_all(self.0.store().as_ref(), key, MAX_FILE_BYTES).await {
            Ok(bytes) => {
                let file = serde_json::from_slice(&bytes)
                    .map_err(|error| format!("is not readable: {error}"));
                Ok(Some((file, etag)))
            }
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed(error)),
        }
    }

    fn failed(&self, cause: StoreError) -> OperationError {
        CopyFault::Store {
            location: self.0.location().to_string(),
            cause,
        }
        .into()
    }

    fn bad_file(&self, file: &ObjectKey, problem: String) -> OperationError {
        CopyFault::RepositoryFile {
            location: self.0.location().to_string(),
            file: file.clone(),
            problem,
        }
        .into()
    }

    fn another_repository(
        &self,
        ours: &RepositoryFile,
        theirs: &holdfast_domain::RepositoryId,
    ) -> OperationError {
        let (location, ours, theirs) = (
            self.0.location().to_string(),
            ours.id.clone(),
            theirs.clone(),
        );
        CopyFault::AnotherRepository {
            location,
            theirs,
            ours,
        }
        .into()
    }
}

const REPAIR_REMEDY: &str =
    ". Replace it by the first store's file with `holdfast copy --all --repair`";

/// The reason against a repair of such a file.
const LAST_WRAP: &str = "missing in the first store's file. Its replacement would lose the data encrypted under that \
                         epoch: restore the epoch in the first store's file";

/// An epoch of the existing file that is missing in the new one.
fn epoch_lost(new: &RepositoryFile, there: &RepositoryFile) -> Option<u32> {
    let is_kept = |epoch: u32| new.epochs.iter().any(|kept| kept.epoch == epoch);
    there
        .epochs
        .iter()
        .map(|epoch| epoch.epoch)
        .find(|epoch| !is_kept(*epoch))
}
