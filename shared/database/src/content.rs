//! The present content of a collection, in the form of an archive's summary, for comparison.

use std::sync::Arc;

use futures_util::TryStreamExt;
use holdfast_archive::ContentHash;
use mongodb::{options::ReadPreference, raw_batch_cursor::RawBatch};
use tokio::task::spawn_blocking;

use crate::{
    Connection, DatabaseError, classify,
    listing::{Lister, Size},
    raw::{batch_size, documents},
};

/// Number of documents in a collection, their bytes, and their hash independent of order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CollectionContent {
    /// Number of documents.
    pub documents: u64,
    /// Bytes of their BSON.
    pub bytes: u64,
    /// Sum modulo 2²⁵⁶ of their SHA-256.
    pub content_hash: ContentHash,
}

impl CollectionContent {
    pub(crate) fn add(&mut self, other: Self) {
        self.documents += other.documents;
        self.bytes += other.bytes;
        self.content_hash += other.content_hash;
    }

    pub(crate) fn add_document(&mut self, document: &[u8]) {
        self.documents += 1;
        self.bytes += document.len() as u64;
        self.content_hash.add_document(document);
    }

    fn of(batch: &RawBatch, accumulate: &Accumulate) -> Result<Self, DatabaseError> {
        let mut content = Self::default();
        for document in documents(batch) {
            accumulate(&mut content, document?)?;
        }
        Ok(content)
    }
}

/// Adds a document to a collection's content.
pub(crate) type Accumulate =
    Arc<dyn Fn(&mut CollectionContent, &[u8]) -> Result<(), DatabaseError> + Send + Sync>;

/// Reads a collection back from the primary. For a time series, name the collection of its buckets.
/// A missing collection counts as empty.
///
/// # Errors
/// The collection cannot be read to its end.
pub async fn content_hash_of(
    connection: &Connection,
    database: &str,
    collection: &str,
) -> Result<CollectionContent, DatabaseError> {
    let whole: Accumulate = Arc::new(|content, document| {
        content.add_document(document);
        Ok(())
    });
    read_back(connection, database, collection, whole).await
}

pub(crate) async fn read_back(
    connection: &Connection,
    database: &str,
    collection: &str,
    accumulate: Accumulate,
) -> Result<CollectionContent, DatabaseError> {
    let failed = |error: mongodb::error::Error| {
        classify(&error).during(format!("reading back {database}.{collection}"))
    };
    let database_handle = connection.client().database(database);
    let lister = Lister {
        database: database_handle.clone(),
        selection: ReadPreference::Primary.into(),
    };
    let average = lister
        .size(collection)
        .await
        .ok()
        .and_then(Size::average_bytes);
    let handle = database_handle.collection::<bson::RawDocumentBuf>(collection);
    let find = handle
        .find(bson::Document::new())
        .selection_criteria(ReadPreference::Primary.into());
    let mut batches = find
        .batch_size(batch_size(average))
        .batch()
        .await
        .map_err(failed)?;
    let mut content = CollectionContent::default();
    while let Some(batch) = batches.try_next().await.map_err(failed)? {
        // Hashing would delay the connection's other work.
        let accumulate = Arc::clone(&accumulate);
        let hashed = spawn_blocking(move || CollectionContent::of(&batch, &accumulate)).await;
        content.add(
            hashed.map_err(|_| DatabaseError::Refused("hashing a batch failed".to_owned()))??,
        );
    }
    Ok(content)
}
