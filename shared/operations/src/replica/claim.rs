//! A run's claim on one copy: recorded in the job's row, and renewed with the progress. After a
//! minute without a beat another run resumes the copy.

use std::time::Duration;

use holdfast_catalog::{Catalog, CatalogError, CopyClaim, CopyWork};
use holdfast_codec::random_bytes;
use holdfast_domain::heartbeat::DEAD_AFTER;
use holdfast_domain::{
    BackupId, BackupType, CopyStatus, FailureCode, JobCopy, JobFailure, JobStatus, Timestamp,
};
use holdfast_recovery::heartbeat::{self, Ended, Rhythm, Stopped};
use holdfast_repository::Repository;
use jiff::SignedDuration;

use super::{
    CopyReport,
    copier::{Copied, Copier},
};
use crate::{OperationError, RunLimits, job::persist::persist};

/// For this long a run trusts an earlier run's checks of objects in the second store. A collection
/// there waits twice as long after the last beat of a content copy.
const TRUST_CHECKS_FOR: SignedDuration = SignedDuration::from_mins(30);
/// Reserve before the function's end, for the last write.
const MARGIN: SignedDuration = SignedDuration::from_secs(30);

/// Result of a claim.
pub(super) enum ClaimOutcome {
    Ours(Box<ReplicaClaim>),
    Busy(String),
    NotCompleted(JobStatus),
}

/// The decision about a missing backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// No decision: the backup is lost, and may return.
    None,
    /// It is deleted.
    Deleted,
    /// Its loss was accepted, and its manifest is back: the next retention completes it again.
    Reversed,
}

/// End of the work.
pub(super) enum CopyEnd {
    Run(Result<Copied, OperationError>),
    TimeIsUp,
    Elsewhere,
    Gone,
    /// No beat succeeded for so long that another run may take the copy over.
    Silent,
}

/// A claim. Without a row in the catalogue it excludes no other run and records nothing.
pub(super) struct ReplicaClaim {
    catalog: Catalog,
    backup_id: BackupId,
    store: String,
    run: String,
    earlier: CopyWork,
    has_row: bool,
}

impl ReplicaClaim {
    pub(super) async fn take(
        catalog: &Catalog,
        second: &Repository,
        id: &BackupId,
    ) -> Result<ClaimOutcome, OperationError> {
        let (run, now) = (hex::encode(random_bytes::<8>()?), catalog.now().await?);
        let store = second.location().to_string();
        let mut claim = Self {
            catalog: catalog.clone(),
            backup_id: id.clone(),
            store,
            run,
            earlier: CopyWork::default(),
            has_row: true,
        };
        match catalog
            .begin_copy(id, &claim.store, &claim.run, now - DEAD_AFTER, now)
            .await?
        {
            CopyClaim::Taken { work, touched_at } => {
                claim.earlier = trusted_progress(work, touched_at, now);
            }
            CopyClaim::NoJob => claim.has_row = false,
            CopyClaim::Elsewhere => {
                return Ok(ClaimOutcome::Busy(format!(
                    "another run copies backup {id}"
                )));
            }
            CopyClaim::NotCompleted(status) => return Ok(ClaimOutcome::NotCompleted(status)),
        }
        // The row is written first, so a later collection detects this copy.
        if id.backup_type() == BackupType::Content
            && catalog.is_collecting_copies(now - DEAD_AFTER).await?
        {
            let work = claim.earlier.clone();
            claim.suspend(&work).await?;
            return Ok(ClaimOutcome::Busy(OperationError::Collecting.to_string()));
        }
        Ok(ClaimOutcome::Ours(Box::new(claim)))
    }

    /// The progress of earlier runs.
    pub(super) fn earlier(&self) -> CopyWork {
        self.earlier.clone()
    }

    /// Whether a row records the progress.
    pub(super) const fn is_recorded(&self) -> bool {
        self.has_row
    }

    /// The decision about a backup whose job is no longer completed.
    pub(super) async fn decision(&self, copier: &Copier<'_>) -> Result<Decision, OperationError> {
        let job = self.catalog.get(&self.backup_id).await?;
        // An accepted loss is void if the manifest is in the store. Retention may also have
        // completed the job again since the beat.
        let is_decided = job.status == JobStatus::Deleted && !job.is_lost();
        let is_back = (!is_decided || job.is_accepted_loss()) && !copier.is_gone().await?;
        if !is_decided && !is_back {
            return Ok(Decision::None);
        }
        Ok(if is_back {
            Decision::Reversed
        } else {
            Decision::Deleted
        })
    }

    /// Runs the copier, and beats during the work.
    pub(super) async fn watch(&self, copier: &Copier<'_>, limits: RunLimits) -> CopyEnd {
        let failed = |error: &str| {
            tracing::warn!(backupId = %self.backup_id, error, "the beat of a copy failed and is retried");
        };
        let (work, beat) = (Box::pin(copier.run()), || self.beat(copier));
        match heartbeat::run(Rhythm::LEASE, work, until(limits), beat, failed).await {
            Ended::Done(result) => CopyEnd::Run(result),
            Ended::Deadline => CopyEnd::TimeIsUp,
            Ended::Stopped(Stopped::Lost(end)) => end,
            Ended::Stopped(Stopped::Silent(_)) => CopyEnd::Silent,
        }
    }

    async fn beat(&self, copier: &Copier<'_>) -> Result<Option<CopyEnd>, CatalogError> {
        let work = copier.work();
        let is_ours = !self.has_row || {
            let now = self.catalog.now().await?;
            self.catalog
                .record_copied(&self.backup_id, &self.run, Some(&work), now)
                .await?
        };
        if is_ours {
            return Ok(None);
        }
        let job = self.catalog.get(&self.backup_id).await?;
        Ok(Some(match job.status {
            JobStatus::Deleted if job.is_lost() => CopyEnd::Run(Ok(Copied::Gone)),
            JobStatus::Deleted => CopyEnd::Gone,
            _ => CopyEnd::Elsewhere,
        }))
    }

    pub(super) async fn complete(&self, report: &CopyReport) -> Result<(), OperationError> {
        self.end(CopyStatus::Completed, report.bytes, None, None)
            .await
    }

    pub(super) async fn suspend(&self, work: &CopyWork) -> Result<(), OperationError> {
        self.end(CopyStatus::Pending, work.bytes, None, Some(work))
            .await
    }

    pub(super) async fn fail(
        &self,
        error: &OperationError,
        work: &CopyWork,
    ) -> Result<(), OperationError> {
        tracing::error!(backupId = %self.backup_id, store = %self.store, %error, "the copy of a backup failed");
        let work = CopyWork {
            attempts: work.attempts.saturating_add(1),
            ..work.clone()
        };
        self.end(
            CopyStatus::Failed,
            work.bytes,
            Some(error.failure()),
            Some(&work),
        )
        .await
    }

    pub(super) async fn gone(&self) -> Result<(), OperationError> {
        tracing::info!(backupId = %self.backup_id, "the backup was deleted during its copy: the partial copy is removed");
        let error = JobFailure {
            code: FailureCode::Internal,
            message: "the backup was deleted before its copy was complete".to_owned(),
            hint: None,
        };
        self.end(CopyStatus::Deleted, 0, Some(error), None).await
    }

    async fn end(
        &self,
        status: CopyStatus,
        bytes: u64,
        error: Option<JobFailure>,
        work: Option<&CopyWork>,
    ) -> Result<(), OperationError> {
        if !self.has_row {
            return Ok(());
        }
        let now = persist(|| async { Ok(self.catalog.now().await?) }).await?;
        let copy = JobCopy {
            status,
            at: now,
            store: self.store.clone(),
            bytes: Some(bytes),
            error,
        };
        // If another run took the copy over, that run records the result.
        persist(|| async {
            Ok(self
                .catalog
                .end_copy(&self.backup_id, &self.run, &copy, work, now)
                .await?)
        })
        .await?;
        Ok(())
    }
}

fn trusted_progress(work: CopyWork, touched_at: Option<Timestamp>, now: Timestamp) -> CopyWork {
    let is_fresh = touched_at.is_some_and(|at| now.duration_since(at) < TRUST_CHECKS_FOR);
    if is_fresh {
        work
    } else {
        CopyWork { items: 0, ..work }
    }
}

async fn until(limits: RunLimits) {
    let Some(deadline) = limits.deadline else {
        return std::future::pending().await;
    };
    let left = (deadline - MARGIN).duration_since(Timestamp::now());
    tokio::time::sleep(Duration::try_from(left).unwrap_or_default()).await;
}
