//! Every row of a collection in the order of `_id`, by one cursor. Memory is one batch, however
//! many rows there are. A row present during the entire walk occurs exactly once.

use bson::{Document, doc};
use futures_util::TryStreamExt;
use holdfast_domain::Job;
use mongodb::Cursor;

use crate::{
    Catalog, CatalogError, VerificationRecord,
    catalog::{JOBS, VERIFICATIONS, call},
    job, row,
};

/// Rows in one answer of the server.
const BATCH: u32 = 500;

/// A walk through all rows.
#[derive(Debug)]
pub struct Walk<T> {
    cursor: Cursor<Document>,
    read: fn(Document) -> Result<T, CatalogError>,
}

impl<T> Walk<T> {
    /// The next row, or `None` after the last. An unreadable row is a separate error, and the walk
    /// continues.
    ///
    /// # Errors
    /// Those of the server: the walk is over then.
    pub async fn next(&mut self) -> Result<Option<Result<T, CatalogError>>, CatalogError> {
        let row = call("list rows", self.cursor.try_next()).await?;
        Ok(row.map(self.read))
    }
}

impl Catalog {
    /// Every job.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn all_jobs(&self) -> Result<Walk<Job>, CatalogError> {
        self.walk(JOBS, job::without_work(), job::read).await
    }

    /// Every verification, in the order of writing.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn all_verifications(&self) -> Result<Walk<VerificationRecord>, CatalogError> {
        self.walk(VERIFICATIONS, Document::new(), |found| {
            row::read(VERIFICATIONS, found)
        })
        .await
    }

    async fn walk<T>(
        &self,
        collection: &str,
        fields: Document,
        read: fn(Document) -> Result<T, CatalogError>,
    ) -> Result<Walk<T>, CatalogError> {
        let collection = self.collection(collection);
        let find = collection
            .find(Document::new())
            .sort(doc! { "_id": 1 })
            .batch_size(BATCH)
            .projection(fields);
        Ok(Walk {
            cursor: call("list rows", find).await?,
            read,
        })
    }
}
