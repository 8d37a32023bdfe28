//! Continues abandoned content backups: dispatches the next run after a lost event, and sends items
//! again after a lost message. It settles a backup after its deadline. It also removes the remains
//! of their uploads.

use futures_util::{StreamExt as _, TryStreamExt as _};
use holdfast_catalog::{Catalog, Lease, Source};
use holdfast_domain::{BackupId, BackupType, Job, JobStatus, ObjectKey, Timestamp};
use holdfast_repository::{Repository, RepositoryError};
use jiff::SignedDuration;

use super::SweepReport;
use crate::{
    Holdfast, OperationError, RunLimits,
    backup::content::{
        DOWNLOADS_END_AFTER, NEXT_RUN_WITHIN, NextStep,
        discover::send,
        fan_in::{finalize_if_settled_at, settle_undownloaded},
        queue::DownloadQueue,
    },
    job::{
        dead::{DeadJobs, finish_dead_job, is_given_up},
        lease::is_dead,
        run::{Step, is_late},
    },
};

/// A message sent this long ago is lost, if its item is still pending.
const RESEND_AFTER: SignedDuration = SignedDuration::from_mins(30);
/// An incoming file stays for this long.
const INCOMING_LIFETIME: SignedDuration = SignedDuration::from_hours(24);
/// Items read in one call.
const PAGE: u32 = 1000;
/// Maximum number of messages that one sweep sends again. Other work follows, and a merely waiting
/// message is no loss.
const MAX_RESENT: u64 = 50_000;
/// Items settled at a time.
const CONCURRENCY: usize = 32;

/// Processes each content backup.
pub(super) async fn sweep(
    holdfast: &Holdfast,
    queue: Option<&dyn DownloadQueue>,
    limits: RunLimits,
    now: Timestamp,
    report: &mut SweepReport,
) -> Result<(), OperationError> {
    for job in holdfast.catalog.active(Some(BackupType::Content)).await? {
        if is_late(limits) {
            report.unfinished.push("content backups".to_owned());
            return Ok(());
        }
        let lease = holdfast
            .catalog
            .get_lease(Source::Content)
            .await?
            .filter(|lease| lease.holder == job.backup_id);
        let unclaimed =
            job.status == JobStatus::Pending && lease.as_ref().is_none_or(|lease| lease.fence == 0);
        if unclaimed {
            continue;
        }
        let swept = async {
            match job.status {
                JobStatus::Finalizing | JobStatus::Committing => {
                    finalizing(holdfast, &job, lease.as_ref(), now, report).await
                }
                _ => running(holdfast, queue, &job, lease.as_ref(), (limits, now), report).await,
            }
        };
        if let Err(error) = swept.await {
            report
                .problems
                .push(format!("job {}: {error}", job.backup_id));
        }
    }
    Ok(())
}

/// Whether the backup has no run: its run died, or the next run is late.
fn is_abandoned(lease: Option<&Lease>, now: Timestamp) -> bool {
    lease.is_none_or(|lease| is_dead(lease, now))
}

async fn finalizing(
    holdfast: &Holdfast,
    job: &Job,
    lease: Option<&Lease>,
    now: Timestamp,
    report: &mut SweepReport,
) -> Result<(), OperationError> {
    // The winner of the change may have died before it recorded its wait.
    let late = |lease: &Lease| {
        lease.waits_until.is_some() && now.duration_since(lease.beat_at) > NEXT_RUN_WITHIN
    };
    if !is_abandoned(lease, now) && !lease.is_some_and(late) {
        return Ok(());
    }
    match holdfast.repository.manifest(&job.backup_id).await {
        Err(RepositoryError::NotFound(_)) if !is_given_up(job, now) => {
            continue_with(&job.backup_id, Step::Finalize, report);
            Ok(())
        }
        Err(error) if !matches!(error, RepositoryError::NotFound(_)) => Err(error.into()),
        _ => finish_dead(holdfast, job, now, report).await,
    }
}

async fn finish_dead(
    holdfast: &Holdfast,
    job: &Job,
    now: Timestamp,
    report: &mut SweepReport,
) -> Result<(), OperationError> {
    let mut dead = DeadJobs::default();
    let settled = finish_dead_job(holdfast, job, now, &mut dead).await;
    report.add(dead);
    settled
}

async fn running(
    holdfast: &Holdfast,
    queue: Option<&dyn DownloadQueue>,
    job: &Job,
    lease: Option<&Lease>,
    (limits, now): (RunLimits, Timestamp),
    report: &mut SweepReport,
) -> Result<(), OperationError> {
    let is_waiting = lease.is_some_and(|lease| lease.waits_until.is_some());
    if !is_waiting && !is_abandoned(lease, now) {
        return Ok(());
    }
    let work = holdfast.catalog.content_work(&job.backup_id).await?;
    if work.discovered_at.is_none() {
        return undiscovered(holdfast, job, lease, now, report).await;
    }
    let end = job.created_at + DOWNLOADS_END_AFTER;
    if !is_waiting && let Some(lease) = lease {
        // Its last run died between its last write and its wait.
        holdfast
            .catalog
            .wait(Source::Content, &job.backup_id, lease.fence, end, now)
            .await?;
    }
    if now > end {
        report.items_given_up += fail_pending(holdfast, job, limits).await?;
    } else if let Some(queue) = queue {
        report.items_resent +=
            resend(&holdfast.catalog, queue, &job.backup_id, limits, now).await?;
    }
    if finalize_if_settled_at(
        &holdfast.catalog,
        holdfast.observer.as_ref(),
        &job.backup_id,
        now,
    )
    .await?
    {
        continue_with(&job.backup_id, Step::Finalize, report);
    }
    Ok(())
}

async fn undiscovered(
    holdfast: &Holdfast,
    job: &Job,
    lease: Option<&Lease>,
    now: Timestamp,
    report: &mut SweepReport,
) -> Result<(), OperationError> {
    if !is_abandoned(lease, now) {
        return Ok(());
    }
    if is_given_up(job, now) {
        return finish_dead(holdfast, job, now, report).await;
    }
    continue_with(&job.backup_id, Step::Discover, report);
    Ok(())
}

fn continue_with(id: &BackupId, step: Step, report: &mut SweepReport) {
    tracing::warn!(backupId = %id, ?step, "a content backup is abandoned: its step is dispatched again");
    report.to_continue.push(NextStep {
        backup_id: id.clone(),
        step,
    });
}

async fn resend(
    catalog: &Catalog,
    queue: &dyn DownloadQueue,
    id: &BackupId,
    limits: RunLimits,
    now: Timestamp,
) -> Result<u64, OperationError> {
    let (mut sent, mut after) = (0, None);
    loop {
        // Sent items are recorded, and the next sweep resumes with the others.
        if is_late(limits) {
            return Ok(sent);
        }
        let page = catalog
            .pending_since(id, now - RESEND_AFTER, after.as_deref(), PAGE)
            .await?;
        let Some(last) = page.last().cloned() else {
            return Ok(sent);
        };
        send(catalog, queue, id, &page).await?;
        sent += page.len() as u64;
        if sent >= MAX_RESENT {
            return Ok(sent);
        }
        after = Some(last);
    }
}

/// Settles the pending items as failed, so the backup ends.
async fn fail_pending(
    holdfast: &Holdfast,
    job: &Job,
    limits: RunLimits,
) -> Result<u64, OperationError> {
    let id = &job.backup_id;
    let (mut given_up, mut after) = (0, None);
    loop {
        // Settled items are not pending any more, and the next sweep resumes with the others.
        if is_late(limits) {
            return Ok(given_up);
        }
        let page = holdfast
            .catalog
            .pending_since(id, Timestamp::MAX, after.as_deref(), PAGE)
            .await?;
        let Some(last) = page.last().cloned() else {
            return Ok(given_up);
        };
        let hours = DOWNLOADS_END_AFTER.as_hours();
        let failing = page.iter().map(|content_id| async move {
            let message = format!(
                "it was not settled within {hours} hours, the time limit of a backup's downloads"
            );
            match holdfast.catalog.get_item(id, content_id).await? {
                Some(record) => settle_undownloaded(holdfast, job, &record.item, message).await,
                None => Ok(false),
            }
        });
        let settled: Vec<bool> = futures_util::stream::iter(failing)
            .buffer_unordered(CONCURRENCY)
            .try_collect()
            .await?;
        given_up += settled.into_iter().filter(|by_this| *by_this).count() as u64;
        after = Some(last);
    }
}

/// Removes incoming files that were never moved to their place.
pub(super) async fn remove_incoming(
    repository: &Repository,
    limits: RunLimits,
    now: Timestamp,
    report: &mut SweepReport,
) -> Result<(), OperationError> {
    let store = repository.store();
    let mut incoming = store.list(ObjectKey::INCOMING);
    while let Some(object) = incoming.try_next().await? {
        if now.duration_since(object.last_modified_at) <= INCOMING_LIFETIME {
            continue;
        }
        if is_late(limits) {
            report.unfinished.push("incoming files".to_owned());
            return Ok(());
        }
        match store.delete(&object.key).await {
            Ok(()) => {
                tracing::info!(key = %object.key, "an incoming file that was never moved to its place was removed");
                report.removed(BackupType::Content, object.size_bytes);
            }
            Err(error) => report
                .problems
                .push(format!("object {}: {error}", object.key)),
        }
    }
    Ok(())
}
