//! The sweep: settles dead jobs, releases their leases, and reports overdue backups. A failed step does not stop the
//! others.

mod content;
mod orphans;

use std::collections::HashMap;

use holdfast_catalog::{Lease, Source};
use holdfast_domain::{BackupId, BackupType, FailureCode, Job, JobFailure, JobStatus, ObjectKey, Timestamp};
use holdfast_repository::RepositoryError;
use holdfast_storage::UnfinishedUpload;
use jiff::SignedDuration;
use serde::Serialize;

use crate::{
    Holdfast, OperationError, RunLimits,
    backup::content::{HandOn, queue::DownloadQueue},
    job::{
        full,
        lease::{NOT_STARTED_AFTER, is_dead},
        run::is_late,
        settle, trigger,
    },
    measure::{Measured, measure},
};

/// An upload without a job in this catalogue stays for this long, because another catalogue may have the job.
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
    /// Number of removed objects that no manifest names.
    pub objects_removed: u64,
    /// Abandoned content backups. The caller hands each on.
    pub hand_on: Vec<HandOn>,
    /// Items with a message sent again, because it was probably lost.
    pub items_resent: u64,
    /// Items failed because they were not settled in their backup's time.
    pub items_given_up: u64,
    /// Full backups settled after all their parts.
    pub full_settled: Vec<BackupId>,
    /// Hours since a database backup was due, or 0.
    pub database_hours_overdue: f64,
    /// The same for content backups.
    pub content_hours_overdue: f64,
    /// Bytes of removed objects without a database backup.
    pub database_orphan_bytes: u64,
    /// The same for content backups, including incoming files that were never moved to their place.
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
    h: &Holdfast,
    queue: Option<&dyn DownloadQueue>,
    now: Timestamp,
) -> Result<SweepReport, OperationError> {
    sweep_within(h, queue, RunLimits::none(), now).await
}

/// Sweeps within a function's time. The report names interrupted steps, and the next sweep resumes them.
///
/// # Errors
/// As [`sweep`].
pub async fn sweep_within(
    h: &Holdfast,
    queue: Option<&dyn DownloadQueue>,
    limits: RunLimits,
    now: Timestamp,
) -> Result<SweepReport, OperationError> {
    let mut report = SweepReport::default();
    let now = h.catalog.by_server_clock(now).await?;
    tell_overdue(h, now, &mut report).await?;
    if let Err(error) = settle_dead_jobs(h, now, &mut report).await {
        report.problems.push(format!("stale jobs: {error}"));
    }
    if let Err(error) = content::look_after(h, queue, limits, now, &mut report).await {
        report.problems.push(format!("content backups: {error}"));
    }
    if let Err(error) = free_orphan_leases(h, now, &mut report).await {
        report.problems.push(format!("leases: {error}"));
    }
    if let Err(error) = abort_orphan_uploads(h, limits, now, &mut report).await {
        report.problems.push(format!("unfinished uploads: {error}"));
    }
    if let Err(error) = content::remove_incoming(h, limits, now, &mut report).await {
        report.problems.push(format!("incoming files: {error}"));
    }
    if let Err(error) = orphans::look_after(h, limits, now, &mut report).await {
        report.problems.push(format!("objects without a manifest: {error}"));
    }
    if let Err(error) = settle_parents(h, now, &mut report).await {
        report.problems.push(format!("full backups: {error}"));
    }
    if let Err(error) = measure_stored(h, &mut report).await {
        report.problems.push(format!("stored bytes: {error}"));
    }
    // A run with a late manifest counts, so compute the hours again.
    if !report.completed.is_empty() {
        tell_overdue(h, now, &mut report).await?;
    }
    Ok(report)
}

async fn tell_overdue(h: &Holdfast, now: Timestamp, report: &mut SweepReport) -> Result<(), OperationError> {
    report.database_hours_overdue = hours_overdue(h, BackupType::Database, now).await?;
    report.content_hours_overdue = hours_overdue(h, BackupType::Content, now).await?;
    Ok(())
}

async fn measure_stored(h: &Holdfast, report: &mut SweepReport) -> Result<(), OperationError> {
    let counts = h.catalog.counts().await?;
    report.database_measured = Some(measure(h, &counts, BackupType::Database).await?);
    report.content_measured = Some(measure(h, &counts, BackupType::Content).await?);
    Ok(())
}

/// Settles each full backup with settled parts.
async fn settle_parents(h: &Holdfast, now: Timestamp, report: &mut SweepReport) -> Result<(), OperationError> {
    for parent in h.catalog.active(Some(BackupType::Full)).await? {
        match full::sweep_parent(h, &parent, now).await {
            Ok(None) => {}
            Ok(Some(_)) => report.full_settled.push(parent.backup_id),
            Err(error) => report.problems.push(format!("job {}: {error}", parent.backup_id)),
        }
    }
    report.full_settled.extend(full::complete_late(h, now).await?);
    Ok(())
}

/// Settles each active job with a dead run, or without a run.
pub(crate) async fn settle_dead_jobs(
    h: &Holdfast,
    now: Timestamp,
    report: &mut SweepReport,
) -> Result<(), OperationError> {
    let jobs = h.catalog.active(None).await?;
    // A full backup holds no lease. Its parts are settled instead.
    let jobs = jobs.into_iter().filter(|job| job.backup_type != BackupType::Full);
    let leases: HashMap<Source, Lease> =
        h.catalog.leases().await?.sources.into_iter().map(|lease| (lease.source, lease)).collect();
    for job in jobs {
        let lease = Source::of(job.backup_type).and_then(|source| leases.get(&source));
        let lease = lease.filter(|lease| lease.holder == job.backup_id);
        if let Err(error) = settle_if_dead(h, &job, lease, now, report).await {
            report.problems.push(format!("job {}: {error}", job.backup_id));
        }
    }
    Ok(())
}

async fn settle_if_dead(
    h: &Holdfast,
    job: &Job,
    lease: Option<&Lease>,
    now: Timestamp,
    report: &mut SweepReport,
) -> Result<(), OperationError> {
    if job.status == JobStatus::Pending && lease.is_none_or(|lease| lease.fence == 0) {
        if now.duration_since(job.created_at) > NOT_STARTED_AFTER {
            settle::fail(h, job, not_started(), Some(job.fence), now).await?;
            report.not_started.push(job.backup_id.clone());
        }
        return Ok(());
    }
    if lease.is_some_and(|lease| !is_dead(lease, now)) {
        return Ok(());
    }
    // The results of a content backup stay, and another run resumes it.
    if job.backup_type == BackupType::Content && !content::is_given_up(job, now) {
        return Ok(());
    }
    settle_as_dead(h, job, now, report).await
}

/// Settles an abandoned job: by its manifest if it exists, or else as stalled.
async fn settle_as_dead(
    h: &Holdfast,
    job: &Job,
    now: Timestamp,
    report: &mut SweepReport,
) -> Result<(), OperationError> {
    match h.repository.manifest(&job.backup_id).await {
        Ok(manifest) => {
            settle::complete(h, job, &manifest).await?;
            report.completed.push(job.backup_id.clone());
        }
        Err(RepositoryError::NotFound(_)) => {
            settle::fail(h, job, stalled(), Some(job.fence), now).await?;
            report.stalled.push(job.backup_id.clone());
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

pub(crate) async fn free_orphan_leases(
    h: &Holdfast,
    now: Timestamp,
    report: &mut SweepReport,
) -> Result<(), OperationError> {
    for orphan in h.catalog.orphan_leases(now).await? {
        if h.catalog.free_orphan(&orphan).await? {
            tracing::info!(backupId = %orphan.holder, "an orphaned lease was released");
            report.leases_freed += 1;
        }
    }
    Ok(())
}

async fn abort_orphan_uploads(
    h: &Holdfast,
    limits: RunLimits,
    now: Timestamp,
    report: &mut SweepReport,
) -> Result<(), OperationError> {
    let store = h.repository.store();
    let mut uploads = store.list_unfinished_uploads(&ObjectKey::type_prefix(BackupType::Database)).await?;
    uploads.extend(store.list_unfinished_uploads(&ObjectKey::type_prefix(BackupType::Content)).await?);
    for upload in uploads {
        if is_late(limits) {
            report.unfinished.push("unfinished uploads".to_owned());
            return Ok(());
        }
        let aborted = async {
            let orphan = is_orphan(h, &upload, now).await?;
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
            Err(error) => report.problems.push(format!("upload of {}: {error}", upload.key)),
        }
    }
    Ok(())
}

/// Whether this upload is abandoned: its job is settled, or a later run of the job has its own upload. The key of an
/// incoming file does not name its backup, so it stays as long as an upload without a job.
async fn is_orphan(h: &Holdfast, upload: &UnfinishedUpload, now: Timestamp) -> Result<bool, OperationError> {
    let old = now.duration_since(upload.initiated_at) > UNKNOWN_UPLOAD_AFTER;
    let Some(id) = upload.key.backup() else { return Ok(old) };
    match h.catalog.get(&id).await {
        Ok(job) if !job.status.is_active() => Ok(true),
        Ok(job) if job.backup_type == BackupType::Database => {
            Ok(upload.key != ObjectKey::database_dump(&id, job.fence, job.compressed, job.encrypted))
        }
        Ok(_) | Err(holdfast_catalog::CatalogError::NotFound { .. }) => Ok(old),
        Err(error) => Err(error.into()),
    }
}

/// Hours since a backup of this type was due. It is due an interval after the trigger of the last good one, with an
/// hour's grace for the run itself.
///
/// Before the first good one it is late by a complete interval, plus the time since the first request. A deployment
/// with only failed or cancelled backups has no backup.
pub(crate) async fn hours_overdue(h: &Holdfast, kind: BackupType, now: Timestamp) -> Result<f64, OperationError> {
    const GRACE: SignedDuration = SignedDuration::from_hours(1);
    if trigger::switched_off(h, kind).is_some() {
        return Ok(0.0);
    }
    let late = if let Some(due) = due_at(h, kind).await? {
        now.duration_since(due) - GRACE
    } else {
        let first = h.catalog.oldest(kind).await?;
        let since = first.map_or(SignedDuration::ZERO, |job| now.duration_since(job.created_at));
        interval(h, kind) + since.max(SignedDuration::ZERO)
    };
    Ok((late.as_secs_f64() / 3600.0).max(0.0))
}

/// Due time of the next backup of this type: an interval after the last good one, or `None` before it. After a backup
/// with content, an empty one is not good: its source was wiped or misnamed.
pub(crate) async fn due_at(h: &Holdfast, kind: BackupType) -> Result<Option<Timestamp>, OperationError> {
    let good = match h.catalog.newest_filled(kind).await? {
        Some(job) => Some(job),
        None => h.catalog.newest_completed(kind).await?,
    };
    Ok(good.map(|job| job.created_at + interval(h, kind)))
}

fn interval(h: &Holdfast, kind: BackupType) -> SignedDuration {
    let hours = match kind {
        BackupType::Content => h.settings.content.interval_hours,
        BackupType::Database | BackupType::Full => h.settings.database.interval_hours,
    };
    SignedDuration::from_hours(i64::from(hours))
}

fn not_started() -> JobFailure {
    JobFailure {
        code: FailureCode::NotStarted,
        message: "no run began the backup within 10 minutes".to_owned(),
        hint: Some("check the worker's log and the dead-letter queue, then trigger it again".to_owned()),
    }
}

fn stalled() -> JobFailure {
    JobFailure {
        code: FailureCode::Stalled,
        message: "the run stopped beating before its manifest was written".to_owned(),
        hint: Some(
            "check the worker's log: it was killed, or ran out of memory or time. The next run starts from the \
             beginning"
                .to_owned(),
        ),
    }
}
