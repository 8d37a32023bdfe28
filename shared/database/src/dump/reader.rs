//! The reading end of a dump: one collection, from its first document to its real end.
//!
//! Documents come in the order of `_id`, so that a read that breaks goes on after the last one seen, by a comparison
//! that crosses BSON types and follows the collection's collation. A capped collection has no order to go on by: its
//! break is the dump's. What is read must still be the collection that was planned when its end is reached: an empty
//! answer for one that was dropped would look like a short collection.

use std::time::Duration;

use bson::{Bson, Document, RawDocumentBuf, doc};
use futures_util::StreamExt;
use mongodb::raw_batch_cursor::{RawBatch, RawBatchCursor};
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};

use super::{budget::Budget, plan::Source, sink::Message};
use crate::{
    DatabaseError, classify,
    raw::{BATCH_BYTES, batch_size, documents, id_of},
};

/// Waits before a broken read goes on: long enough for an election. Counted anew whenever a batch has come.
pub(crate) const WAITS: [Duration; 6] = [
    Duration::from_millis(100),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
];

/// A batch that takes longer will not come: the driver itself would wait for ever on a connection that died silently.
const ANSWER_TIMEOUT: Duration = Duration::from_mins(2);

/// How often a collection's batches are measured anew; each time costs a query.
const RESIZES: u32 = 16;

/// Why a read stopped.
pub(super) enum ReadError {
    Database(DatabaseError),
    /// The writing thread is gone, and knows why.
    SinkGone,
}

impl From<DatabaseError> for ReadError {
    fn from(error: DatabaseError) -> Self {
        Self::Database(error)
    }
}

/// One namespace being read.
pub(super) struct Reader {
    pub(super) namespace: usize,
    pub(super) source: Source,
    pub(super) messages: mpsc::Sender<Message>,
    pub(super) budget: Budget,
}

/// How far a read has come.
struct Position {
    last_id: Option<Bson>,
    has_begun: bool,
    batch_size: u32,
    /// What the last batch had, and the next may have.
    batch_bytes: u64,
    resizes_left: u32,
    broken: usize,
    resumed: u32,
}

/// How a query ended.
enum Lap {
    /// The cursor is at its real end.
    Complete,
    /// Batches came out too large or too small: ask anew.
    Resize,
}

impl Reader {
    /// Reads it all and closes the namespace; says how often the read broke and went on.
    pub(super) async fn run(self) -> Result<u32, ReadError> {
        let mut resumed = 0;
        if let Some(collection) = self.source.data_collection.clone() {
            resumed = self.read(&collection).await.map_err(|error| match error {
                ReadError::Database(error) => {
                    ReadError::Database(error.during(format!("dumping {}", self.source.name())))
                }
                ReadError::SinkGone => ReadError::SinkGone,
            })?;
        }
        self.send(Message::Close { namespace: self.namespace }).await?;
        Ok(resumed)
    }

    async fn read(&self, collection: &str) -> Result<u32, ReadError> {
        let mut position = Position {
            last_id: None,
            has_begun: false,
            batch_size: batch_size(self.source.size.average_bytes()),
            batch_bytes: BATCH_BYTES,
            resizes_left: if self.source.is_capped() { 0 } else { RESIZES },
            broken: 0,
            resumed: 0,
        };
        loop {
            match self.lap(collection, &mut position).await {
                Ok(Lap::Complete) => break,
                Ok(Lap::Resize) => {}
                Err(ReadError::Database(error)) => self.recover(error, &mut position).await?,
                Err(ReadError::SinkGone) => return Err(ReadError::SinkGone),
            }
        }
        self.confirm_unchanged_patiently().await?;
        Ok(position.resumed)
    }

    /// One query, read until its cursor ends or breaks.
    async fn lap(&self, collection: &str, position: &mut Position) -> Result<Lap, ReadError> {
        let mut share = self.budget.reserve(position.batch_bytes).await?;
        let mut batches = in_time(self.query(collection, position)).await?;
        loop {
            let Some(batch) = in_time(next_batch(&mut batches)).await? else { return Ok(Lap::Complete) };
            let measured = self.measure(&batch, position)?;
            share = self.budget.fit(share, measured.bytes).await?;
            if measured.documents > 0 {
                self.send(Message::Batch { namespace: self.namespace, batch, share }).await?;
                if position.wants_resize(&measured) {
                    return Ok(Lap::Resize);
                }
            } else {
                drop(share);
            }
            share = self.budget.reserve(position.batch_bytes).await?;
        }
    }

    async fn query(&self, collection: &str, position: &Position) -> Result<RawBatchCursor, DatabaseError> {
        let collection = self.source.lister.database.collection::<RawDocumentBuf>(collection);
        let find = collection.find(position.filter()).batch_size(position.batch_size);
        let find = find.selection_criteria(self.source.lister.selection.clone());
        let find =
            if self.source.is_capped() { find.sort(doc! { "$natural": 1 }) } else { find.sort(doc! { "_id": 1 }) };
        find.batch().await.map_err(|error| classify(&error))
    }

    fn measure(&self, batch: &RawBatch, position: &mut Position) -> Result<Measured, DatabaseError> {
        let mut measured = Measured { documents: 0, bytes: 0 };
        let mut last = None;
        for document in documents(batch) {
            let document = document?;
            measured.documents += 1;
            measured.bytes += document.len() as u64;
            last = Some(document);
        }
        position.has_begun = true;
        position.broken = 0;
        if let Some(last) = last.filter(|_| !self.source.is_capped()) {
            let without_id = || DatabaseError::Refused("a document has no _id, so its place cannot be kept".to_owned());
            position.last_id = Some(id_of(last).ok_or_else(without_id)?);
        }
        Ok(measured)
    }

    /// Waits where the read can go on, else hands the error back.
    async fn recover(&self, error: DatabaseError, position: &mut Position) -> Result<(), DatabaseError> {
        if !error.is_transient() {
            return Err(error);
        }
        if self.source.is_capped() && position.has_begun {
            let text = format!("{error}; a capped collection has no order to go on by");
            return Err(if matches!(error, DatabaseError::Changed(_)) { error } else { DatabaseError::Lost(text) });
        }
        if matches!(error, DatabaseError::Changed(_)) {
            self.confirm_unchanged_patiently().await?;
        }
        let Some(wait) = WAITS.get(position.broken) else {
            return Err(DatabaseError::Lost(format!("{error}; given up after {} tries to go on", WAITS.len())));
        };
        tracing::warn!(collection = self.source.name(), %error, attempt = position.broken + 1, "a read broke and goes on");
        position.broken += 1;
        position.resumed += 1;
        sleep(*wait).await;
        Ok(())
    }

    /// The check itself may fall into the same break.
    async fn confirm_unchanged_patiently(&self) -> Result<(), DatabaseError> {
        for wait in WAITS {
            match in_time(self.confirm_unchanged()).await {
                Err(error) if error.is_transient() && !matches!(error, DatabaseError::Changed(_)) => sleep(wait).await,
                outcome => return outcome,
            }
        }
        in_time(self.confirm_unchanged()).await
    }

    async fn confirm_unchanged(&self) -> Result<(), DatabaseError> {
        let planned = &self.source.listed;
        match self.source.lister.collection(&planned.name).await? {
            Some(now) if now.uuid == planned.uuid && now.kind == planned.kind => Ok(()),
            Some(_) => Err(DatabaseError::Changed("it was dropped and created anew while it was dumped".to_owned())),
            None => Err(DatabaseError::Changed("it was dropped or renamed while it was dumped".to_owned())),
        }
    }

    async fn send(&self, message: Message) -> Result<(), ReadError> {
        self.messages.send(message).await.map_err(|_| ReadError::SinkGone)
    }
}

struct Measured {
    documents: u64,
    bytes: u64,
}

impl Position {
    fn filter(&self) -> Document {
        self.last_id.as_ref().map_or_else(Document::new, after)
    }

    /// Follows documents that are much larger or smaller than those before.
    fn wants_resize(&mut self, measured: &Measured) -> bool {
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

pub(crate) async fn next_batch(batches: &mut RawBatchCursor) -> Result<Option<RawBatch>, DatabaseError> {
    batches.next().await.transpose().map_err(|error| classify(&error))
}

pub(crate) async fn in_time<T>(answer: impl Future<Output = Result<T, DatabaseError>>) -> Result<T, DatabaseError> {
    let silent = || DatabaseError::Lost(format!("the server was silent for {} s", ANSWER_TIMEOUT.as_secs()));
    timeout(ANSWER_TIMEOUT, answer).await.map_err(|_| silent())?
}
