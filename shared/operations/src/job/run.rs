//! A run: what asks for it, what bounds it, what it holds while it lasts, and how it ends.

use holdfast_domain::{BackupId, BackupType, Job, JobStatus, Timestamp, Trigger, TriggerKind};
use serde::{Deserialize, Serialize};

/// What asks for the backup.
#[derive(Debug, Clone)]
pub enum BackupRequest {
    /// A schedule's tick. The same tick is the same backup.
    Scheduled {
        /// What to back up.
        kind: BackupType,
        /// The tick.
        tick: Timestamp,
        /// The schedule.
        by: Option<String>,
    },
    /// A job that was made `pending` by a trigger.
    Triggered {
        /// The job's backup.
        backup_id: BackupId,
    },
}

impl BackupRequest {
    /// The backup that it asks for.
    #[must_use]
    pub fn backup_id(&self) -> BackupId {
        match self {
            Self::Scheduled { kind, tick, .. } => BackupId::of_tick(*kind, *tick),
            Self::Triggered { backup_id } => backup_id.clone(),
        }
    }

    pub(crate) fn trigger(&self) -> Trigger {
        match self {
            Self::Scheduled { by, .. } => Trigger { kind: TriggerKind::Schedule, by: by.clone() },
            Self::Triggered { .. } => Trigger { kind: TriggerKind::Manual, by: None },
        }
    }
}

/// What a content backup goes on with, in another invocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// Finding items.
    Discover,
    /// List, archive, manifest.
    Finalize,
}

/// What bounds a run.
#[derive(Debug, Clone, Copy, Default)]
pub struct RunLimits {
    /// When the function is killed. The run stops itself early enough before it to clean up.
    pub deadline: Option<Timestamp>,
}

impl RunLimits {
    /// No bounds: an operator's machine.
    #[must_use]
    pub const fn none() -> Self {
        Self { deadline: None }
    }
}

/// How a run ended.
#[derive(Debug, Clone)]
pub enum BackupOutcome {
    /// The backup exists.
    Completed(Box<Job>),
    /// It does not, and the job says why.
    Failed(Box<Job>),
    /// This run had nothing to do.
    Skipped {
        /// The backup that was asked for.
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
    /// The job is settled: the event came again, or the job was cancelled meanwhile.
    AlreadySettled(JobStatus),
    /// Another run holds its lease, and beats.
    RunningElsewhere,
}

/// A run that holds the lease.
pub(crate) struct Run {
    pub(crate) job: Job,
    pub(crate) fence: u64,
}
