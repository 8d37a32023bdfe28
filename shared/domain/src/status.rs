//! The states of a job, and the only definition of legal transitions.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// State of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum JobStatus {
    /// Triggered, and not yet started by a run.
    Pending,
    /// A run holds its lease.
    Running,
    /// Content only: every item is settled, the manifest is being made.
    Finalizing,
    /// Every byte is stored and checked. The manifest is being written.
    Committing,
    /// The manifest exists.
    Completed,
    /// It will not become a backup. `error` has the reason.
    Failed,
    /// An operator stopped it.
    Cancelled,
    /// No longer a backup: a deletion was decided, or its manifest is lost. `deletion`
    /// distinguishes them. The row stays.
    Deleted,
}

impl JobStatus {
    /// Every state, in the order of a job.
    pub const ALL: [Self; 8] = [
        Self::Pending,
        Self::Running,
        Self::Finalizing,
        Self::Committing,
        Self::Completed,
        Self::Failed,
        Self::Cancelled,
        Self::Deleted,
    ];

    /// The word used in the API and the catalogue.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Finalizing => "finalizing",
            Self::Committing => "committing",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Deleted => "deleted",
        }
    }

    /// The states from which a job may change to this one.
    ///
    /// After the death of a run, a second one takes over, so `running` and `committing` lead to
    /// `running`. A `failed` or `cancelled` job becomes `completed` when its manifest is in the
    /// store: the manifest decides.
    #[must_use]
    pub const fn may_come_from(self) -> &'static [Self] {
        match self {
            Self::Pending => &[],
            Self::Running => &[Self::Pending, Self::Running, Self::Committing],
            Self::Finalizing => &[Self::Running],
            Self::Committing => &[Self::Running, Self::Finalizing],
            Self::Completed => &[
                Self::Committing,
                Self::Running,
                Self::Finalizing,
                Self::Failed,
                Self::Cancelled,
            ],
            Self::Failed => &[
                Self::Pending,
                Self::Running,
                Self::Finalizing,
                Self::Committing,
            ],
            Self::Cancelled => &[Self::Pending, Self::Running, Self::Finalizing],
            Self::Deleted => &[Self::Completed, Self::Failed, Self::Cancelled],
        }
    }

    /// Whether a run works on it, or should.
    #[must_use]
    pub const fn is_active(self) -> bool {
        matches!(
            self,
            Self::Pending | Self::Running | Self::Finalizing | Self::Committing
        )
    }
}

impl fmt::Display for JobStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for JobStatus {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or_else(|| {
                let all: Vec<_> = Self::ALL.iter().map(|status| status.as_str()).collect();
                format!("expected one of {}", all.join(", "))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_settled_job_is_never_resumed() {
        for settled in [
            JobStatus::Completed,
            JobStatus::Failed,
            JobStatus::Cancelled,
            JobStatus::Deleted,
        ] {
            assert!(!settled.is_active());
            assert!(
                !JobStatus::Running.may_come_from().contains(&settled),
                "{settled}"
            );
            assert!(
                !JobStatus::Failed.may_come_from().contains(&settled),
                "{settled}"
            );
        }
    }

    #[test]
    fn nothing_comes_back_from_deleted() {
        assert!(
            JobStatus::ALL
                .iter()
                .all(|to| !to.may_come_from().contains(&JobStatus::Deleted))
        );
    }

    #[test]
    fn every_active_state_can_fail() {
        for status in JobStatus::ALL
            .into_iter()
            .filter(|status| status.is_active())
        {
            assert!(
                JobStatus::Failed.may_come_from().contains(&status),
                "{status}"
            );
        }
    }
}
