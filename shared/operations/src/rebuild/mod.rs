//! Filling a catalogue from the bucket alone: the job of every backup that has a manifest, the items of content backups,
//! and what is held of each source. What stands is not changed, so that it may run twice, or die at any await: a
//! backup's job is written last, and the next run goes on with the backups that have none. The one exception is a job
//! that failed or was cancelled although its manifest is there: it becomes completed.
//!
//! No lease of a source is taken. A backup with a manifest and without a job is nobody's work in this catalogue. What is written of
//! a source bears the time when its file was fetched, and so never replaces what a backup that runs beside it writes;
//! and whoever goes by such a row first looks whether the object is there, which is what makes a row harmless whose
//! object retention collects at this moment. So schedules may go on: what they do not find yet they fetch. While a backup
//! is read, a reader's lease keeps retention from deleting it. A dry run reads manifests alone, and writes no lease.
//!
//! Nobody is told of the jobs: these changes of state happened long ago.

mod content;
mod inventory;
mod parents;
mod report;
mod row;

use holdfast_catalog::{CatalogError, JobStanding};
use holdfast_domain::{
    Artifact, BackupId, BackupType, Job, JobStatus, Manifest, RepositoryId, Timestamp, VerificationLevel,
};
use holdfast_storage::StoreError;

use self::content::Filled;
pub use self::report::{DamagedBackup, RebuildProgress, RebuildReport, RebuiltBackup, UnreadBackup, UnreadCause};
use crate::{
    Holdfast, OperationError, RETAINED_TYPES, RepositoryError,
    content::stored::StoredContent,
    lost::{self, Return},
    presence::missing_artifacts,
    readers::{Purpose, protect},
    retain::policy_in_force,
    settle,
};

/// Backups that the catalogue is asked about in one call.
const PAGE: usize = 100;

/// Fills the catalogue. `progress` is told after each backup, and within those of many items.
///
/// # Errors
/// Where the store or the catalogue cannot be asked: what was added by then stays, and the next run goes on. What is
/// wrong with one backup is in the report.
pub async fn rebuild_catalog(
    h: &Holdfast,
    progress: &(dyn Fn(&RebuildProgress) + Sync),
) -> Result<RebuildReport, OperationError> {
    Box::pin(Rebuild::new(h, Mode::Write, progress).run()).await
}

/// What [`rebuild_catalog`] would add now. Nothing is written, and lists of items are not read.
///
/// # Errors
/// As [`rebuild_catalog`].
pub async fn plan_rebuild(
    h: &Holdfast,
    progress: &(dyn Fn(&RebuildProgress) + Sync),
) -> Result<RebuildReport, OperationError> {
    Box::pin(Rebuild::new(h, Mode::Plan, progress).run()).await
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Plan,
    Write,
}

struct Rebuild<'a> {
    h: &'a Holdfast,
    mode: Mode,
    progress: &'a (dyn Fn(&RebuildProgress) + Sync),
    /// Which repository this is; none where that is lost.
    repository: Option<RepositoryId>,
    done: RebuildProgress,
    report: RebuildReport,
    /// Jobs of this run that are part of a full backup.
    parts: Vec<Job>,
}

impl<'a> Rebuild<'a> {
    fn new(h: &'a Holdfast, mode: Mode, progress: &'a (dyn Fn(&RebuildProgress) + Sync)) -> Self {
        let report = RebuildReport { dry_run: mode == Mode::Plan, ..RebuildReport::default() };
        Self { h, mode, progress, repository: None, done: RebuildProgress::default(), report, parts: Vec::new() }
    }

    async fn run(mut self) -> Result<RebuildReport, OperationError> {
        self.identify().await?;
        if self.mode == Mode::Write {
            self.h.catalog.ensure_indexes().await?;
        }
        let found = inventory::take(self.h).await?;
        self.done.of = found.backups.len() as u64;
        for page in found.backups.chunks(PAGE) {
            let mut standings = self.h.catalog.standings(page).await?;
            for id in page {
                self.one(id, standings.remove(id)).await?;
                self.done.backups += 1;
                (self.progress)(&self.done);
            }
        }
        self.parents().await?;
        self.tell_without_manifest(found.without_manifest).await?;
        self.report_held_retention().await?;
        Ok(self.report)
    }

    /// Backups can be read where `repository.json` is lost, and that it is has to be said.
    async fn identify(&mut self) -> Result<(), OperationError> {
        match self.h.repository.open().await {
            Ok(file) => self.repository = Some(file.id),
            Err(OperationError::Repository(
                error @ (RepositoryError::Lost(_)
                | RepositoryError::LostButCopied(_)
                | RepositoryError::Malformed { .. }),
            )) => self.report.repository_problem = Some(error.to_string()),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    async fn one(
        &mut self,
        id: &BackupId,
        standing: Option<Result<JobStanding, CatalogError>>,
    ) -> Result<(), OperationError> {
        let lease = if self.mode == Mode::Write && is_to_read(id, standing.as_ref()) {
            Some(protect(self.h, &self.h.repository, id, Purpose::Rebuild).await)
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
            Some(Ok(JobStanding { is_lost: true, .. } | JobStanding { is_accepted_loss: true, .. })) => {
                self.returned(id).await
            }
            Some(Ok(JobStanding { status: JobStatus::Failed | JobStatus::Cancelled, .. })) => self.complete(id).await,
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

    /// A backup whose job failed or was cancelled: its run was paused past its lease, and wrote the manifest later.
    async fn complete(&mut self, id: &BackupId) -> Result<(), OperationError> {
        let Some((manifest, _)) = self.believed(id).await? else { return Ok(()) };
        if let Some(problem) = missing_artifacts(&self.h.repository, &manifest).await? {
            self.report.stood += 1;
            self.report.damaged.push(DamagedBackup { backup_id: id.clone(), problem });
            return Ok(());
        }
        self.report.completed.push(id.clone());
        if self.mode == Mode::Plan {
            return Ok(());
        }
        let job = self.h.catalog.get(id).await?;
        settle::complete(self.h, &job, &manifest).await?;
        tracing::info!(backupId = %id, was = %job.status, "a job was completed by its manifest");
        if manifest.content.is_some() { self.fill_up(id).await } else { Ok(()) }
    }

    /// A backup that the catalogue does not know.
    async fn add(&mut self, id: &BackupId) -> Result<(), OperationError> {
        let Some((manifest, mut job)) = self.believed(id).await? else { return Ok(()) };
        self.hold_retention(id.backup_type()).await?;
        let mut filled = Filled::default();
        if let Some(problem) = missing_artifacts(&self.h.repository, &manifest).await? {
            self.damaged(&mut job, VerificationLevel::Exists, problem);
        } else if manifest.content.is_some() {
            filled = self.fill(manifest).await?;
            if let Some(problem) = filled.problem.take() {
                self.damaged(&mut job, VerificationLevel::Checksum, problem);
            }
        }
        match self.insert(&job).await {
            Ok(true) => {}
            Ok(false) => {
                // Another run, that of a backup or of this, was quicker.
                self.report.stood += 1;
                return Ok(());
            }
            Err(OperationError::Corrupt { problem, .. }) => {
                self.unread(id, UnreadCause::Damaged, problem);
                return Ok(());
            }
            Err(error) => return Err(error),
        }
        tracing::info!(backupId = %id, "a backup's job was made from its manifest");
        self.report.added.push(RebuiltBackup { backup_id: id.clone(), items: filled.items });
        if job.parent_id.is_some() {
            self.parts.push(job);
        }
        Ok(())
    }

    /// Before the first job: retention must not delete by the settings what a policy kept that is lost now.
    async fn hold_retention(&self, kind: BackupType) -> Result<(), OperationError> {
        if self.mode == Mode::Plan {
            return Ok(());
        }
        Ok(self.h.catalog.await_confirmation_of_policy(kind, Timestamp::now()).await?)
    }

    async fn report_held_retention(&mut self) -> Result<(), OperationError> {
        for kind in RETAINED_TYPES {
            if policy_in_force(self.h, kind).await?.unconfirmed_since.is_some() {
                self.report.policies_unconfirmed.push(kind);
            }
        }
        Ok(())
    }

    /// A lost backup whose manifest is back, or one whose loss was accepted.
    async fn returned(&mut self, id: &BackupId) -> Result<(), OperationError> {
        self.report.stood += 1;
        if self.believed(id).await?.is_none() {
            return Ok(());
        }
        if self.mode == Mode::Plan {
            self.report.returned.push(id.clone());
            return Ok(());
        }
        match lost::bring_back(self.h, id).await? {
            Return::Completed => self.report.returned.push(id.clone()),
            Return::Damaged(problem) => self.report.damaged.push(DamagedBackup { backup_id: id.clone(), problem }),
            Return::Nothing => return Ok(()),
        }
        if id.backup_type() == BackupType::Content {
            self.fill_up(id).await?;
        }
        Ok(())
    }

    /// Adds a job; `false` where it has a row by now.
    pub(super) async fn insert(&self, job: &Job) -> Result<bool, OperationError> {
        if self.mode == Mode::Plan {
            return Ok(true);
        }
        self.h.catalog.add_completed(job).await.map_err(|error| row::unwritable(&job.backup_id, error))
    }

    /// The rows of items of a backup whose job stands, where some are missing.
    async fn fill_up(&mut self, id: &BackupId) -> Result<(), OperationError> {
        let Some((manifest, _)) = self.believed(id).await? else { return Ok(()) };
        let expected = manifest.content.as_ref().map_or(0, |content| content.items.expected);
        if self.h.catalog.count_items(id).await? >= expected {
            return Ok(());
        }
        let filled = self.fill(manifest).await?;
        if let Some(problem) = filled.problem {
            self.report.damaged.push(DamagedBackup { backup_id: id.clone(), problem });
        }
        self.report.filled_up.push(RebuiltBackup { backup_id: id.clone(), items: filled.items });
        Ok(())
    }

    /// A manifest that is what was written here, as far as that can be told, and the job that it tells of.
    async fn believed(&mut self, id: &BackupId) -> Result<Option<(Manifest, Job)>, OperationError> {
        let read = match self.h.repository.manifest(id).await {
            Ok(manifest) => self.expect_own(&manifest).and_then(|()| row::of(&manifest).map(|job| (manifest, job))),
            Err(error) => Err(error),
        };
        let error = match read {
            Ok(believed) => return Ok(Some(believed)),
            // Deleted while this was going on.
            Err(OperationError::NotFound(_)) => return Ok(None),
            Err(error) => error,
        };
        let cause = match &error {
            OperationError::Key(_) | OperationError::Repository(_) => UnreadCause::Key,
            OperationError::Corrupt { .. }
            | OperationError::Store(StoreError::Corrupt { .. } | StoreError::Limit { .. }) => UnreadCause::Damaged,
            _ => return Err(error),
        };
        self.unread(id, cause, error.to_string());
        Ok(None)
    }

    /// A manifest of a backup that is not encrypted has nothing to vouch for it: it has to make sense at least.
    fn expect_own(&self, manifest: &Manifest) -> Result<(), OperationError> {
        let (id, kind) = (&manifest.backup_id, manifest.backup_type);
        let is_elsewhere = |artifact: &&Artifact| artifact.key.backup().as_ref() != Some(id);
        let problem = match (&self.repository, manifest.artifacts.iter().find(is_elsewhere)) {
            (Some(own), _) if *own != manifest.repository => {
                format!("its manifest is of repository {}, and this is {own}: it was copied here", manifest.repository)
            }
            (_, Some(artifact)) => format!("its manifest names {}, which is elsewhere", artifact.key),
            _ if kind != id.backup_type() || manifest.content.is_some() != (kind == BackupType::Content) => {
                format!("its manifest says that it is of type {kind}, which its id, or what is inside, is not")
            }
            _ => return Ok(()),
        };
        Err(OperationError::corrupt(id, problem))
    }

    async fn fill(&mut self, manifest: Manifest) -> Result<Filled, OperationError> {
        let expected = manifest.content.as_ref().map_or(0, |content| content.items.expected);
        if self.mode == Mode::Plan {
            self.report.items += expected.saturating_sub(self.h.catalog.count_items(&manifest.backup_id).await?);
            return Ok(Filled { items: expected, problem: None });
        }
        let backup = match StoredContent::of(&self.h.repository, manifest) {
            Ok(backup) => backup,
            Err(error @ OperationError::Corrupt { .. }) => {
                return Ok(Filled { items: 0, problem: Some(error.to_string()) });
            }
            Err(error) => return Err(error),
        };
        self.fill_from(&backup).await
    }

    /// The manifest is there, so the backup is; that it is not good is said in its job, where retention sees it too.
    fn damaged(&mut self, job: &mut Job, level: VerificationLevel, problem: String) {
        tracing::error!(backupId = %job.backup_id, problem, "a backup in the store is damaged");
        job.verification = Some(row::failed(level, Timestamp::now()));
        self.report.damaged.push(DamagedBackup { backup_id: job.backup_id.clone(), problem });
    }

    fn unread(&mut self, id: &BackupId, cause: UnreadCause, reason: String) {
        tracing::warn!(backupId = %id, reason, "a backup's job was not made");
        self.report.unread.push(UnreadBackup { backup_id: id.clone(), cause, reason });
    }

    /// Folders of backups that came to nothing, or were being deleted, when the catalogue went: it no longer says which.
    async fn tell_without_manifest(&mut self, folders: Vec<BackupId>) -> Result<(), OperationError> {
        for page in folders.chunks(PAGE) {
            let standings = self.h.catalog.standings(page).await?;
            let unknown = page.iter().filter(|id| !standings.contains_key(*id));
            self.report.without_manifest.extend(unknown.cloned());
        }
        Ok(())
    }
}

/// Whether more of a backup is read than the name of its folder.
fn is_to_read(id: &BackupId, standing: Option<&Result<JobStanding, CatalogError>>) -> bool {
    match standing {
        None => true,
        Some(Ok(JobStanding { status, is_lost, is_accepted_loss, .. })) => {
            let is_complete = *status == JobStatus::Completed;
            let is_unsuccessful = matches!(status, JobStatus::Failed | JobStatus::Cancelled);
            let is_content = id.backup_type() == BackupType::Content;
            *is_lost || *is_accepted_loss || is_unsuccessful || (is_complete && is_content)
        }
        Some(Err(_)) => false,
    }
}
