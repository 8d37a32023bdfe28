//! Small collections are kept in memory during their read. A collection that changed in the
//! meantime is read again. Batches of larger collections are passed on at once.

use std::mem;

use mongodb::raw_batch_cursor::RawBatch;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::{budget::Budget, plan::Source, read_error::ReadError, sink::Message};

/// Bytes of the largest collection kept in memory.
const HELD_BYTES: u64 = 8 * 1024 * 1024;

/// Total bytes of collections kept in memory at a time.
pub(super) const ALL_HELD_BYTES: u32 = 16 * 1024 * 1024;

/// Additional bytes allowed above the server's reported size of a collection.
const SLACK_BYTES: u64 = 1024 * 1024;

/// The batches of a collection for the writing thread.
pub(super) struct Outlet {
    namespace: usize,
    messages: mpsc::Sender<Message>,
    budget: Budget,
    held: Option<HeldCollection>,
}

struct HeldCollection {
    /// Each with the bytes of its documents.
    batches: Vec<(RawBatch, u64)>,
    bytes: u64,
    share: OwnedSemaphorePermit,
}

impl Outlet {
    /// An outlet. It keeps a small collection in memory, after it has reserved the memory.
    pub(super) async fn open(
        namespace: usize,
        source: &Source,
        messages: mpsc::Sender<Message>,
        budget: Budget,
        for_held: &Budget,
    ) -> Result<Self, ReadError> {
        let expected = source.size.bytes.saturating_mul(2) + SLACK_BYTES;
        let held = if source.size.bytes <= HELD_BYTES {
            let share = for_held.reserve(expected.min(HELD_BYTES)).await?;
            Some(HeldCollection {
                batches: Vec::new(),
                bytes: 0,
                share,
            })
        } else {
            None
        };
        Ok(Self {
            namespace,
            messages,
            budget,
            held,
        })
    }

    /// Whether nothing was passed on yet, so that the collection can be read again.
    pub(super) const fn holds_everything(&self) -> bool {
        self.held.is_some()
    }

    /// Discards the kept documents.
    pub(super) fn forget(&mut self) {
        if let Some(held) = &mut self.held {
            held.batches.clear();
            held.bytes = 0;
        }
    }

    /// Takes a batch with this many bytes of documents.
    pub(super) async fn put(
        &mut self,
        batch: RawBatch,
        bytes: u64,
        share: OwnedSemaphorePermit,
    ) -> Result<(), ReadError> {
        let Some(held) = &mut self.held else {
            return self.send(batch, share).await;
        };
        // From here on, its memory counts for the kept collections.
        drop(share);
        held.batches.push((batch, bytes));
        held.bytes += bytes;
        if held.bytes > held.share.num_permits() as u64 {
            self.forward().await
        } else {
            Ok(())
        }
    }

    /// Passes on the kept documents. Later batches are passed on at once.
    pub(super) async fn forward(&mut self) -> Result<(), ReadError> {
        let Some(mut held) = self.held.take() else {
            return Ok(());
        };
        for (batch, bytes) in mem::take(&mut held.batches) {
            let share = self.budget.reserve(bytes).await?;
            self.send(batch, share).await?;
        }
        Ok(())
    }

    async fn send(&self, batch: RawBatch, share: OwnedSemaphorePermit) -> Result<(), ReadError> {
        let message = Message::Batch {
            namespace: self.namespace,
            batch,
            share,
        };
        self.messages
            .send(message)
            .await
            .map_err(|_| ReadError::SinkGone)
    }
}
