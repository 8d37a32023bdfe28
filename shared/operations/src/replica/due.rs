//! Selects the copies to start: those of committed backups after a lost event, copies of dead runs,
//! and failed copies after growing waits.

use holdfast_catalog::Uncopied;
use holdfast_domain::heartbeat::DEAD_AFTER;
use holdfast_domain::{BackupId, CopyStatus, Timestamp};
use holdfast_repository::Repository;
use jiff::SignedDuration;

use crate::{Holdfast, OperationError};

/// Backups read in one call, newest first.
const MAX_READ: u32 = 1000;
/// Maximum number per call. The rest follows an hour later.
const MAX_DUE: usize = 100;
/// Wait after the first failure. Each further failure doubles it.
const FIRST_WAIT: SignedDuration = SignedDuration::from_mins(50);
const MAX_WAIT: SignedDuration = SignedDuration::from_hours(23);
/// A requested or suspended copy must begin within this time.
const BEGINS_WITHIN: SignedDuration = SignedDuration::from_mins(20);
/// A backup without a copy for this long is overdue.
const OVERDUE_AFTER: SignedDuration = SignedDuration::from_hours(24);

/// The result of a selection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DueCopies {
    /// Backups to copy now, newest first.
    pub due: Vec<BackupId>,
    /// Number of completed backups without a complete copy in the second store.
    pub uncopied: u64,
    /// Those of them older than a day.
    pub overdue: Vec<BackupId>,
}

/// Counts the completed backups without a complete copy in this store, and selects the ones to copy
/// now.
///
/// # Errors
/// If the catalogue is unavailable.
pub async fn copies_due(
    holdfast: &Holdfast,
    second: &Repository,
    now: Timestamp,
) -> Result<DueCopies, OperationError> {
    let (store, now) = (
        second.location().to_string(),
        holdfast.catalog.by_server_clock(now).await?,
    );
    let uncopied = holdfast.catalog.uncopied(&store, MAX_READ).await?;
    let is_overdue = |backup: &&Uncopied| {
        backup
            .completed_at
            .is_none_or(|completed| now.duration_since(completed) > OVERDUE_AFTER)
    };
    let due = uncopied
        .iter()
        .filter(|backup| is_due(backup, &store, now))
        .take(MAX_DUE);
    Ok(DueCopies {
        due: due.map(|backup| backup.backup_id.clone()).collect(),
        uncopied: uncopied.len() as u64,
        overdue: uncopied
            .iter()
            .filter(is_overdue)
            .map(|backup| backup.backup_id.clone())
            .collect(),
    })
}

/// Records a requested copy for each of these backups.
///
/// # Errors
/// If the catalogue is unavailable.
pub async fn expect_copies(
    holdfast: &Holdfast,
    second: &Repository,
    ids: &[BackupId],
    now: Timestamp,
) -> Result<(), OperationError> {
    let now = holdfast.catalog.by_server_clock(now).await?;
    Ok(holdfast
        .catalog
        .expect_copies(ids, &second.location().to_string(), now)
        .await?)
}

fn is_due(backup: &Uncopied, store: &str, now: Timestamp) -> bool {
    let since = |at: Timestamp| now.duration_since(at);
    if backup.is_claimed && backup.touched_at.is_some_and(|at| since(at) <= DEAD_AFTER) {
        return false;
    }
    let Some(copy) = backup.copy.as_ref().filter(|copy| copy.store == store) else {
        return true;
    };
    // An operator resumes a repair, from a machine without a deadline. Until then the copy becomes
    // overdue.
    if backup.to_repair {
        return false;
    }
    match copy.status {
        CopyStatus::Failed => since(copy.at) >= wait_after(backup.attempts),
        CopyStatus::Pending => since(copy.at) >= BEGINS_WITHIN,
        CopyStatus::Running | CopyStatus::Deleted | CopyStatus::Completed => true,
    }
}

fn wait_after(attempts: u32) -> SignedDuration {
    let doubled = 1_i32
        .checked_shl(attempts.saturating_sub(1).min(10))
        .unwrap_or(i32::MAX);
    (FIRST_WAIT * doubled).min(MAX_WAIT)
}

#[cfg(test)]
mod tests {
    use holdfast_domain::{BackupType, JobCopy};

    use super::*;

    const STORE: &str = "s3://second/";

    fn uncopied(status: CopyStatus, ago: SignedDuration, attempts: u32) -> Uncopied {
        let copy = JobCopy {
            status,
            at: now() - ago,
            store: STORE.to_owned(),
            bytes: None,
            error: None,
        };
        Uncopied {
            backup_id: BackupId::new(BackupType::Database, now(), [0; 4]),
            completed_at: Some(now()),
            copy: Some(copy),
            attempts,
            touched_at: Some(now() - ago),
            is_claimed: status == CopyStatus::Running,
            to_repair: false,
        }
    }

    fn now() -> Timestamp {
        Timestamp::from_second(1_700_000_000).unwrap()
    }

    #[test]
    fn waits_grow_and_are_bounded() {
        let waits: Vec<_> = (1..12).map(wait_after).collect();
        assert_eq!(waits[0], FIRST_WAIT);
        assert!(waits.is_sorted());
        assert_eq!((wait_after(10), wait_after(u32::MAX)), (MAX_WAIT, MAX_WAIT));
    }

    #[test]
    fn failed_copies_wait_and_active_copies_are_skipped() {
        use CopyStatus::{Completed, Failed, Pending, Running};
        let minutes = SignedDuration::from_mins;
        for (status, ago, attempts, due) in [
            (Failed, minutes(49), 1, false),
            (Failed, minutes(51), 1, true),
            (Failed, minutes(51), 2, false),
            (Failed, minutes(60 * 24), 50, true),
            (Pending, minutes(5), 0, false),
            (Pending, minutes(21), 0, true),
            (Running, SignedDuration::from_secs(30), 0, false),
            (Running, minutes(2), 0, true),
        ] {
            assert_eq!(
                is_due(&uncopied(status, ago, attempts), STORE, now()),
                due,
                "{status} {ago} {attempts}"
            );
        }
        let broken = Uncopied {
            to_repair: true,
            ..uncopied(Failed, minutes(60 * 24), 1)
        };
        assert!(!is_due(&broken, STORE, now()), "its repair failed");
        let elsewhere = uncopied(Completed, minutes(1), 0);
        assert!(
            is_due(&elsewhere, "az://account/second/", now()),
            "it is in another store"
        );
    }
}
