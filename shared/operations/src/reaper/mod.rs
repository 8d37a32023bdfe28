//! The sweep: settles dead jobs, releases their leases, and reports overdue backups. A failed step
//! does not stop the others.

mod content;
mod orphans;

use holdfast_catalog::Catalog;
use holdfast_domain::settings::Settings;
use holdfast_domain::{BackupId, BackupType, ObjectKey, Timestamp};
use holdfast_repository::Repository;
use holdfast_storage::UnfinishedUpload;
use jiff::SignedDuration;
use serde::Serialize;

use crate::{
    Holdfast, Observer, OperationError, RunLimits,
    backup::content::{NextStep, queue::DownloadQueue},
    job::{
        dead::{DeadJobs, finish_dead_jobs, free_orphan_leases},
        full,
        late_parents::{self, ReinstatedParent},
        run::is_late,
    },
    measure::{Measured, measure},
    schedule::hours_overdue,
};

/// An upload without a job in this catalogue stays for this long, because another catalogue may
/// have the job.
const UNKNOWN_UPLOAD_AFTER: SignedDuration = SignedDuration::from_hours(24);

/// Result of a sweep.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SweepReport {
    /// Dead runs, now `failed: stalled`.
    pub stalled: Vec<BackupId>,
    /// Dead, failed or cancelled jobs with a manifest in the store, now `completed`.
    pub completed: Vec<BackupId>,
    /// Triggers without a run, now `failed: not-started`.
    pub not_started: Vec<BackupId>,
    /// Number of released orphaned leases and slots.
    pub leases_freed: u64,
    /// Number of aborted uploads.
    pub uploads_aborted: u64,
    /// Number of removed objects without a reference from a manifest.
    pub objects_removed: u64,
    /// Next steps of abandoned content backups. The caller dispatches each one.
    #[serde(rename = "handOn")]
    pub to_continue: Vec<NextStep>,
    /// Items with a message sent again, because it was probably lost.
    pub items_resent: u64,
    /// Items failed because they were not settled in their backup's time.
    pub items_given_up: u64,
    /// Full backups settled after all their parts.
    pub full_settled: Vec<BackupId>,
    /// Deleted full backups brought back, because a part is a backup again.
    pub full_brought_back: Vec<ReinstatedParent>,
    /// Hours since a database backup was due, or 0.
    pub database_hours_overdue: f64,
    /// The same for content backups.
    pub content_hours_overdue: f64,
    /// Bytes of removed objects without a database backup.
    pub database_orphan_bytes: u64,
    /// The same for content backups, including incoming files that were never moved to their
    /// place.
    pub content_orphan_bytes: u64,
    /// Stored data of database backups, if it could be measured.
    pub database_measured: Option<Measured>,
    /// The same for content backups.
    pub content_measured: Option<Measured>,
    /// Steps interrupted by the end of the time. The next sweep resumes them.
    pub unfinished: Vec<String>,
    /// Failed steps.
    pub problems: Vec<String>,
}

impl SweepReport {
    fn add(&mut self, dead: DeadJobs) {
        self.stalled.extend(dead.stalled);
        self.completed.extend(dead.completed);
        self.not_started.extend(dead.not_started);
        self.leases_freed += dead.leases_freed;
        self.problems.extend(dead.problems);
    }

    fn removed(&mut self, kind: BackupType, bytes: u64) {
        self.objects_removed += 1;
        match kind {
            BackupType::Content => self.content_orphan_bytes += bytes,
            BackupType::Database | BackupType::Full => self.database_orphan_bytes += bytes,
        }
    }
}

/// Sweeps once, without a limit of time. Without a queue no message is sent again.
///
/// # Errors
/// Only if no step was possible. The report lists failed steps.
pub async fn sweep(
    holdfast: &Holdfast,
    queue: Option<&dyn DownloadQueue>,
    now: Timestamp,
) -> Result<SweepReport, OperationError> {
    sweep_within(holdfast, queue, RunLimits::none(), now).await
}

/// Sweeps within a function's time. The report names interrupted steps, and the next sweep resumes
/// them.
///
/// # Errors
/// As [`sweep`].
pub async fn sweep_within(
    holdfast: &Holdfast,
    queue: Option<&dyn DownloadQueue>,
    limits: RunLimits,
    now: Timestamp,
) -> Result<SweepReport, OperationError> {
    let mut report = SweepReport::default();
    let now = holdfast.catalog.by_server_clock(now).await?;
    report_overdue(&holdfast.catalog, &holdfast.settings, now, &mut report).await?;
    let mut dead = DeadJobs::default();
    if let Err(error) = finish_dead_jobs(holdfast, now, &mut dead).await {
        report.problems.push(format!("stale jobs: {error}"));
    }
    if let Err(error) = content::sweep(holdfast, queue, limits, now, &mut report).await {
        report.problems.push(format!("content backups: {error}"));
    }
    if let Err(error) = free_orphan_leases(&holdfast.catalog, now, &mut dead).await {
        report.problems.push(format!("leases: {error}"));
    }
    report.add(dead);
    if let Err(error) = abort_orphan_uploads(
        &holdfast.repository,
        &holdfast.catalog,
        limits,
        now,
        &mut report,
    )
    .await
    {
        report.problems.push(format!("unfinished uploads: {error}"));
    }
    if let Err(error) =
        content::remove_incoming(&holdfast.repository, limits, now, &mut report).await
    {
        report.problems.push(format!("incoming files: {error}"));
    }
    if let Err(error) = orphans::sweep(holdfast, limits, now, &mut report).await {
        report
            .problems
            .push(format!("objects without a manifest: {error}"));
    }
    if let Err(error) = finish_parents(
        &holdfast.catalog,
        holdfast.observer.as_ref(),
        now,
        &mut report,
    )
    .await
    {
        report.problems.push(format!("full backups: {error}"));
    }
    if let Err(error) = measure_stored(&holdfast.catalog, &mut report).await {
        report.problems.push(format!("stored bytes: {error}"));
    }
    // A run with a late manifest counts, so compute the hours again.
    if !report.completed.is_empty() {
        report_overdue(&holdfast.catalog, &holdfast.settings, now, &mut report).await?;
    }
    Ok(report)
}

async fn report_overdue(
    catalog: &Catalog,
    settings: &Settings,
    now: Timestamp,
    report: &mut SweepReport,
) -> Result<(), OperationError> {
    report.database_hours_overdue =
        hours_overdue(catalog, settings, BackupType::Database, now).await?;
    report.content_hours_overdue =
        hours_overdue(catalog, settings, BackupType::Content, now).await?;
    Ok(())
}

async fn measure_stored(catalog: &Catalog, report: &mut SweepReport) -> Result<(), OperationError> {
    let counts = catalog.counts().await?;
    report.database_measured = Some(measure(catalog, &counts, BackupType::Database).await?);
    report.content_measured = Some(measure(catalog, &counts, BackupType::Content).await?);
    Ok(())
}

/// Settles each full backup with settled parts.
async fn finish_parents(
    catalog: &Catalog,
    observer: &dyn Observer,
    now: Timestamp,
    report: &mut SweepReport,
) -> Result<(), OperationError> {
    for parent in catalog.active(Some(BackupType::Full)).await? {
        match full::sweep_parent(catalog, observer, &parent, now).await {
            Ok(None) => {}
            Ok(Some(_)) => report.full_settled.push(parent.backup_id),
            Err(error) => report
                .problems
                .push(format!("job {}: {error}", parent.backup_id)),
        }
    }
    let late = late_parents::finish_late(catalog, observer, now).await?;
    report.full_settled.extend(late.completed);
    report.full_brought_back = late.brought_back;
    report.problems.extend(
        late.problems
            .into_iter()
            .map(|(id, error)| format!("job {id}: {error}")),
    );
    Ok(())
}

async fn abort_orphan_uploads(
    repository: &Repository,
    catalog: &Catalog,
    limits: RunLimits,
    now: Timestamp,
    report: &mut SweepReport,
) -> Result<(), OperationError> {
    let store = repository.store();
    let mut uploads = store
        .list_unfinished_uploads(&ObjectKey::type_prefix(BackupType::Database))
        .await?;
    uploads.extend(
        store
            .list_unfinished_uploads(&ObjectKey::type_prefix(BackupType::Content))
            .await?,
    );
    for upload in uploads {
        if is_late(limits) {
            report.unfinished.push("unfinished uploads".to_owned());
            return Ok(());
        }
        let aborted = async {
            let orphan = is_orphan(catalog, &upload, now).await?;
            if orphan {
                store.abort_upload(&upload.key, &upload.upload_id).await?;
            }
            Ok::<_, OperationError>(orphan)
        };
        match aborted.await {
            Ok(true) => {
                tracing::info!(key = %upload.key, "an unfinished upload was aborted");
                report.uploads_aborted += 1;
            }
            Ok(false) => {}
            Err(error) => report
                .problems
                .push(format!("upload of {}: {error}", upload.key)),
        }
    }
    Ok(())
}

/// Whether this upload is abandoned: its job is settled, or a later run of the job has its own
/// upload. The key of an incoming file does not name its backup, so it stays as long as an upload
/// without a job.
async fn is_orphan(
    catalog: &Catalog,
    upload: &UnfinishedUpload,
    now: Timestamp,
) -> Result<bool, OperationError> {
    let old = now.duration_since(upload.initiated_at) > UNKNOWN_UPLOAD_AFTER;
    let Some(id) = upload.key.backup() else {
        return Ok(old);
    };
    match catalog.get(&id).await {
        Ok(job) if !job.status.is_active() => Ok(true),
        Ok(job) if job.backup_type == BackupType::Database => {
            Ok(upload.key != ObjectKey::database_dump(&id, job.fence, job.encoding()))
        }
        Ok(_) | Err(holdfast_catalog::CatalogError::NotFound { .. }) => Ok(old),
        Err(error) => Err(error.into()),
    }
}
