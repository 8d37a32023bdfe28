//! The second copy of a backup: the same objects in a store of its own. The repository's files come first, then every
//! object that the backup refers to, then its manifest: from what is there by then everything can be listed, verified and
//! restored. Nothing that is wrong in the first store is sent. Nothing in the second is overwritten, unless a repair finds
//! that it is not sound. Two copiers at once do the same work twice, and no harm.

mod claim;
mod copier;
mod due;
mod fault;
mod mend;
mod object;
mod remove;
mod upload;
mod wanted;

use holdfast_domain::{BackupId, BackupType, CopyStatus, Job, JobStatus};
use serde::Serialize;

pub(crate) use self::claim::EXCLUDES_FOR;
use self::{
    claim::{Begun, Claim, Decision, Ended},
    copier::{Copied, Copier},
};
pub use self::{
    due::{DueCopies, copies_due, expect_copies},
    fault::CopyFault,
    remove::{RemovedCopies, remove_copies},
};
use crate::{
    Holdfast, OperationError, Repository, RunLimits, StopReason,
    readers::{Purpose, protect},
};

/// What is looked at, and what is done about what is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyMode {
    /// Sends what is missing. What is there is compared by its size, and if it is encrypted by its header and trailer.
    Missing,
    /// Reads what is there whole, too. What is not sound is replaced by what the first store has, if that is sound.
    Repair,
}

/// What a copy came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CopyReport {
    /// The backup.
    pub backup_id: BackupId,
    /// Objects that were sent, those that were mended among them.
    pub copied: u64,
    /// Objects that were there already.
    pub present: u64,
    /// What was not as it should be in the copy, and is now.
    pub mended: Vec<String>,
    /// Bytes that were sent, in all runs together.
    pub bytes: u64,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopyStep {
    /// The copy is whole.
    Done(CopyReport),
    /// The function's time is over: another run goes on from here.
    Continue,
    /// Somebody else is at it, or at what excludes it: try again a little later.
    Busy(String),
    /// The backup is not there any more, and neither is what was copied of it.
    Gone,
}

/// Copies a backup, and keeps in its job how far it came. `progress` is told bytes dealt with, and how many there are.
///
/// # Errors
/// Where something of it cannot be read, is not what was written, or the second store does not take it. The job's copy
/// says so; the job itself stays as it is.
pub async fn copy_backup(
    h: &Holdfast,
    second: &Repository,
    id: &BackupId,
    mode: CopyMode,
    limits: RunLimits,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<CopyStep, OperationError> {
    expect_copyable(id)?;
    let claim = match Claim::take(h, second, id).await? {
        Begun::Ours(claim) => claim,
        Begun::Busy(why) => return Ok(CopyStep::Busy(why)),
        Begun::NotCompleted(JobStatus::Deleted) if h.catalog.get(id).await?.is_lost() => {
            return Err(OperationError::corrupt(id, LOST));
        }
        Begun::NotCompleted(JobStatus::Deleted) => return Ok(CopyStep::Gone),
        Begun::NotCompleted(status) => {
            return Err(OperationError::Invalid(format!("backup {id} is {status}: there is nothing to copy yet")));
        }
    };
    tracing::info!(backupId = %id, store = %second.location(), "the backup is copied");
    let earlier = claim.earlier();
    // What a repair found altered and could not mend has the right size.
    let mode = if earlier.to_repair { CopyMode::Repair } else { mode };
    let copier = Copier::new(&h.repository, second, id, mode, earlier, progress);
    let lease = protect(h, &h.repository, id, Purpose::Copy).await;
    let ended = claim.watch(&copier, limits).await;
    lease.release().await;
    settle(&claim, &copier, ended).await
}

/// The same without a catalogue: nobody is told, and nothing is kept of a run that ends early.
///
/// # Errors
/// As [`copy_backup`]; [`OperationError::NotFound`] where there is no such backup.
pub async fn copy_without_catalogue(
    primary: &Repository,
    second: &Repository,
    id: &BackupId,
    mode: CopyMode,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<CopyReport, OperationError> {
    expect_copyable(id)?;
    let copier = Copier::new(primary, second, id, mode, holdfast_catalog::CopyWork::default(), progress);
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

const LOST: &str = "its manifest is not in the first store any more, and it was not retention that deleted it; what there is \
                    of a copy was left as it is";

const BACK: &str =
    "its loss was accepted and its manifest is back: the next retention completes it, and its copy continues";

/// Whether a job has a whole copy in this store.
#[must_use]
pub fn is_copied(job: &Job, second: &Repository) -> bool {
    let is_here = |store: &str| store == second.location().to_string();
    job.copy.as_ref().is_some_and(|copy| copy.status == CopyStatus::Completed && is_here(&copy.store))
}

async fn settle(claim: &Claim, copier: &Copier<'_>, ended: Ended) -> Result<CopyStep, OperationError> {
    match ended {
        Ended::Run(Ok(Copied::Whole)) => {
            let report = copier.report();
            claim.complete(&report).await?;
            tracing::info!(backupId = %report.backup_id, copied = report.copied, present = report.present,
                bytes = report.bytes, mended = ?report.mended, "the backup is copied, and checked there");
            Ok(CopyStep::Done(report))
        }
        Ended::Run(Ok(Copied::Gone)) if !claim.is_kept() => {
            copier.abort_upload().await;
            Ok(CopyStep::Gone)
        }
        Ended::Run(Ok(Copied::Gone)) | Ended::Gone => settle_gone(claim, copier).await,
        Ended::Run(Err(error)) => {
            if !claim.is_kept() {
                copier.abort_upload().await;
            }
            claim.fail(&error, &copier.work()).await?;
            Err(error)
        }
        Ended::TimeIsUp => {
            claim.hand_on(&copier.work()).await?;
            Ok(CopyStep::Continue)
        }
        Ended::Elsewhere => Ok(CopyStep::Busy("another run has taken the copy over".to_owned())),
        // What was sent stays: the message comes again, and the next run goes on from the last beat.
        Ended::Silent => Err(StopReason::CatalogSilent.into()),
    }
}

/// What was sent is discarded only if the deletion of the backup is decided and holds.
async fn settle_gone(claim: &Claim, copier: &Copier<'_>) -> Result<CopyStep, OperationError> {
    match claim.decision(copier).await? {
        Decision::None => {
            let error = OperationError::corrupt(copier.id, LOST);
            claim.fail(&error, &copier.work()).await?;
            Err(error)
        }
        Decision::Reversed => {
            claim.hand_on(&copier.work()).await?;
            Ok(CopyStep::Busy(BACK.to_owned()))
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
        let problem = format!("{id} is a full backup, of parts that are copied each by itself: name those");
        return Err(OperationError::Invalid(problem));
    }
    Ok(())
}
