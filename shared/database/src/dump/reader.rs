//! The reading end of a dump: one collection, from its first document to its real end.
//!
//! Documents come in the order of `_id`. A broken read resumes after the last document, by a
//! comparison across BSON types with the collection's collation. Capped collections have no such
//! order. At the end of a read, the collection must still be the planned one: the empty answer of a
//! dropped collection would look like a short collection. A collection kept in memory is read again
//! after a break or a replacement. A larger one fails the dump.

use std::time::Duration;

use bson::{RawDocumentBuf, doc};
use futures_util::StreamExt;
use mongodb::raw_batch_cursor::{RawBatch, RawBatchCursor};
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};

pub(crate) use super::position::after;
use super::{
    budget::Budget,
    outlet::Outlet,
    plan::{Source, sort_by_name},
    position::{Measured, Position},
    read_error::ReadError,
    sink::Message,
};
use crate::{
    DatabaseError, classify,
    listing::{Listed, code},
    raw::{documents, id_of},
};

/// Waits before a broken read resumes: long enough for an election. The count restarts with each
/// batch.
pub(crate) const WAITS: [Duration; 6] = [
    Duration::from_millis(100),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
];

/// Time limit for a batch. Without it, the driver would wait for ever on a silently dead
/// connection.
const ANSWER_TIMEOUT: Duration = Duration::from_mins(2);

/// Limit of repeated reads of a changed collection.
const REREADS: u32 = 10;

/// Limit of rollovers during the read of a capped collection.
const ROLLOVERS: u32 = 100;

/// Wait before a repeated read, and until a replaced collection has its options and indexes again.
const REREAD_WAIT: Duration = Duration::from_millis(250);

/// One namespace being read.
pub(super) struct Reader {
    pub(super) namespace: usize,
    pub(super) source: Source,
    pub(super) messages: mpsc::Sender<Message>,
    pub(super) budget: Budget,
    /// For collections kept in memory until they were read.
    pub(super) for_held: Budget,
}

/// Result of reading a namespace.
pub(super) struct Read {
    pub(super) namespace: usize,
    /// Number of resumed and repeated reads.
    pub(super) resumed: u32,
    /// The server overwrote documents of a capped collection before they were read.
    pub(super) rolled_over: bool,
}

/// End of a query.
enum Lap {
    /// The cursor is at its real end.
    Complete,
    /// Batches were too large or too small: query again.
    Resize,
    /// The server overwrote the next documents of a capped collection: query again from its new
    /// start.
    RolledOver,
}

/// The next result of a cursor.
enum Next {
    Batch(RawBatch),
    End,
    RolledOver,
}

impl Reader {
    /// Reads it all and closes the namespace.
    pub(super) async fn run(mut self) -> Result<Read, ReadError> {
        let mut read = Read {
            namespace: self.namespace,
            resumed: 0,
            rolled_over: false,
        };
        if let Some(collection) = self.source.data_collection.clone() {
            read = self.read(&collection).await.map_err(|error| match error {
                ReadError::Database(error) => {
                    ReadError::Database(error.during(format!("dumping {}", self.source.name())))
                }
                ReadError::SinkGone => ReadError::SinkGone,
            })?;
        }
        self.send(Message::Close {
            namespace: self.namespace,
        })
        .await?;
        Ok(read)
    }

    /// Reads a collection until it is complete and unchanged, and passes it on.
    async fn read(&mut self, collection: &str) -> Result<Read, ReadError> {
        let (messages, budget) = (self.messages.clone(), self.budget.clone());
        let mut outlet = Outlet::open(
            self.namespace,
            &self.source,
            messages,
            budget,
            &self.for_held,
        )
        .await?;
        let (mut resumed, mut rereads_left) = (0, REREADS);
        let rolled_over = loop {
            let mut position = Position::beginning(&self.source);
            let outcome = self.read_once(collection, &mut position, &mut outlet).await;
            resumed += position.resumed;
            match outcome {
                Ok(()) => break position.rolled_over,
                Err(ReadError::Database(error))
                    if outlet.holds_everything()
                        && rereads_left > 0
                        && self.can_read_again(&error, &position) =>
                {
                    tracing::warn!(collection = self.source.name(), %error, "reading a collection again");
                    outlet.forget();
                    (resumed, rereads_left) = (resumed + 1, rereads_left - 1);
                    self.source.listed = self.replacement().await?;
                }
                Err(error) => return Err(error),
            }
        };
        outlet.forward().await?;
        Ok(Read {
            namespace: self.namespace,
            resumed,
            rolled_over,
        })
    }

    /// Whether a repeated read helps: after a replacement, and after a break in a capped
    /// collection.
    fn can_read_again(&self, error: &DatabaseError, position: &Position) -> bool {
        let is_broken = self.source.is_capped() && position.has_begun && error.is_transient();
        is_broken || matches!(error, DatabaseError::Changed(_))
    }

    async fn read_once(
        &self,
        collection: &str,
        position: &mut Position,
        outlet: &mut Outlet,
    ) -> Result<(), ReadError> {
        loop {
            match self.lap(collection, position, outlet).await {
                Ok(Lap::Complete) => break,
                Ok(Lap::Resize) => {}
                Ok(Lap::RolledOver) => self.after_rollover(position, outlet)?,
                Err(ReadError::Database(error)) => self.recover(error, position).await?,
                Err(ReadError::SinkGone) => return Err(ReadError::SinkGone),
            }
        }
        Ok(self.confirm_unchanged_patiently().await?)
    }

    /// Documents already passed on stay: the server has overwritten them, so the new start does not
    /// repeat them. A collection kept in memory is read again.
    fn after_rollover(
        &self,
        position: &mut Position,
        outlet: &Outlet,
    ) -> Result<(), DatabaseError> {
        tracing::warn!(
            collection = self.source.name(),
            "a capped collection rolled over during its read"
        );
        if outlet.holds_everything() || position.resumed >= ROLLOVERS {
            return Err(DatabaseError::Lost(
                "the server overwrites the capped collection faster than it is read".to_owned(),
            ));
        }
        position.rolled_over = true;
        position.resumed += 1;
        Ok(())
    }

    /// The present collection of this name, after its definition agrees with the archive's prelude.
    async fn replacement(&self) -> Result<Listed, DatabaseError> {
        for _ in 0..REREADS {
            sleep(REREAD_WAIT).await;
            match in_time(self.redefined()).await {
                Ok(Some(listed)) => return Ok(listed),
                Err(error) if !error.is_transient() => return Err(error),
                Ok(None) | Err(_) => {}
            }
        }
        Err(DatabaseError::Changed(
            "it was dropped, or replaced by a collection with other options or indexes, during the dump".to_owned(),
        ))
    }

    async fn redefined(&self) -> Result<Option<Listed>, DatabaseError> {
        let planned = &self.source.listed;
        let Some(now) = self.source.lister.collection(&planned.name).await? else {
            return Ok(None);
        };
        let mut indexes = self
            .source
            .lister
            .indexes(&planned.name)
            .await?
            .unwrap_or_default();
        sort_by_name(&mut indexes);
        let is_same = now.kind == planned.kind
            && now.options == planned.options
            && indexes == self.source.indexes;
        Ok(is_same.then_some(now))
    }

    /// One query, read until its cursor ends or breaks.
    async fn lap(
        &self,
        collection: &str,
        position: &mut Position,
        outlet: &mut Outlet,
    ) -> Result<Lap, ReadError> {
        let mut share = self.budget.reserve(position.batch_bytes).await?;
        let mut batches = in_time(self.query(collection, position)).await?;
        loop {
            let batch = match in_time(next_in(&mut batches)).await? {
                Next::Batch(batch) => batch,
                Next::End => return Ok(Lap::Complete),
                Next::RolledOver => return Ok(Lap::RolledOver),
            };
            let measured = self.measure(&batch, position)?;
            share = self.budget.fit(share, measured.bytes).await?;
            if measured.documents > 0 {
                outlet.put(batch, measured.bytes, share).await?;
                if position.wants_resize(&measured) {
                    return Ok(Lap::Resize);
                }
            } else {
                drop(share);
            }
            share = self.budget.reserve(position.batch_bytes).await?;
        }
    }

    async fn query(
        &self,
        collection: &str,
        position: &Position,
    ) -> Result<RawBatchCursor, DatabaseError> {
        let collection = self
            .source
            .lister
            .database
            .collection::<RawDocumentBuf>(collection);
        let find = collection
            .find(position.filter())
            .batch_size(position.batch_size);
        let find = find.selection_criteria(self.source.lister.selection.clone());
        let find = if self.source.is_capped() {
            find.sort(doc! { "$natural": 1 })
        } else {
            find.sort(doc! { "_id": 1 })
        };
        find.batch().await.map_err(|error| classify(&error))
    }

    fn measure(
        &self,
        batch: &RawBatch,
        position: &mut Position,
    ) -> Result<Measured, DatabaseError> {
        let mut measured = Measured {
            documents: 0,
            bytes: 0,
        };
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
            let without_id = || {
                DatabaseError::Refused(
                    "a document has no _id, so its position cannot be recorded".to_owned(),
                )
            };
            position.last_id = Some(id_of(last).ok_or_else(without_id)?);
        }
        Ok(measured)
    }

    /// Waits if the read can resume. Otherwise returns the error.
    async fn recover(
        &self,
        error: DatabaseError,
        position: &mut Position,
    ) -> Result<(), DatabaseError> {
        if !error.is_transient() {
            return Err(error);
        }
        if self.source.is_capped() && position.has_begun {
            let text = format!("{error}. A read of a capped collection cannot resume");
            return Err(if matches!(error, DatabaseError::Changed(_)) {
                error
            } else {
                DatabaseError::Lost(text)
            });
        }
        if matches!(error, DatabaseError::Changed(_)) {
            self.confirm_unchanged_patiently().await?;
        }
        let Some(wait) = WAITS.get(position.broken) else {
            return Err(DatabaseError::Lost(format!(
                "{error}. The read failed after {} attempts to resume",
                WAITS.len()
            )));
        };
        tracing::warn!(collection = self.source.name(), %error, attempt = position.broken + 1, "a read broke: resuming it");
        position.broken += 1;
        position.resumed += 1;
        sleep(*wait).await;
        Ok(())
    }

    /// The same break may affect the check itself.
    async fn confirm_unchanged_patiently(&self) -> Result<(), DatabaseError> {
        for wait in WAITS {
            match in_time(self.confirm_unchanged()).await {
                Err(error)
                    if error.is_transient() && !matches!(error, DatabaseError::Changed(_)) =>
                {
                    sleep(wait).await
                }
                outcome => return outcome,
            }
        }
        in_time(self.confirm_unchanged()).await
    }

    async fn confirm_unchanged(&self) -> Result<(), DatabaseError> {
        let planned = &self.source.listed;
        match self.source.lister.collection(&planned.name).await? {
            Some(now) if now.uuid == planned.uuid && now.kind == planned.kind => Ok(()),
            Some(_) => Err(DatabaseError::Changed(
                "it was dropped and recreated during the dump".to_owned(),
            )),
            None => Err(DatabaseError::Changed(
                "it was dropped or renamed during the dump".to_owned(),
            )),
        }
    }

    async fn send(&self, message: Message) -> Result<(), ReadError> {
        self.messages
            .send(message)
            .await
            .map_err(|_| ReadError::SinkGone)
    }
}

async fn next_in(batches: &mut RawBatchCursor) -> Result<Next, DatabaseError> {
    const CAPPED_POSITION_LOST: i32 = 136;
    match batches.next().await.transpose() {
        Ok(batch) => Ok(batch.map_or(Next::End, Next::Batch)),
        Err(error) if code(&error) == Some(CAPPED_POSITION_LOST) => Ok(Next::RolledOver),
        Err(error) => Err(classify(&error)),
    }
}

pub(crate) async fn next_batch(
    batches: &mut RawBatchCursor,
) -> Result<Option<RawBatch>, DatabaseError> {
    batches
        .next()
        .await
        .transpose()
        .map_err(|error| classify(&error))
}

pub(crate) async fn in_time<T>(
    answer: impl Future<Output = Result<T, DatabaseError>>,
) -> Result<T, DatabaseError> {
    let silent = || {
        DatabaseError::Lost(format!(
            "the server was silent for {} s",
            ANSWER_TIMEOUT.as_secs()
        ))
    };
    timeout(ANSWER_TIMEOUT, answer)
        .await
        .map_err(|_| silent())?
}
