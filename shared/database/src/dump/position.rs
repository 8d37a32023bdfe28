//! The position of a collection's read, and the filter for the rest.

use bson::{Bson, Document, doc};

use super::plan::Source;
use crate::raw::{BATCH_BYTES, batch_size};

/// Limit of repeated measurements of a collection's batches. Each one costs a query.
const RESIZES: u32 = 16;

/// Position of a read.
pub(super) struct Position {
    pub(super) last_id: Option<Bson>,
    pub(super) has_begun: bool,
    pub(super) batch_size: u32,
    /// Bytes of the last batch, expected again for the next.
    pub(super) batch_bytes: u64,
    pub(super) resizes_left: u32,
    pub(super) broken: usize,
    pub(super) resumed: u32,
    pub(super) rolled_over: bool,
}

/// Size of a batch.
pub(super) struct Measured {
    pub(super) documents: u64,
    pub(super) bytes: u64,
}

impl Position {
    /// Before the first document.
    pub(super) fn beginning(source: &Source) -> Self {
        Self {
            last_id: None,
            has_begun: false,
            batch_size: batch_size(source.size.average_bytes()),
            batch_bytes: BATCH_BYTES,
            resizes_left: if source.is_capped() { 0 } else { RESIZES },
            broken: 0,
            resumed: 0,
            rolled_over: false,
        }
    }

    /// Filter for the unread documents.
    pub(super) fn filter(&self) -> Document {
        self.last_id.as_ref().map_or_else(Document::new, after)
    }

    /// Adapts to documents much larger or smaller than the earlier ones.
    pub(super) fn wants_resize(&mut self, measured: &Measured) -> bool {
        self.batch_bytes = BATCH_BYTES.max(measured.bytes);
        let is_full = measured.documents >= u64::from(self.batch_size);
        let fitting = batch_size(measured.bytes.checked_div(measured.documents));
        // Small deviations are not worth another query.
        let is_too_large = measured.bytes > 2 * BATCH_BYTES && fitting < self.batch_size;
        let is_too_small = is_full && fitting / 4 > self.batch_size;
        if self.resizes_left == 0 || !(is_too_large || is_too_small) {
            return false;
        }
        self.resizes_left -= 1;
        self.batch_size = fitting;
        true
    }
}

/// Documents after the one with this `_id`: `{_id: {$gt: x}}` would match only ids of the type of
/// `x`.
pub(crate) fn after(last_id: &Bson) -> Document {
    doc! { "$expr": { "$gt": ["$_id", { "$literal": last_id.clone() }] } }
}
