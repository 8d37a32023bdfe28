//! A run: its request, its limits, its lease and its outcome.

use holdfast_domain::{BackupId, BackupType, Job, JobStatus, Timestamp, Trigger, TriggerKind};
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

/// The origin of the backup.
#[derive(Debug, Clone)]
pub enum BackupRequest {
    /// A tick of a schedule. The same tick is the same backup.
    Scheduled {
        /// What to back up.
        kind: BackupType,
        /// The tick.
        tick: Timestamp,
        /// The schedule.
        by: Option<String>,
    },
    /// A `pending` job of a trigger.
    Triggered {
        /// The job's backup.
        backup_id: BackupId,
    },
}

impl BackupRequest {
    /// The requested backup.
    #[must_use]
    pub fn backup_id(&self) -> BackupId {
        match self {
            Self::Scheduled { kind, tick, .. } => BackupId::from_tick(*kind, *tick),
            Self::Triggered { backup_id } => backup_id.clone(),
        }
    }

    pub(crate) fn trigger(&self) -> Trigger {
        match self {
            Self::Scheduled { by, .. } => Trigger {
                kind: TriggerKind::Schedule,
                by: by.clone(),
            },
            Self::Triggered { .. } => Trigger {
                kind: TriggerKind::Manual,
                by: None,
            },
        }
    }
}

/// The step of a content backup for the next invocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// Finding items.
    Discover,
    /// List, archive, manifest.
    Finalize,
}

/// Reserve before the function's end, for the current deletion and the report.
const TIME_FOR_ONE: SignedDuration = SignedDuration::from_secs(40);

/// The limits of a run.
#[derive(Debug, Clone, Copy, Default)]
pub struct RunLimits {
    /// Time when the function is killed. The run stops early enough to clean up.
    pub deadline: Option<Timestamp>,
}

impl RunLimits {
    /// No bounds: an operator's machine.
    #[must_use]
    pub const fn none() -> Self {
        Self { deadline: None }
    }
}

/// Whether the time is too short for another step before the function's end.
pub(crate) fn is_late(limits: RunLimits) -> bool {
    limits
        .deadline
        .is_some_and(|deadline| Timestamp::now() + TIME_FOR_ONE >= deadline)
}

/// How a run ended.
#[derive(Debug, Clone)]
pub enum BackupOutcome {
    /// The backup exists.
    Completed(Box<Job>),
    /// The backup failed. The job has the reason.
    Failed(Box<Job>),
    /// This run had nothing to do.
    Skipped {
        /// The requested backup.
        backup_id: BackupId,
        /// Why.
        reason: SkipReason,
    },
}

/// Why a run had nothing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkipReason {
    /// Backups are switched off.
    Disabled,
    /// The job is settled: the event was repeated, or the job was cancelled meanwhile.
    AlreadySettled(JobStatus),
    /// Another run has its lease, and beats.
    RunningElsewhere,
}

/// A run with the lease.
pub(crate) struct Run {
    pub(crate) job: Job,
    pub(crate) fence: u64,
}
