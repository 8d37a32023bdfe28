//! The common memory of a dump's readers.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::read_error::ReadError;

/// The common memory of all readers: bytes of requested batches, and of batches waiting for the
/// writer.
#[derive(Clone)]
pub(super) struct Budget {
    bytes: u32,
    semaphore: Arc<Semaphore>,
}

impl Budget {
    pub(super) fn new(bytes: u32) -> Self {
        Self {
            bytes,
            semaphore: Arc::new(Semaphore::new(bytes as usize)),
        }
    }

    /// Waits until this many bytes are free. A request above the total waits for all of it.
    pub(super) async fn reserve(&self, bytes: u64) -> Result<OwnedSemaphorePermit, ReadError> {
        let bytes = u32::try_from(bytes)
            .unwrap_or(u32::MAX)
            .clamp(1, self.bytes);
        Arc::clone(&self.semaphore)
            .acquire_many_owned(bytes)
            .await
            .map_err(|_| ReadError::SinkGone)
    }

    /// Changes a share to the actual size. A share that is too small is returned first: readers
    /// that hold memory while waiting for more could block each other.
    pub(super) async fn fit(
        &self,
        mut share: OwnedSemaphorePermit,
        bytes: u64,
    ) -> Result<OwnedSemaphorePermit, ReadError> {
        let held = share.num_permits() as u64;
        if bytes > held && held < u64::from(self.bytes) {
            drop(share);
            return self.reserve(bytes).await;
        }
        let excess = usize::try_from(held.saturating_sub(bytes.max(1))).unwrap_or(0);
        drop(share.split(excess));
        Ok(share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn reserved(budget: &Budget, bytes: u64) -> OwnedSemaphorePermit {
        budget
            .reserve(bytes)
            .await
            .unwrap_or_else(|_| panic!("the budget is open"))
    }

    #[tokio::test]
    async fn a_share_is_made_to_fit_what_came() {
        let budget = Budget::new(100);
        let share = reserved(&budget, 40).await;
        let share = budget
            .fit(share, 10)
            .await
            .unwrap_or_else(|_| panic!("it shrinks"));
        assert_eq!(
            (share.num_permits(), budget.semaphore.available_permits()),
            (10, 90)
        );
        let share = budget
            .fit(share, 1000)
            .await
            .unwrap_or_else(|_| panic!("it takes all there is"));
        assert_eq!(
            (share.num_permits(), budget.semaphore.available_permits()),
            (100, 0)
        );
    }

    #[tokio::test]
    async fn a_reservation_never_exceeds_the_budget() {
        let budget = Budget::new(100);
        let all = reserved(&budget, 100).await;
        let waiting = budget.reserve(1);
        tokio::pin!(waiting);
        assert!(futures_util::poll!(&mut waiting).is_pending());
        drop(all);
        assert!(waiting.await.is_ok());
    }
}
