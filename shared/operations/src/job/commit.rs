//! The commit of every backup: guide, then manifest, both put-if-absent. The backup exists from
//! that moment on.

use bytes::Bytes;
use holdfast_catalog::{CatalogError, JobChange};
use holdfast_domain::{Job, JobStatus, MAX_MANIFEST_BYTES, Manifest, ManifestFile, ObjectKey};
use holdfast_repository::{RepositoryError, writing_key::WritingKey};
use holdfast_storage::{PutMode, StoreError};

use super::{artifact_upload::remove, finish, run::Run, watch::Watch};
use crate::{Holdfast, OperationError, StopReason};

/// How a run ended without a backup of its own.
pub(crate) enum RunFault {
    /// The backup exists already.
    CommittedBefore,
    /// There is no manifest: the job failed.
    Failed(OperationError),
    /// The presence of a manifest is unknown. The sweep checks it.
    Unknown(OperationError),
}

impl From<OperationError> for RunFault {
    fn from(error: OperationError) -> Self {
        Self::Failed(error)
    }
}

/// Checks for an existing manifest, regardless of the row. It may come from a run killed between
/// its manifest and the last change of its job, or from a run with another catalogue.
pub(crate) async fn refuse_if_committed(
    holdfast: &Holdfast,
    run: &Run,
    watch: &Watch,
) -> Result<(), RunFault> {
    match watch
        .guard(async { Ok(holdfast.repository.manifest(&run.job.backup_id).await?) })
        .await
    {
        Ok(manifest) => {
            finish::complete(
                &holdfast.catalog,
                holdfast.observer.as_ref(),
                &run.job,
                &manifest,
            )
            .await?;
            Err(RunFault::CommittedBefore)
        }
        Err(OperationError::NotFound(_)) => Ok(()),
        // An earlier run may have committed. A failed job would deny an existing backup.
        Err(error) if run.fence > 1 => Err(RunFault::Unknown(error)),
        Err(error) => Err(error.into()),
    }
}

/// Notes of a run about its backup.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// Information.
    pub(crate) notes: Vec<String>,
    /// Warnings for an operator.
    pub(crate) warnings: Vec<String>,
}

impl Notes {
    /// The notes as a change of the row.
    fn change(&self) -> JobChange {
        let texts: Vec<&str> = self
            .notes
            .iter()
            .chain(&self.warnings)
            .map(String::as_str)
            .collect();
        JobChange {
            message: (!texts.is_empty()).then(|| texts.join(". ")),
            warnings: (!self.warnings.is_empty()).then(|| self.warnings.clone()),
            ..JobChange::default()
        }
    }
}

/// A stored but uncommitted backup.
pub(crate) struct Commit<'a> {
    pub(crate) holdfast: &'a Holdfast,
    pub(crate) run: &'a Run,
    pub(crate) key: &'a WritingKey,
    pub(crate) watch: &'a Watch,
    /// Creates the text of `RESTORE.md` from a manifest.
    pub(crate) guide: &'a (dyn Fn(&Manifest) -> String + Send + Sync),
    /// This run's own artifacts. No manifest of another run names them, so a failed commit removes
    /// them.
    pub(crate) own: &'a [ObjectKey],
}

/// The file of a manifest, signed if the backup is encrypted.
fn sealed(manifest: &Manifest, key: &WritingKey) -> Result<Bytes, OperationError> {
    let sign = |bytes: &[u8]| key.master.as_ref().map(|master| master.manifest_mac(bytes));
    let file = ManifestFile::seal(manifest, sign)
        .map_err(|error| OperationError::internal("encode the manifest", &error))?;
    if file.len() > MAX_MANIFEST_BYTES {
        return Err(OperationError::ManifestTooLarge {
            bytes: file.len() as u64,
            namespaces: manifest.namespaces.len(),
            segments: manifest
                .artifacts
                .iter()
                .map(|artifact| artifact.segments.len())
                .sum(),
        });
    }
    Ok(file.into())
}

impl Commit<'_> {
    /// Writes guide and manifest, and settles the job with `notes` as its message. If it fails
    /// before the manifest, or if no reader would accept the manifest, this run's artifacts are
    /// removed.
    pub(crate) async fn commit(self, manifest: &Manifest, notes: &Notes) -> Result<Job, RunFault> {
        let prepared = async {
            let file = sealed(manifest, self.key)?;
            self.prepare(manifest, notes).await.map(|job| (file, job))
        };
        let (file, job) = match self.watch.guard(prepared).await {
            Ok(prepared) => prepared,
            Err(error) => {
                self.withdraw().await;
                return Err(error.into());
            }
        };
        self.put_manifest(manifest, file).await?;
        if self.run.fence > 1 {
            // The run before the takeover may have been about to write its own guide.
            self.put_guide(manifest).await.map_err(RunFault::Unknown)?;
        }
        // The backup exists. If this call cannot write its row, the next run or the sweep writes
        // it.
        let complete = || {
            finish::complete(
                &self.holdfast.catalog,
                self.holdfast.observer.as_ref(),
                &job,
                manifest,
            )
        };
        self.watch
            .persist(complete)
            .await
            .map_err(RunFault::Unknown)
    }

    async fn prepare(&self, manifest: &Manifest, notes: &Notes) -> Result<Job, OperationError> {
        self.watch.confirm().await?;
        let change = JobChange {
            engine: manifest.engine.clone(),
            ..notes.change()
        };
        let job = self
            .watch
            .persist(|| self.begin_committing(change.clone()))
            .await?;
        self.holdfast.observer.job_changed(&job).await;
        self.put_guide_unless_taken_over(manifest).await?;
        // No await separates this beat from the manifest.
        self.watch.confirm().await?;
        Ok(job)
    }

    async fn begin_committing(&self, change: JobChange) -> Result<Job, OperationError> {
        let (id, fence) = (&self.run.job.backup_id, self.run.fence);
        match self
            .holdfast
            .catalog
            .transition(id, JobStatus::Committing, change, Some(fence))
            .await
        {
            // The answer of an earlier call was lost.
            Err(CatalogError::Conflict {
                status: JobStatus::Committing,
                fence: found,
                ..
            }) if found == fence => Ok(self.holdfast.catalog.get(id).await?),
            changed => Ok(changed?),
        }
    }

    /// Replaces only a guide from before this run's last beat. This run may be paused here, and a
    /// newer run may commit meanwhile.
    async fn put_guide_unless_taken_over(&self, manifest: &Manifest) -> Result<(), OperationError> {
        const TRIES: u32 = 3;
        let (store, key) = (
            self.holdfast.repository.store(),
            ObjectKey::restore_guide(&manifest.backup_id),
        );
        let guide = Bytes::from((self.guide)(manifest));
        for _ in 0..TRIES {
            let mode = match store.head(&key).await {
                Ok(found) => PutMode::IfUnchanged(found.etag),
                Err(error) if error.is_not_found() => PutMode::IfAbsent,
                Err(error) => return Err(error.into()),
            };
            self.watch.confirm().await?;
            match store.put(&key, guide.clone(), mode).await {
                Ok(_) => return Ok(()),
                Err(StoreError::AlreadyExists { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(OperationError::internal(
            "write RESTORE.md",
            &"another run writes it at the same time",
        ))
    }

    async fn put_guide(&self, manifest: &Manifest) -> Result<(), OperationError> {
        let key = ObjectKey::restore_guide(&manifest.backup_id);
        let guide = Bytes::from((self.guide)(manifest));
        self.holdfast
            .repository
            .store()
            .put(&key, guide, PutMode::Replace)
            .await?;
        Ok(())
    }

    async fn put_manifest(&self, manifest: &Manifest, file: Bytes) -> Result<(), RunFault> {
        let id = &self.run.job.backup_id;
        let put = self
            .holdfast
            .repository
            .store()
            .put(&ObjectKey::manifest(id), file, PutMode::IfAbsent)
            .await;
        let Err(error) = put else { return Ok(()) };
        // The answer may have been lost, or another run was faster. The stored manifest decides.
        match self.holdfast.repository.manifest(id).await {
            Ok(found) if found == *manifest => Ok(()),
            Ok(_) => {
                self.withdraw().await;
                Err(OperationError::Stopped(StopReason::LeaseLost).into())
            }
            Err(RepositoryError::NotFound(_))
                if matches!(
                    error,
                    StoreError::Denied { .. }
                        | StoreError::Missing { .. }
                        | StoreError::Unsupported { .. }
                        | StoreError::WrongClock { .. }
                        | StoreError::Invalid { .. }
                        | StoreError::Full { .. }
                ) =>
            {
                self.withdraw().await;
                self.remove_guide().await;
                Err(OperationError::Store(error).into())
            }
            // The manifest may still arrive, so its artifacts must stay.
            _ => Err(RunFault::Unknown(error.into())),
        }
    }

    /// Removes this run's artifacts. If another run committed meanwhile, the artifacts in its
    /// manifest stay, and its guide is written again. If this is unknown, all of them stay.
    async fn withdraw(&self) {
        let id = &self.run.job.backup_id;
        match self.holdfast.repository.manifest(id).await {
            Ok(theirs) => {
                for key in self.own.iter().filter(|key| {
                    theirs
                        .artifacts
                        .iter()
                        .all(|artifact| artifact.key != **key)
                }) {
                    remove(&self.holdfast.repository, key).await;
                }
                if let Err(error) = self.put_guide(&theirs).await {
                    tracing::warn!(backupId = %id, %error, "the guide of another run could not be put right");
                }
            }
            Err(RepositoryError::NotFound(_)) => {
                for key in self.own {
                    remove(&self.holdfast.repository, key).await;
                }
            }
            Err(error) => {
                tracing::warn!(backupId = %id, %error, "artifacts of a failed run remain for the sweep");
            }
        }
    }

    /// Removes the guide of a refused backup.
    async fn remove_guide(&self) {
        let guide = ObjectKey::restore_guide(&self.run.job.backup_id);
        if let Err(error) = self.holdfast.repository.store().delete(&guide).await {
            tracing::warn!(key = %guide, %error, "a guide without a backup could not be removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use holdfast_domain::{
        BackupId, BackupType, FORMAT_VERSION, FailureCode, NamespaceManifest, RepositoryFile,
        RepositoryId, Sha256Digest, Source, Timestamp, Trigger, TriggerKind,
    };

    use super::*;

    fn manifest(namespaces: usize, name_bytes: usize) -> Manifest {
        let at = Timestamp::UNIX_EPOCH;
        let namespace = |number: usize| NamespaceManifest {
            db: "platform".to_owned(),
            collection: format!("{number:0name_bytes$}"),
            kind: "collection".to_owned(),
            documents: 0,
            bytes: 0,
            content_hash: Sha256Digest::new([7; 32]),
            indexes: vec!["_id_".to_owned()],
            rolled_over: false,
        };
        Manifest {
            format_version: FORMAT_VERSION,
            backup_id: BackupId::new(BackupType::Database, at, [0; 4]),
            backup_type: BackupType::Database,
            repository: RepositoryId::new([0; 16]),
            trigger: Trigger {
                kind: TriggerKind::Schedule,
                by: None,
            },
            parent_id: None,
            fence: 1,
            created_at: at,
            started_at: at,
            completed_at: at,
            holdfast_version: String::new(),
            engine: None,
            consistency: None,
            source: Source::default(),
            namespaces: (0..namespaces).map(namespace).collect(),
            content: None,
            original_size: 0,
            compression: None,
            encryption: None,
            artifacts: Vec::new(),
        }
    }

    #[test]
    fn a_manifest_that_no_reader_accepts_is_not_written() {
        let repository = RepositoryFile {
            format_version: 1,
            id: RepositoryId::new([0; 16]),
            created_at: Timestamp::UNIX_EPOCH,
            revision: 0,
            epochs: Vec::new(),
        };
        let key = WritingKey {
            repository,
            master: None,
            wrapped: Vec::new(),
            encryption: None,
        };
        let file = sealed(&manifest(100_000, 150), &key).unwrap();
        assert!(
            file.len() <= MAX_MANIFEST_BYTES && file.len() > 20_000_000,
            "{}",
            file.len()
        );
        let error = sealed(&manifest(300_000, 150), &key).unwrap_err();
        assert_eq!(error.code(), FailureCode::DumpRefused);
        assert!(
            error
                .failure()
                .hint
                .unwrap()
                .contains("BACKUP_DATABASE_EXCLUDE_COLLECTIONS"),
            "{error}"
        );
    }
}
