//! How far the read of a collection has come, and what is still to be read of it.

use bson::{Bson, Document, doc};

use super::plan::Source;
use crate::raw::{BATCH_BYTES, batch_size};

/// How often a collection's batches are measured again. Each time costs a query.
const RESIZES: u32 = 16;

/// How far a read has come.
pub(super) struct Position {
    pub(super) last_id: Option<Bson>,
    pub(super) has_begun: bool,
    pub(super) batch_size: u32,
    /// What the last batch had, and the next may have.
    pub(super) batch_bytes: u64,
    pub(super) resizes_left: u32,
    pub(super) broken: usize,
    pub(super) resumed: u32,
    pub(super) rolled_over: bool,
}

/// What a batch holds.
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

    /// What is still to be read.
    pub(super) fn filter(&self) -> Document {
        self.last_id.as_ref().map_or_else(Document::new, after)
    }

    /// Follows documents that are much larger or smaller than those before.
    pub(super) fn wants_resize(&mut self, measured: &Measured) -> bool {
        self.batch_bytes = BATCH_BYTES.max(measured.bytes);
        let is_full = measured.documents >= u64::from(self.batch_size);
        let fitting = batch_size(measured.bytes.checked_div(measured.documents));
        // What is a little too large or too small is not worth another query.
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

/// Documents after the one with this `_id`: `{_id: {$gt: x}}` would see only ids of the type of `x`.
pub(crate) fn after(last_id: &Bson) -> Document {
    doc! { "$expr": { "$gt": ["$_id", { "$literal": last_id.clone() }] } }
}
