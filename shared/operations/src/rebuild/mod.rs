//! Fills a catalogue from the bucket alone: the job of every backup with a manifest, the items of
//! content backups, and the stored objects of each source.
//!
//! Existing rows of a source stay, so a rebuild may run twice or crash anywhere. A backup's job is
//! written last, and the next run resumes with the backups without a job. A failed, cancelled or
//! lost job with a manifest becomes completed, and a completed content backup gets its missing rows
//! of items. Other jobs stay unchanged. While a backup is read, a reader's lease keeps retention
//! from deleting it. A dry run reads manifests alone, and writes no lease.
//!
//! No lease of a source is needed, because no run works on a backup with a manifest and without a
//! job. A source's row carries the time of its fetch, so it never replaces the row of a concurrent
//! backup. Each reader of such a row first checks that the object exists, so a concurrent
//! collection is harmless. Schedules may continue: they fetch the files still unknown.
//!
//! No event is sent for the jobs, because their changes of state are old.

mod content;
mod inventory;
mod manifest;
mod parents;
mod report;
mod row;

use holdfast_catalog::{CatalogError, JobStanding};
use holdfast_domain::{
    BackupId, BackupType, Job, JobStatus, Manifest, RepositoryId, Timestamp, VerificationLevel,
};
use holdfast_recovery::readers::Purpose;
use holdfast_repository::{
    RepositoryError, RepositoryFileError, content::stored::StoredContent,
    presence::missing_artifacts,
};

use self::content::Filled;

pub use self::report::{
    DamagedBackup, RebuildProgress, RebuildReport, RebuiltBackup, UnreadBackup, UnreadCause,
};
use crate::readers::protect;
use crate::{
    Holdfast, OperationError, RETAINED_TYPES,
    job::finish,
    lost::{self, Reinstatement},
    retention::policy_in_force,
};

/// Backups per catalogue query.
const PAGE: usize = 100;

/// Fills the catalogue. `progress` runs after each backup, and during backups with many items.
///
/// # Errors
/// If the store or the catalogue is unavailable. The rows added so far stay, and the next run
/// resumes. The report contains the faults of single backups.
pub async fn rebuild_catalog(
    holdfast: &Holdfast,
    progress: &(dyn Fn(&RebuildProgress) + Sync),
) -> Result<RebuildReport, OperationError> {
    Box::pin(Rebuild::new(holdfast, Mode::Write, progress).run()).await
}

/// The additions of [`rebuild_catalog`] at this moment. It writes nothing and reads no lists of
/// items.
///
/// # Errors
/// As [`rebuild_catalog`].
pub async fn plan_rebuild(
    holdfast: &Holdfast,
    progress: &(dyn Fn(&RebuildProgress) + Sync),
) -> Result<RebuildReport, OperationError> {
    Box::pin(Rebuild::new(holdfast, Mode::Plan, progress).run()).await
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Plan,
    Write,
}

struct Rebuild<'a> {
    holdfast: &'a Holdfast,
    mode: Mode,
    progress: &'a (dyn Fn(&RebuildProgress) + Sync),
    /// The repository's id, or `None` if it is lost.
    repository: Option<RepositoryId>,
    done: RebuildProgress,
    report: RebuildReport,
    /// Jobs of this run with a full backup as parent.
    parts: Vec<Job>,
}

impl<'a> Rebuild<'a> {
    fn new(
        holdfast: &'a Holdfast,
        mode: Mode,
        progress: &'a (dyn Fn(&RebuildProgress) + Sync),
    ) -> Self {
        let report = RebuildReport {
            dry_run: mode == Mode::Plan,
            ..RebuildReport::default()
        };
        Self {
            holdfast,
            mode,
            progress,
            repository: None,
            done: RebuildProgress::default(),
            report,
            parts: Vec::new(),
        }
    }

    async fn run(mut self) -> Result<RebuildReport, OperationError> {
        self.identify().await?;
        if self.mode == Mode::Write {
            self.holdfast.catalog.ensure_indexes().await?;
        }
        let found = inventory::list(&self.holdfast.repository).await?;
        self.done.of = found.backups.len() as u64;
        for page in found.backups.chunks(PAGE) {
            let mut standings = self.holdfast.catalog.standings(page).await?;
            for id in page {
                self.one(id, standings.remove(id)).await?;
                self.done.backups += 1;
                (self.progress)(&self.done);
            }
        }
        self.parents().await?;
        self.report_without_manifest(found.without_manifest).await?;
        self.report_suspended_retention().await?;
        Ok(self.report)
    }

    /// Backups are readable without `repository.json`, but its loss must be reported.
    async fn identify(&mut self) -> Result<(), OperationError> {
        match self.holdfast.repository.open().await {
            Ok(file) => self.repository = Some(file.id),
            Err(RepositoryError::File(
                error @ (RepositoryFileError::Lost(_)
                | RepositoryFileError::LostButCopied(_)
                | RepositoryFileError::Malformed { .. }),
            )) => self.report.repository_problem = Some(error.to_string()),
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    async fn one(
        &mut self,
        id: &BackupId,
        standing: Option<Result<JobStanding, CatalogError>>,
    ) -> Result<(), OperationError> {
        let lease = if self.mode == Mode::Write && needs_reading(id, standing.as_ref()) {
            Some(
                protect(
                    &self.holdfast.repository,
                    &self.holdfast.catalog,
                    &self.holdfast.repository,
                    id,
                    Purpose::Rebuild,
                )
                .await,
            )
        } else {
            None
        };
        let done = self.by_standing(id, standing).await;
        if let Some(lease) = lease {
            lease.release().await;
        }
        done
    }

    async fn by_standing(
        &mut self,
        id: &BackupId,
        standing: Option<Result<JobStanding, CatalogError>>,
    ) -> Result<(), OperationError> {
        match standing {
            None => self.add(id).await,
            Some(Ok(
                JobStanding { is_lost: true, .. }
                | JobStanding {
                    is_accepted_loss: true,
                    ..
                },
            )) => self.returned(id).await,
            Some(Ok(JobStanding {
                status: JobStatus::Failed | JobStatus::Cancelled,
                ..
            })) => self.complete(id).await,
            Some(Ok(JobStanding { status, .. })) => {
                self.report.stood += 1;
                if status == JobStatus::Completed && id.backup_type() == BackupType::Content {
                    self.fill_up(id).await?;
                }
                Ok(())
            }
            Some(Err(error)) => {
                self.unread(id, UnreadCause::Row, error.to_string());
                Ok(())
            }
        }
    }

    /// A backup with a failed or cancelled job: its run paused past its lease, and wrote the
    /// manifest later.
    async fn complete(&mut self, id: &BackupId) -> Result<(), OperationError> {
        let Some((manifest, _)) = self.read_job(id).await? else {
            return Ok(());
        };
        if let Some(damage) = missing_artifacts(&self.holdfast.repository, &manifest).await? {
            self.report.stood += 1;
            self.report.damaged.push(DamagedBackup {
                backup_id: id.clone(),
                problem: damage.into_string(),
            });
            return Ok(());
        }
        self.report.completed.push(id.clone());
        if self.mode == Mode::Plan {
            return Ok(());
        }
        let job = self.holdfast.catalog.get(id).await?;
        finish::complete(
            &self.holdfast.catalog,
            self.holdfast.observer.as_ref(),
            &job,
            &manifest,
        )
        .await?;
        tracing::info!(backupId = %id, was = %job.status, "a job became completed because its manifest exists");
        if manifest.content.is_some() {
            self.fill_up(id).await
        } else {
            Ok(())
        }
    }

    /// A backup without a job in the catalogue.
    async fn add(&mut self, id: &BackupId) -> Result<(), OperationError> {
        let Some((manifest, mut job)) = self.read_job(id).await? else {
            return Ok(());
        };
        self.suspend_retention(id.backup_type()).await?;
        let mut filled = Filled::default();
        if let Some(damage) = missing_artifacts(&self.holdfast.repository, &manifest).await? {
            self.damaged(&mut job, VerificationLevel::Exists, damage.into_string());
        } else if manifest.content.is_some() {
            filled = self.fill(manifest).await?;
            if let Some(problem) = filled.problem.take() {
                self.damaged(&mut job, VerificationLevel::Checksum, problem);
            }
        }
        match self.insert(&job).await {
            Ok(true) => {}
            Ok(false) => {
                // Another backup run or rebuild was faster.
                self.report.stood += 1;
                return Ok(());
            }
            Err(OperationError::Corrupt { problem, .. }) => {
                self.unread(id, UnreadCause::Damaged, problem);
                return Ok(());
            }
            Err(error) => return Err(error),
        }
        tracing::info!(backupId = %id, "the job of a backup was created from its manifest");
        self.report.added.push(RebuiltBackup {
            backup_id: id.clone(),
            items: filled.items,
        });
        if job.parent_id.is_some() {
            self.parts.push(job);
        }
        Ok(())
    }

    /// Before the first job: retention must not delete by the settings if a lost policy kept these
    /// backups.
    async fn suspend_retention(&self, kind: BackupType) -> Result<(), OperationError> {
        if self.mode == Mode::Plan {
            return Ok(());
        }
        Ok(self
            .holdfast
            .catalog
            .await_confirmation_of_policy(kind, Timestamp::now())
            .await?)
    }

    async fn report_suspended_retention(&mut self) -> Result<(), OperationError> {
        for kind in RETAINED_TYPES {
            if policy_in_force(&self.holdfast.catalog, &self.holdfast.settings, kind)
                .await?
                .unconfirmed_since
                .is_some()
            {
                self.report.policies_unconfirmed.push(kind);
            }
        }
        Ok(())
    }

    /// A lost backup with a returned manifest, or with an accepted loss.
    async fn returned(&mut self, id: &BackupId) -> Result<(), OperationError> {
        self.report.stood += 1;
        if self.read_job(id).await?.is_none() {
            return Ok(());
        }
        if self.mode == Mode::Plan {
            self.report.returned.push(id.clone());
            return Ok(());
        }
        match lost::reinstate(self.holdfast, id).await? {
            Reinstatement::Completed => self.report.returned.push(id.clone()),
            Reinstatement::Damaged(problem) => self.report.damaged.push(DamagedBackup {
                backup_id: id.clone(),
                problem,
            }),
            Reinstatement::NotLost => return Ok(()),
        }
        if id.backup_type() == BackupType::Content {
            self.fill_up(id).await?;
        }
        Ok(())
    }

    /// Adds a job. Returns `false` if it has a row by now.
    pub(super) async fn insert(&self, job: &Job) -> Result<bool, OperationError> {
        if self.mode == Mode::Plan {
            return Ok(true);
        }
        self.holdfast
            .catalog
            .add_completed(job)
            .await
            .map_err(|error| row::unwritable(&job.backup_id, error))
    }

    /// Adds missing rows of items to a backup with a job.
    async fn fill_up(&mut self, id: &BackupId) -> Result<(), OperationError> {
        let Some((manifest, _)) = self.read_job(id).await? else {
            return Ok(());
        };
        let expected = manifest
            .content
            .as_ref()
            .map_or(0, |content| content.items.expected);
        if self.holdfast.catalog.count_items(id).await? >= expected {
            return Ok(());
        }
        let filled = self.fill(manifest).await?;
        if let Some(problem) = filled.problem {
            self.report.damaged.push(DamagedBackup {
                backup_id: id.clone(),
                problem,
            });
        }
        self.report.filled_up.push(RebuiltBackup {
            backup_id: id.clone(),
            items: filled.items,
        });
        Ok(())
    }

    async fn fill(&mut self, manifest: Manifest) -> Result<Filled, OperationError> {
        let expected = manifest
            .content
            .as_ref()
            .map_or(0, |content| content.items.expected);
        if self.mode == Mode::Plan {
            self.report.items += expected.saturating_sub(
                self.holdfast
                    .catalog
                    .count_items(&manifest.backup_id)
                    .await?,
            );
            return Ok(Filled {
                items: expected,
                problem: None,
            });
        }
        let backup = match StoredContent::of(&self.holdfast.repository, manifest) {
            Ok(backup) => backup,
            Err(error @ RepositoryError::Corrupt { .. }) => {
                return Ok(Filled {
                    items: 0,
                    problem: Some(error.to_string()),
                });
            }
            Err(error) => return Err(error.into()),
        };
        self.fill_from(&backup).await
    }

    /// The manifest exists, so the backup does. Its job records the damage, so retention does not
    /// count it as good.
    fn damaged(&mut self, job: &mut Job, level: VerificationLevel, problem: String) {
        tracing::error!(backupId = %job.backup_id, problem, "a backup in the store is damaged");
        job.verification = Some(row::failed(level, Timestamp::now()));
        self.report.damaged.push(DamagedBackup {
            backup_id: job.backup_id.clone(),
            problem,
        });
    }

    fn unread(&mut self, id: &BackupId, cause: UnreadCause, reason: String) {
        tracing::warn!(backupId = %id, reason, "the job of a backup could not be created");
        self.report.unread.push(UnreadBackup {
            backup_id: id.clone(),
            cause,
            reason,
        });
    }

    /// Folders of failed or partly deleted backups. The lost catalogue knew the difference.
    async fn report_without_manifest(
        &mut self,
        folders: Vec<BackupId>,
    ) -> Result<(), OperationError> {
        for page in folders.chunks(PAGE) {
            let standings = self.holdfast.catalog.standings(page).await?;
            let unknown = page.iter().filter(|id| !standings.contains_key(*id));
            self.report.without_manifest.extend(unknown.cloned());
        }
        Ok(())
    }
}

/// Whether the manifest of a backup is read, beyond the name of its folder.
fn needs_reading(id: &BackupId, standing: Option<&Result<JobStanding, CatalogError>>) -> bool {
    match standing {
        None => true,
        Some(Ok(JobStanding {
            status,
            is_lost,
            is_accepted_loss,
            ..
        })) => {
            let is_complete = *status == JobStatus::Completed;
            let is_unsuccessful = matches!(status, JobStatus::Failed | JobStatus::Cancelled);
            let is_content = id.backup_type() == BackupType::Content;
            *is_lost || *is_accepted_loss || is_unsuccessful || (is_complete && is_content)
        }
        Some(Err(_)) => false,
    }
}
