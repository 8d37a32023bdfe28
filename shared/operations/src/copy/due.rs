//! Which copies are to be made now: of what was committed and whose event got lost, of what a run died at, and of what
//! failed, after growing waits.

use holdfast_catalog::Uncopied;
use holdfast_domain::{BackupId, CopyStatus, Timestamp};
use jiff::SignedDuration;

use crate::{Holdfast, OperationError, Repository, heartbeat::DEAD_AFTER};

/// Backups looked at in one call, newest first.
const LOOK_AT: u32 = 1000;
/// Sent in one call: what is left comes an hour later.
const MOST: usize = 100;
/// After the first failure; doubled after each further one.
const FIRST_WAIT: SignedDuration = SignedDuration::from_mins(50);
const LONGEST_WAIT: SignedDuration = SignedDuration::from_hours(23);
/// What was asked for, or handed on, is given this long to begin.
const BEGINS_WITHIN: SignedDuration = SignedDuration::from_mins(20);
/// A backup without a copy for so long is overdue.
const OVERDUE_AFTER: SignedDuration = SignedDuration::from_hours(24);

/// What is to be copied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DueCopies {
    /// Backups to be copied now, newest first.
    pub due: Vec<BackupId>,
    /// Completed backups without a whole copy in the second store.
    pub uncopied: u64,
    /// Those of them that have waited for a day.
    pub overdue: Vec<BackupId>,
}

/// Completed backups without a whole copy in this store, and which of them to copy now.
///
/// # Errors
/// Where the catalogue cannot be asked.
pub async fn copies_due(h: &Holdfast, second: &Repository, now: Timestamp) -> Result<DueCopies, OperationError> {
    let (store, now) = (second.location().to_string(), h.catalog.by_server_clock(now).await?);
    let uncopied = h.catalog.uncopied(&store, LOOK_AT).await?;
    let is_overdue =
        |backup: &&Uncopied| backup.completed_at.is_none_or(|completed| now.duration_since(completed) > OVERDUE_AFTER);
    let due = uncopied.iter().filter(|backup| is_due(backup, &store, now)).take(MOST);
    Ok(DueCopies {
        due: due.map(|backup| backup.backup_id.clone()).collect(),
        uncopied: uncopied.len() as u64,
        overdue: uncopied.iter().filter(is_overdue).map(|backup| backup.backup_id.clone()).collect(),
    })
}

/// Says of these backups that a copy was asked for.
///
/// # Errors
/// Where the catalogue cannot be reached.
pub async fn expect_copies(
    h: &Holdfast,
    second: &Repository,
    ids: &[BackupId],
    now: Timestamp,
) -> Result<(), OperationError> {
    let now = h.catalog.by_server_clock(now).await?;
    Ok(h.catalog.expect_copies(ids, &second.location().to_string(), now).await?)
}

fn is_due(backup: &Uncopied, store: &str, now: Timestamp) -> bool {
    let since = |at: Timestamp| now.duration_since(at);
    if backup.is_held && backup.touched_at.is_some_and(|at| since(at) <= DEAD_AFTER) {
        return false;
    }
    let Some(copy) = backup.copy.as_ref().filter(|copy| copy.store == store) else { return true };
    // Whoever began to repair it goes on, from where there is no deadline; until then it becomes overdue.
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
    let doubled = 1_i32.checked_shl(attempts.saturating_sub(1).min(10)).unwrap_or(i32::MAX);
    (FIRST_WAIT * doubled).min(LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    use holdfast_domain::{BackupType, JobCopy};

    use super::*;

    const STORE: &str = "s3://second/";

    fn uncopied(status: CopyStatus, ago: SignedDuration, attempts: u32) -> Uncopied {
        let copy = JobCopy { status, at: now() - ago, store: STORE.to_owned(), bytes: None, error: None };
        Uncopied {
            backup_id: BackupId::new(BackupType::Database, now(), [0; 4]),
            completed_at: Some(now()),
            copy: Some(copy),
            attempts,
            touched_at: Some(now() - ago),
            is_held: status == CopyStatus::Running,
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
        assert_eq!((wait_after(10), wait_after(u32::MAX)), (LONGEST_WAIT, LONGEST_WAIT));
    }

    #[test]
    fn what_failed_waits_and_what_somebody_is_at_is_left_alone() {
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
            assert_eq!(is_due(&uncopied(status, ago, attempts), STORE, now()), due, "{status} {ago} {attempts}");
        }
        let broken = Uncopied { to_repair: true, ..uncopied(Failed, minutes(60 * 24), 1) };
        assert!(!is_due(&broken, STORE, now()), "its repair failed");
        let elsewhere = uncopied(Completed, minutes(1), 0);
        assert!(is_due(&elsewhere, "az://account/second/", now()), "it is in another store");
    }
}
