//! The copy of `repository.json`: written after the file, and replaced only if the file covers its
//! content. After concurrent writers the newer one remains.

use holdfast_domain::{ObjectKey, RepositoryFile};
use holdfast_storage::{PutMode, StoreError};

use super::{Repository, RepositoryFileError, create::encode};
use crate::RepositoryError;

/// Number of attempts against concurrent writers.
const TRIES: usize = 8;

impl Repository {
    /// Reads the copy as stored.
    ///
    /// # Errors
    /// If it cannot be read.
    pub async fn copy(&self) -> Result<Option<RepositoryFile>, RepositoryError> {
        self.read(&ObjectKey::repository_copy()).await
    }

    /// Makes the copy equal to the file.
    ///
    /// # Errors
    /// [`RepositoryFileError::CopyDiffers`] if that would lose something. [`RepositoryError::Key`]
    /// if the keys were wrapped again and no key at hand opens them. They may be forged, and
    /// the copy may hold the last right ones.
    pub(super) async fn update_copy(&self) -> Result<(), RepositoryError> {
        let key = ObjectKey::repository_copy();
        for _ in 0..TRIES {
            let etag = match self.store().head(&key).await {
                Ok(found) => Some(found.etag),
                Err(StoreError::NotFound { .. }) => None,
                Err(error) => return Err(error.into()),
            };
            let (copy, file) = (self.copy().await?, self.open().await?);
            let mode = match copy.zip(etag) {
                Some((copy, _)) if copy == file => return Ok(()),
                Some((copy, etag)) => {
                    self.expect_replaceable(&copy, &file).await?;
                    PutMode::IfUnchanged(etag)
                }
                None => PutMode::IfAbsent,
            };
            match self.store().put(&key, encode(&file)?, mode).await {
                Ok(_) => return Ok(()),
                Err(StoreError::AlreadyExists { .. } | StoreError::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(RepositoryFileError::Changed(self.location().clone()).into())
    }

    async fn expect_replaceable(
        &self,
        copy: &RepositoryFile,
        file: &RepositoryFile,
    ) -> Result<(), RepositoryError> {
        if !file.covers(copy) {
            return Err(RepositoryFileError::CopyDiffers(self.location().clone()).into());
        }
        if file.revision > copy.revision {
            for epoch in &file.epochs {
                self.unwrapped(&file.id, epoch).await?;
            }
        }
        Ok(())
    }
}
