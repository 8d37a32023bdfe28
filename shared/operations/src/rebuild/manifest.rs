//! The manifest of a backup, and the job described by it, as far as both can be trusted.

use holdfast_domain::{Artifact, BackupId, BackupType, Job, Manifest};
use holdfast_storage::StoreError;

use super::{Rebuild, UnreadCause, row};
use crate::OperationError;

impl Rebuild<'_> {
    /// A manifest of this repository, authenticated as far as possible, and the job described by
    /// it.
    pub(super) async fn read_job(
        &mut self,
        id: &BackupId,
    ) -> Result<Option<(Manifest, Job)>, OperationError> {
        let read = match self.holdfast.repository.manifest(id).await {
            Ok(manifest) => self
                .expect_own(&manifest)
                .and_then(|()| row::job_from(&manifest).map(|job| (manifest, job))),
            Err(error) => Err(error.into()),
        };
        let error = match read {
            Ok(read) => return Ok(Some(read)),
            // Deleted meanwhile.
            Err(OperationError::NotFound(_)) => return Ok(None),
            Err(error) => error,
        };
        let cause = match &error {
            OperationError::Key(_) | OperationError::Repository(_) => UnreadCause::Key,
            OperationError::Corrupt { .. }
            | OperationError::Store(StoreError::Corrupt { .. } | StoreError::Limit { .. }) => {
                UnreadCause::Damaged
            }
            _ => return Err(error),
        };
        self.unread(id, cause, error.to_string());
        Ok(None)
    }

    /// The manifest of an unencrypted backup is not authenticated, so it must at least be
    /// consistent.
    fn expect_own(&self, manifest: &Manifest) -> Result<(), OperationError> {
        let (id, kind) = (&manifest.backup_id, manifest.backup_type);
        let is_elsewhere = |artifact: &&Artifact| artifact.key.backup().as_ref() != Some(id);
        let problem = match (
            &self.repository,
            manifest.artifacts.iter().find(is_elsewhere),
        ) {
            (Some(own), _) if *own != manifest.repository => {
                format!(
                    "its manifest belongs to repository {}, but this is {own}: it was copied here",
                    manifest.repository
                )
            }
            (_, Some(artifact)) => {
                format!("its manifest names {} outside of its folder", artifact.key)
            }
            _ if kind != id.backup_type()
                || manifest.content.is_some() != (kind == BackupType::Content) =>
            {
                format!(
                    "its manifest has the type {kind}, but its id or its content has another type"
                )
            }
            _ => return Ok(()),
        };
        Err(OperationError::corrupt(id, problem))
    }
}
