//! Locks of stored objects.

use holdfast_domain::{ObjectKey, Timestamp};
use holdfast_repository::Repository;
use holdfast_storage::Lock;

use crate::OperationError;

/// Locks read, and objects deleted, at a time.
pub(crate) const CONCURRENCY: usize = 16;

/// The lock of this object at this time.
pub(crate) async fn lock_of(
    repository: &Repository,
    key: &ObjectKey,
    now: Timestamp,
) -> Result<Option<String>, OperationError> {
    let lock = repository.store().lock(key).await?;
    Ok(match lock {
        Lock {
            legal_hold: true, ..
        } => Some(format!("{key} is under a legal hold")),
        Lock {
            retained_until: Some(until),
            ..
        } if lock.holds(now) => Some(format!("{key} is retained until {until}")),
        _ => None,
    })
}
