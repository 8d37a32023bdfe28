//! Lost backups: `deleted` jobs with a manifest that is missing, or was missing when an operator
//! accepted the loss.

use crate::{DeletionCause, FailureCode, Job, JobStatus};

impl Job {
    /// Whether its manifest is missing without a decision to delete it. Everything that it may name
    /// must stay.
    ///
    /// An older version recorded no decision. For its rows, the error `store-corrupt` means lost.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        let is_corrupt = self
            .error
            .as_ref()
            .is_some_and(|error| error.code == FailureCode::StoreCorrupt);
        self.status == JobStatus::Deleted && self.deletion.is_none() && is_corrupt
    }

    /// Whether an operator accepted the loss of its manifest. The decision is void if the manifest
    /// is in the store, because the operator may have inspected the wrong store.
    #[must_use]
    pub fn is_accepted_loss(&self) -> bool {
        let is_accepted = self
            .deletion
            .as_ref()
            .is_some_and(|it| it.cause == DeletionCause::AcceptedLoss);
        self.status == JobStatus::Deleted && is_accepted
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::{
        BackupId, BackupType,
        DeletionCause::{AcceptedDamage, AcceptedLoss, Retention},
        JobDeletion, JobFailure, Trigger, TriggerKind,
    };

    #[test]
    fn a_deleted_job_is_lost_if_it_is_store_corrupt_and_no_deletion_was_decided() {
        let at = Timestamp::UNIX_EPOCH;
        let id = BackupId::new(BackupType::Database, at, [0; 4]);
        let pending = Job::pending(
            id,
            Trigger {
                kind: TriggerKind::Manual,
                by: None,
            },
            at,
        );
        let decided = |cause| {
            Some(JobDeletion {
                cause,
                decided_at: at,
                by: None,
            })
        };
        let corrupt = Some(FailureCode::StoreCorrupt);
        for (status, code, deletion, [is_lost, is_accepted_loss]) in [
            (JobStatus::Deleted, corrupt, None, [true, false]),
            (
                JobStatus::Deleted,
                corrupt,
                decided(Retention),
                [false, false],
            ),
            (
                JobStatus::Deleted,
                corrupt,
                decided(AcceptedLoss),
                [false, true],
            ),
            (
                JobStatus::Deleted,
                corrupt,
                decided(AcceptedDamage),
                [false, false],
            ),
            (JobStatus::Deleted, None, None, [false, false]),
            (JobStatus::Deleted, None, decided(Retention), [false, false]),
            (
                JobStatus::Deleted,
                Some(FailureCode::Stalled),
                None,
                [false, false],
            ),
            (JobStatus::Failed, corrupt, None, [false, false]),
            (JobStatus::Completed, None, None, [false, false]),
        ] {
            let error = code.map(|code| JobFailure {
                code,
                message: String::new(),
                hint: None,
            });
            let job = Job {
                status,
                error,
                deletion,
                ..pending.clone()
            };
            assert_eq!(
                [job.is_lost(), job.is_accepted_loss()],
                [is_lost, is_accepted_loss],
                "{job:?}"
            );
        }
    }
}
