//! The sweep: settles what died, frees what it held, and says what is overdue. Each step goes on where another failed.

mod content;
mod orphans;

use std::collections::HashMap;

use holdfast_catalog::{Lease, Source};
use holdfast_domain::{BackupId, BackupType, FailureCode, Job, JobFailure, JobStatus, ObjectKey, Timestamp};
use holdfast_storage::UnfinishedUpload;
use jiff::SignedDuration;
use serde::Serialize;

use crate::{
    Holdfast, OperationError, RunLimits,
    content::{HandOn, queue::DownloadQueue},
    full,
    lease::{NOT_STARTED_AFTER, is_dead},
    measure::{Measured, measure},
    retain::is_late,
    settle, trigger,
};

/// An upload of a backup that the catalogue does not know is left alone for this long: another catalogue may.
const UNKNOWN_UPLOAD_AFTER: SignedDuration = SignedDuration::from_hours(24);

/// What a sweep did.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SweepReport {
    /// Runs that died, now `failed: stalled`.
    pub stalled: Vec<BackupId>,
    /// Jobs whose run died, failed or was cancelled and whose manifest is in the store, now `completed`.
    pub completed: Vec<BackupId>,
    /// Triggers that nobody took over, now `failed: not-started`.
    pub not_started: Vec<BackupId>,
    /// Leases and slots that nobody would have given back.
    pub leases_freed: u64,
    /// Unfinished uploads aborted.
    pub uploads_aborted: u64,
    /// Objects removed that no manifest names.
    pub objects_removed: u64,
    /// Content backups that nobody went on with: the caller hands each on.
    pub hand_on: Vec<HandOn>,
    /// Items whose message was taken for lost, sent again.
    pub items_resent: u64,
    /// Items that were not settled in their backup's time, now failed.
    pub items_given_up: u64,
    /// Full backups settled because all their parts are.
    pub full_settled: Vec<BackupId>,
    /// Hours since a database backup was due; 0 where none is.
    pub database_hours_overdue: f64,
    /// The same of content backups.
    pub content_hours_overdue: f64,
    /// Bytes of objects that belonged to no database backup, and were removed.
    pub database_orphan_bytes: u64,
    /// The same of content backups: files on their way that never came to their place among them.
    pub content_orphan_bytes: u64,
    /// What is stored of database backups, where that could be told.
    pub database_measured: Option<Measured>,
    /// The same of content backups.
    pub content_measured: Option<Measured>,
    /// Steps that the time ended before their end. The next sweep continues them.
    pub unfinished: Vec<String>,
    /// Steps that failed.
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

/// Sweeps once, with no limit of time. Without a queue no message is sent again.
///
/// # Errors
/// Only where nothing at all could be looked at; a step that fails is told in the report.
pub async fn sweep(
    h: &Holdfast,
    queue: Option<&dyn DownloadQueue>,
    now: Timestamp,
) -> Result<SweepReport, OperationError> {
    sweep_within(h, queue, RunLimits::none(), now).await
}

/// The same in a function's time. Steps that the time ends are named in the report, and the next sweep continues them.
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
        report.problems.push(format!("files on their way: {error}"));
    }
    if let Err(error) = orphans::look_after(h, limits, now, &mut report).await {
        report.problems.push(format!("objects without a manifest: {error}"));
    }
    if let Err(error) = settle_parents(h, now, &mut report).await {
        report.problems.push(format!("full backups: {error}"));
    }
    if let Err(error) = measure_stored(h, &mut report).await {
        report.problems.push(format!("what is stored: {error}"));
    }
    // A run whose manifest was late counts: look again.
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

/// Settles each full backup whose parts are settled.
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

/// Settles each active job whose run is dead, or was never begun.
pub(crate) async fn settle_dead_jobs(
    h: &Holdfast,
    now: Timestamp,
    report: &mut SweepReport,
) -> Result<(), OperationError> {
    let jobs = h.catalog.active(None).await?;
    // A full backup holds no lease: its parts are looked at.
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
    // What is done of a content backup stays: it is gone on with, by whoever can hand it on.
    if job.backup_type == BackupType::Content && !content::is_given_up(job, now) {
        return Ok(());
    }
    settle_as_dead(h, job, now, report).await
}

/// Settles a job that nobody will go on with: by its manifest where that is there, else as stalled.
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
        Err(OperationError::NotFound(_)) => {
            settle::fail(h, job, stalled(), Some(job.fence), now).await?;
            report.stalled.push(job.backup_id.clone());
        }
        Err(error) => return Err(error),
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
            tracing::info!(backupId = %orphan.holder, "a lease that nobody would have given back was freed");
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

/// Whether nobody will finish this upload: its job is settled, or a later run of the job has its own. Whose a file on its
/// way is, its key does not say: it has as long as one that the catalogue does not know.
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

/// Hours since a backup of this type was due: an interval after the last good one was triggered, and an hour's grace for
/// the run itself. Before the first good one it is late by a whole interval, and by the time since the first was
/// requested: a deployment whose backups failed or were cancelled has backed up nothing.
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

/// When the next backup of this type is due: an interval after the last good one; none before there is one. Once there was
/// a backup of something, one of nothing is not good: its source was wiped or misnamed.
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
        message: "nobody took the backup over within 10 minutes".to_owned(),
        hint: Some("look at the worker's log and at the dead-letter queue, then trigger it again".to_owned()),
    }
}

fn stalled() -> JobFailure {
    JobFailure {
        code: FailureCode::Stalled,
        message: "the run stopped beating before its manifest was written".to_owned(),
        hint: Some(
            "look at the worker's log: it was killed, or ran out of memory or time. The next run starts afresh"
                .to_owned(),
        ),
    }
}
