//! The platform's content items, streamed in the order of `_id`: items that are not removed, with
//! files on IPFS or Gaia.
//!
//! Memory: one batch of the server (16 MiB at most) and the requested page, for any size of
//! collection. A broken read resumes after the last returned item. Another reader, also in another
//! process, can continue at a recorded position. No content of a user's document fails the read.

mod document;

use std::collections::VecDeque;

use bson::{Bson, Document, RawDocumentBuf, doc};
use holdfast_domain::{ContentItem, StorageType};
use mongodb::{Collection, options::SelectionCriteria, raw_batch_cursor::RawBatchCursor};
use tokio::time::sleep;

use crate::{
    Connection, DatabaseError, classify,
    dump::reader::{WAITS, after, in_time, next_batch},
    raw::{documents, id_of},
};

/// Items per request: with the requested fields, about a megabyte.
const BATCH_ITEMS: u32 = 1000;

/// A longer position is not recorded (in hex digits), because it is stored in a job's row. A later
/// reader then reads some items again.
const MAX_POSITION: usize = 64 * 1024;

/// A content item of the collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedItem {
    /// The item. Title and URL are cut above generous limits.
    pub item: ContentItem,
    /// Unique per document, for every type of `_id`.
    pub doc_id: String,
    /// Reason why its file cannot be fetched, if the document alone shows it.
    pub problem: Option<String>,
}

/// The items of a collection, page by page.
pub struct ContentItems {
    collection: Collection<RawDocumentBuf>,
    reading: SelectionCriteria,
    cursor: Option<RawBatchCursor>,
    /// Read, but not yet returned.
    ready: VecDeque<(Bson, ListedItem)>,
    last_read: Option<Bson>,
    position: Option<String>,
    has_ended: bool,
}

impl ContentItems {
    /// The items of a collection, from the beginning or from an earlier reader's position. Sends no
    /// request yet.
    ///
    /// # Errors
    /// [`DatabaseError::Invalid`] for an invalid position.
    pub fn new(
        connection: &Connection,
        database: &str,
        collection: &str,
        position: Option<&str>,
    ) -> Result<Self, DatabaseError> {
        let last_read = position.map(decode).transpose()?;
        Ok(Self {
            collection: connection
                .client()
                .database(database)
                .collection(collection),
            reading: connection.reading(),
            cursor: None,
            ready: VecDeque::new(),
            last_read,
            position: position.map(str::to_owned),
            has_ended: false,
        })
    }

    /// Up to `limit` further items. Empty at the end, and for a missing collection.
    ///
    /// # Errors
    /// The server is away for longer than an election, or refuses.
    pub async fn next_page(&mut self, limit: usize) -> Result<Vec<ListedItem>, DatabaseError> {
        let mut broken = 0;
        while self.ready.len() < limit && !self.has_ended {
            match self.read_batch().await {
                Ok(()) => broken = 0,
                Err(error) => {
                    self.cursor = None;
                    let wait = WAITS.get(broken).filter(|_| error.is_transient());
                    let Some(wait) = wait else {
                        return Err(error.during(self.name()));
                    };
                    tracing::warn!(collection = self.name(), %error, attempt = broken + 1, "a read broke: resuming it");
                    broken += 1;
                    sleep(*wait).await;
                }
            }
        }
        let page = self.ready.drain(..limit.min(self.ready.len()));
        let (ids, items): (Vec<Bson>, Vec<ListedItem>) = page.unzip();
        self.position = last_kept(&ids).or(self.position.take());
        Ok(items)
    }

    /// Position for a later reader: after the last returned item, or shortly before it if its id is
    /// very long.
    #[must_use]
    pub fn position(&self) -> Option<String> {
        self.position.clone()
    }

    async fn read_batch(&mut self) -> Result<(), DatabaseError> {
        let mut cursor = match self.cursor.take() {
            Some(cursor) => cursor,
            None => in_time(self.query()).await?,
        };
        let Some(batch) = in_time(next_batch(&mut cursor)).await? else {
            self.has_ended = true;
            return Ok(());
        };
        for document in documents(&batch) {
            let document = document?;
            let id = id_of(document).ok_or_else(|| {
                DatabaseError::Lost("the server returned a document without its _id".to_owned())
            })?;
            // A document changed in between may no longer match the query.
            if let Some(item) = document::read(document, &id) {
                self.ready.push_back((id.clone(), item));
            }
            self.last_read = Some(id);
        }
        self.cursor = Some(cursor);
        Ok(())
    }

    async fn query(&self) -> Result<RawBatchCursor, DatabaseError> {
        let kinds = StorageType::ALL.map(StorageType::as_str);
        let mut filter = doc! { "storageType": { "$in": kinds }, "isRemoved": { "$ne": true } };
        if let Some(last) = &self.last_read {
            filter.extend(after(last));
        }
        let find = self
            .collection
            .find(filter)
            .projection(projection())
            .sort(doc! { "_id": 1 });
        let find = find
            .batch_size(BATCH_ITEMS)
            .selection_criteria(self.reading.clone());
        find.batch().await.map_err(|error| classify(&error))
    }

    fn name(&self) -> String {
        format!(
            "reading the content items of {}",
            self.collection.namespace()
        )
    }
}

fn projection() -> Document {
    document::FIELDS
        .into_iter()
        .map(|field| (field.to_owned(), Bson::Int32(1)))
        .collect()
}

/// The position after the last id short enough to be recorded.
fn last_kept(ids: &[Bson]) -> Option<String> {
    ids.iter()
        .rev()
        .map(encode)
        .find(|position| position.len() <= MAX_POSITION)
}

/// A position is an `_id` of any type, so it is recorded as BSON.
fn encode(id: &Bson) -> String {
    doc! { "": id.clone() }
        .to_vec()
        .map(hex::encode)
        .unwrap_or_default()
}

fn decode(position: &str) -> Result<Bson, DatabaseError> {
    let bytes = hex::decode(position).ok();
    let document = bytes.and_then(|bytes| Document::from_reader(bytes.as_slice()).ok());
    let id = document.and_then(|mut document| document.remove(""));
    id.ok_or_else(|| {
        DatabaseError::Invalid(
            "the recorded position among the content items is invalid".to_owned(),
        )
    })
}

#[cfg(test)]
mod tests {
    use bson::{DateTime, Regex, oid::ObjectId};

    use super::*;

    #[test]
    fn a_position_is_read_as_it_was_kept_whatever_its_type() {
        let ids = [
            Bson::ObjectId(ObjectId::new()),
            Bson::Int32(7),
            Bson::Int64(7),
            Bson::Double(7.0),
            Bson::String("\0 ü".to_owned()),
            Bson::DateTime(DateTime::from_millis(1)),
            Bson::Document(doc! { "a": [1, null] }),
            Bson::Boolean(false),
            Bson::MaxKey,
            Bson::RegularExpression(Regex {
                pattern: "a".try_into().unwrap(),
                options: "i".try_into().unwrap(),
            }),
        ];
        for id in ids {
            assert_eq!(decode(&encode(&id)).unwrap(), id);
        }
    }

    #[test]
    fn a_very_long_id_is_no_position_and_the_one_before_it_is() {
        let long = Bson::String("x".repeat(100_000));
        let ids = [Bson::Int32(1), Bson::Int32(2), long.clone()];
        assert_eq!(last_kept(&ids), Some(encode(&Bson::Int32(2))));
        assert_eq!(last_kept(&[long]), None);
    }

    #[test]
    fn what_is_no_position_is_refused() {
        for text in ["", "zz", "00", "0500000000"] {
            assert!(
                matches!(decode(text), Err(DatabaseError::Invalid(_))),
                "{text}"
            );
        }
    }
}
