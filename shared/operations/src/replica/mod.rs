//! The second copy of a backup, in a store of its own.
//!
//! The repository's files come first, then the objects, then the manifest. So a committed copy can
//! be listed, verified and restored from that store alone. Damaged objects of the first store are
//! never sent. Objects of the second store are never overwritten, unless a repair proves their
//! damage. Two concurrent copiers only repeat work.

mod claim;
mod copier;
mod due;
pub(crate) mod fault;
mod object;
mod remove;
mod repair;
pub(crate) mod repository_files;
mod upload;
mod wanted;

use holdfast_domain::{BackupId, BackupType, CopyStatus, Job, JobStatus};
use holdfast_recovery::readers::Purpose;
use holdfast_repository::Repository;
use serde::Serialize;

use self::{
    claim::{ClaimOutcome, CopyEnd, Decision, ReplicaClaim},
    copier::{Copied, Copier},
};

pub use self::{
    due::{DueCopies, copies_due, expect_copies},
    fault::CopyFault,
    remove::{RemovedCopies, remove_copies},
};
use crate::{Holdfast, InvalidOperation, OperationError, RunLimits, StopReason, readers::protect};

/// Depth of the checks, and the treatment of damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyMode {
    /// Sends missing objects. Present objects are compared by size, and encrypted ones also by
    /// header and trailer.
    Missing,
    /// Also reads the present objects completely. It replaces damaged objects, if the first store
    /// has sound ones.
    Repair,
}

/// Result of a copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CopyReport {
    /// The backup.
    pub backup_id: BackupId,
    /// Number of sent objects, including repaired ones.
    pub copied: u64,
    /// Number of objects already present.
    pub present: u64,
    /// The repaired objects, with their damage.
    pub mended: Vec<String>,
    /// Bytes sent, in all runs together.
    pub bytes: u64,
}

/// Result of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopyStep {
    /// The copy is complete.
    Done(CopyReport),
    /// The time is over, and another run resumes the copy.
    Continue,
    /// Another run works on this copy, or on a collection there. Try again later.
    Busy(String),
    /// The backup was deleted, and its partial copy too.
    Gone,
}

/// Copies a backup, and records the progress in its job. `progress` receives the processed bytes
/// and their total.
///
/// # Errors
/// If a part of the backup is unreadable or damaged, or the second store refuses it. The job's copy
/// records the failure, and the job stays unchanged.
pub async fn copy_backup(
    holdfast: &Holdfast,
    second: &Repository,
    id: &BackupId,
    mode: CopyMode,
    limits: RunLimits,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<CopyStep, OperationError> {
    expect_copyable(id)?;
    let claim = match ReplicaClaim::take(&holdfast.catalog, second, id).await? {
        ClaimOutcome::Ours(claim) => claim,
        ClaimOutcome::Busy(why) => return Ok(CopyStep::Busy(why)),
        ClaimOutcome::NotCompleted(JobStatus::Deleted)
            if holdfast.catalog.get(id).await?.is_lost() =>
        {
            return Err(OperationError::corrupt(id, LOST_PROBLEM));
        }
        ClaimOutcome::NotCompleted(JobStatus::Deleted) => return Ok(CopyStep::Gone),
        ClaimOutcome::NotCompleted(status) => {
            let backup_id = id.clone();
            return Err(InvalidOperation::NothingToCopy { backup_id, status }.into());
        }
    };
    tracing::info!(backupId = %id, store = %second.location(), "the copy of a backup begins");
    let earlier = claim.earlier();
    // The damage from an unfinished repair may have the right size, so the repair continues.
    let mode = if earlier.to_repair {
        CopyMode::Repair
    } else {
        mode
    };
    let copier = Copier::new(&holdfast.repository, second, id, mode, earlier, progress);
    let lease = protect(
        &holdfast.repository,
        &holdfast.catalog,
        &holdfast.repository,
        id,
        Purpose::Copy,
    )
    .await;
    let ended = claim.watch(&copier, limits).await;
    lease.release().await;
    finish_copy(&claim, &copier, ended).await
}

/// Copies a backup without a catalogue. No progress is recorded.
///
/// # Errors
/// As [`copy_backup`], and [`OperationError::NotFound`] if the backup does not exist.
pub async fn copy_without_catalogue(
    primary: &Repository,
    second: &Repository,
    id: &BackupId,
    mode: CopyMode,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<CopyReport, OperationError> {
    expect_copyable(id)?;
    let copier = Copier::new(
        primary,
        second,
        id,
        mode,
        holdfast_catalog::CopyWork::default(),
        progress,
    );
    match copier.run().await {
        Ok(Copied::Whole) => Ok(copier.report()),
        Ok(Copied::Gone) => {
            copier.abort_upload().await;
            Err(OperationError::NotFound(id.clone()))
        }
        Err(error) => {
            copier.abort_upload().await;
            Err(error)
        }
    }
}

const LOST_PROBLEM: &str = "its manifest is missing from the first store, and its deletion was not retention's decision. The \
                    partial copy was not changed";

const RETURNED_REASON: &str = "its loss was accepted and its manifest is back: the next retention completes it, and its copy continues";

/// Whether a job has a complete copy in this store.
#[must_use]
pub fn is_copied(job: &Job, second: &Repository) -> bool {
    let is_here = |store: &str| store == second.location().to_string();
    job.copy
        .as_ref()
        .is_some_and(|copy| copy.status == CopyStatus::Completed && is_here(&copy.store))
}

async fn finish_copy(
    claim: &ReplicaClaim,
    copier: &Copier<'_>,
    ended: CopyEnd,
) -> Result<CopyStep, OperationError> {
    match ended {
        CopyEnd::Run(Ok(Copied::Whole)) => {
            let report = copier.report();
            claim.complete(&report).await?;
            tracing::info!(backupId = %report.backup_id, copied = report.copied, present = report.present,
                bytes = report.bytes, mended = ?report.mended, "the copy of a backup is complete and was checked");
            Ok(CopyStep::Done(report))
        }
        CopyEnd::Run(Ok(Copied::Gone)) if !claim.is_recorded() => {
            copier.abort_upload().await;
            Ok(CopyStep::Gone)
        }
        CopyEnd::Run(Ok(Copied::Gone)) | CopyEnd::Gone => finish_deleted(claim, copier).await,
        CopyEnd::Run(Err(error)) => {
            if !claim.is_recorded() {
                copier.abort_upload().await;
            }
            claim.fail(&error, &copier.work()).await?;
            Err(error)
        }
        CopyEnd::TimeIsUp => {
            claim.suspend(&copier.work()).await?;
            Ok(CopyStep::Continue)
        }
        CopyEnd::Elsewhere => Ok(CopyStep::Busy("another run took the copy over".to_owned())),
        // The sent bytes stay. The message is delivered again, and the next run resumes at the last
        // beat.
        CopyEnd::Silent => Err(StopReason::CatalogSilent.into()),
    }
}

/// Discards the sent objects only if the deletion of the backup was decided and is still valid.
async fn finish_deleted(
    claim: &ReplicaClaim,
    copier: &Copier<'_>,
) -> Result<CopyStep, OperationError> {
    match claim.decision(copier).await? {
        Decision::None => {
            let error = OperationError::corrupt(copier.id, LOST_PROBLEM);
            claim.fail(&error, &copier.work()).await?;
            Err(error)
        }
        Decision::Reversed => {
            claim.suspend(&copier.work()).await?;
            Ok(CopyStep::Busy(RETURNED_REASON.to_owned()))
        }
        Decision::Deleted => {
            copier.discard().await;
            claim.gone().await?;
            Ok(CopyStep::Gone)
        }
    }
}

fn expect_copyable(id: &BackupId) -> Result<(), OperationError> {
    if id.backup_type() == BackupType::Full {
        return Err(InvalidOperation::CopyFull(id.clone()).into());
    }
    Ok(())
}
