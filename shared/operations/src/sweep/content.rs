//! Content backups that nobody goes on with: handed on again where an event was lost, their items sent again where a
//! message was, settled where their time is up; and what their uploads left behind.

use futures_util::{StreamExt as _, TryStreamExt as _};
use holdfast_catalog::{Lease, Source};
use holdfast_domain::{BackupId, BackupType, Job, JobStatus, ObjectKey, Timestamp};
use jiff::SignedDuration;

use super::{SweepReport, settle_as_dead};
use crate::{
    Holdfast, OperationError, RunLimits,
    content::{
        DOWNLOADS_END_AFTER, HANDED_ON_FOR, HandOn,
        discover::send,
        fan_in::{finalize_if_settled_at, give_item_up},
        queue::DownloadQueue,
    },
    lease::is_dead,
    retain::is_late,
    run::Step,
};

/// A message that was sent this long ago, of an item that is still pending, is taken for lost.
const SEND_AGAIN_AFTER: SignedDuration = SignedDuration::from_mins(30);
/// A backup that nobody is at work on, and that is older than this, will not become one.
const GIVEN_UP_AFTER: SignedDuration = SignedDuration::from_hours(48);
/// A file on its way is left alone for this long.
const INCOMING_LASTS: SignedDuration = SignedDuration::from_hours(24);
/// Items looked at in one call.
const PAGE: u32 = 1000;
/// The most that one sweep sends again: there is more for it to look at, and messages that merely wait are no loss.
const MOST_SENT_AGAIN: u64 = 50_000;
/// Items settled at a time.
const CONCURRENCY: usize = 32;

/// Whether a content backup that nobody is at work on is to be given up, rather than gone on with.
pub(super) fn is_given_up(job: &Job, now: Timestamp) -> bool {
    now.duration_since(job.created_at) > GIVEN_UP_AFTER
}

/// Looks after each content backup.
pub(super) async fn look_after(
    h: &Holdfast,
    queue: Option<&dyn DownloadQueue>,
    limits: RunLimits,
    now: Timestamp,
    report: &mut SweepReport,
) -> Result<(), OperationError> {
    for job in h.catalog.active(Some(BackupType::Content)).await? {
        if is_late(limits) {
            report.unfinished.push("content backups".to_owned());
            return Ok(());
        }
        let lease = h.catalog.get_lease(Source::Content).await?.filter(|lease| lease.holder == job.backup_id);
        let unclaimed = job.status == JobStatus::Pending && lease.as_ref().is_none_or(|lease| lease.fence == 0);
        if unclaimed {
            continue;
        }
        let looked = async {
            match job.status {
                JobStatus::Finalizing | JobStatus::Committing => finalizing(h, &job, lease.as_ref(), now, report).await,
                _ => running(h, queue, &job, lease.as_ref(), (limits, now), report).await,
            }
        };
        if let Err(error) = looked.await {
            report.problems.push(format!("job {}: {error}", job.backup_id));
        }
    }
    Ok(())
}

/// Whether nobody comes: the run died, or whoever was handed on to is late.
fn is_abandoned(lease: Option<&Lease>, now: Timestamp) -> bool {
    lease.is_none_or(|lease| is_dead(lease, now))
}

async fn finalizing(
    h: &Holdfast,
    job: &Job,
    lease: Option<&Lease>,
    now: Timestamp,
    report: &mut SweepReport,
) -> Result<(), OperationError> {
    // Whoever won the change may have died before it said for how long to wait.
    let late = |lease: &Lease| lease.waits_until.is_some() && now.duration_since(lease.beat_at) > HANDED_ON_FOR;
    if !is_abandoned(lease, now) && !lease.is_some_and(late) {
        return Ok(());
    }
    match h.repository.manifest(&job.backup_id).await {
        Err(OperationError::NotFound(_)) if !is_given_up(job, now) => {
            hand_on(&job.backup_id, Step::Finalize, report);
            Ok(())
        }
        Err(error) if !matches!(error, OperationError::NotFound(_)) => Err(error),
        _ => settle_as_dead(h, job, now, report).await,
    }
}

async fn running(
    h: &Holdfast,
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
    let work = h.catalog.content_work(&job.backup_id).await?;
    if work.discovered_at.is_none() {
        return undiscovered(h, job, lease, now, report).await;
    }
    let end = job.created_at + DOWNLOADS_END_AFTER;
    if !is_waiting && let Some(lease) = lease {
        // Its last run died between its last word and its waiting.
        h.catalog.wait(Source::Content, &job.backup_id, lease.fence, end, now).await?;
    }
    if now > end {
        report.items_given_up += give_up(h, &job.backup_id, limits).await?;
    } else if let Some(queue) = queue {
        report.items_resent += send_again(h, queue, &job.backup_id, limits, now).await?;
    }
    if finalize_if_settled_at(h, &job.backup_id, now).await? {
        hand_on(&job.backup_id, Step::Finalize, report);
    }
    Ok(())
}

async fn undiscovered(
    h: &Holdfast,
    job: &Job,
    lease: Option<&Lease>,
    now: Timestamp,
    report: &mut SweepReport,
) -> Result<(), OperationError> {
    if !is_abandoned(lease, now) {
        return Ok(());
    }
    if is_given_up(job, now) {
        return settle_as_dead(h, job, now, report).await;
    }
    hand_on(&job.backup_id, Step::Discover, report);
    Ok(())
}

fn hand_on(id: &BackupId, step: Step, report: &mut SweepReport) {
    tracing::warn!(backupId = %id, ?step, "nobody goes on with a backup, and it is handed on again");
    report.hand_on.push(HandOn { backup_id: id.clone(), step });
}

async fn send_again(
    h: &Holdfast,
    queue: &dyn DownloadQueue,
    id: &BackupId,
    limits: RunLimits,
    now: Timestamp,
) -> Result<u64, OperationError> {
    let (mut sent, mut after) = (0, None);
    loop {
        // What was sent says so, and the next sweep continues with the others.
        if is_late(limits) {
            return Ok(sent);
        }
        let page = h.catalog.pending_since(id, now - SEND_AGAIN_AFTER, after.as_deref(), PAGE).await?;
        let Some(last) = page.last().cloned() else { return Ok(sent) };
        send(h, queue, id, &page).await?;
        sent += page.len() as u64;
        if sent >= MOST_SENT_AGAIN {
            return Ok(sent);
        }
        after = Some(last);
    }
}

/// Settles what is still pending as failed, so that the backup ends.
async fn give_up(h: &Holdfast, id: &BackupId, limits: RunLimits) -> Result<u64, OperationError> {
    let (mut given_up, mut after) = (0, None);
    loop {
        // What is settled is not pending any more, and the next sweep continues with the others.
        if is_late(limits) {
            return Ok(given_up);
        }
        let page = h.catalog.pending_since(id, Timestamp::MAX, after.as_deref(), PAGE).await?;
        let Some(last) = page.last().cloned() else { return Ok(given_up) };
        let hours = DOWNLOADS_END_AFTER.as_hours();
        let failing = page.iter().map(|content_id| async move {
            let message = format!("it was not settled within the {hours} hours that a backup's downloads have");
            match h.catalog.get_item(id, content_id).await? {
                Some(record) => give_item_up(h, id, &record.item, message).await,
                None => Ok(false),
            }
        });
        let settled: Vec<bool> =
            futures_util::stream::iter(failing).buffer_unordered(CONCURRENCY).try_collect().await?;
        given_up += settled.into_iter().filter(|by_this| *by_this).count() as u64;
        after = Some(last);
    }
}

/// Removes files that were on their way and never came to their place.
pub(super) async fn remove_incoming(
    h: &Holdfast,
    limits: RunLimits,
    now: Timestamp,
    report: &mut SweepReport,
) -> Result<(), OperationError> {
    let store = h.repository.store();
    let mut incoming = store.list(ObjectKey::INCOMING);
    while let Some(object) = incoming.try_next().await? {
        if now.duration_since(object.last_modified_at) <= INCOMING_LASTS {
            continue;
        }
        if is_late(limits) {
            report.unfinished.push("files on their way".to_owned());
            return Ok(());
        }
        match store.delete(&object.key).await {
            Ok(()) => {
                tracing::info!(key = %object.key, "a file that never came to its place was removed");
                report.removed(BackupType::Content, object.size_bytes);
            }
            Err(error) => report.problems.push(format!("object {}: {error}", object.key)),
        }
    }
    Ok(())
}
