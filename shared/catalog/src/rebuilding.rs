//! Fills a catalogue from the content of the store. Missing rows are added. Existing rows stay
//! unchanged, except that a stored file is replaced by one fetched later.

use std::collections::{BTreeMap, HashMap};

use bson::{Bson, DateTime, Document, doc};
use futures_util::TryStreamExt;
use holdfast_domain::{BackupId, Job, JobStatus, StoredFile};

use crate::{
    Catalog, CatalogError, SourceAddress,
    catalog::{JOBS, OBJECTS, call},
    object::{row_of, source_id},
    row,
};

/// A source, and its stored file from the list of a backup.
type SourceAndFile<'a> = (SourceAddress<'a>, &'a StoredFile);

impl Catalog {
    /// Adds the job of an existing backup. Returns `false` if it has a row, in any state.
    ///
    /// # Errors
    /// [`CatalogError::Invalid`] if it is not `completed`. Those of the server.
    pub async fn add_completed(&self, job: &Job) -> Result<bool, CatalogError> {
        if job.status != JobStatus::Completed {
            let problem = format!("is {}, expected completed", job.status);
            return Err(CatalogError::Invalid {
                what: job.backup_id.to_string(),
                problem,
            });
        }
        match self.insert_job(job).await {
            Ok(()) => Ok(true),
            Err(CatalogError::AlreadyExists { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The `full` backups named by jobs as their parents, with or without a row.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn named_parents(&self) -> Result<Vec<BackupId>, CatalogError> {
        let collection = self.collection(JOBS);
        let named = collection.distinct("parentId", doc! { "parentId": { "$exists": true } });
        let named = call("list parents", named).await?;
        Ok(named
            .iter()
            .filter_map(|id| id.as_str()?.parse().ok())
            .collect())
    }

    /// Writes the stored files of these sources with the times of their fetches, and returns the
    /// number of written rows. Later values stay. At most 1,000 in one call.
    ///
    /// # Errors
    /// Those of the server: some rows may have been written, and the call may be repeated.
    pub async fn record_fetched_files(
        &self,
        found: &[SourceAndFile<'_>],
    ) -> Result<u64, CatalogError> {
        let newest = newest_of_each(found);
        let standing = self.recorded_since(newest.keys()).await?;
        let (mut missing, mut outdated, mut rows) = (Vec::new(), Vec::new(), Vec::new());
        for (id, found) in newest {
            match standing.get(&id) {
                None => {
                    rows.push(new_row(&id, found)?);
                    missing.push(found);
                }
                Some(since) if since.is_none_or(|since| since < row::date(found.1.fetched_at)) => {
                    outdated.push(found);
                }
                Some(_) => {}
            }
        }
        let taken = self
            .insert_new(OBJECTS, "record stored files", &rows)
            .await?;
        let written = missing.len() + outdated.len() - taken.len();
        // If another call inserted the row meanwhile, it counts as an existing row.
        outdated.extend(taken.into_iter().map(|place| missing[place]));
        for (source, file) in outdated {
            self.record_stored_file(source, file, file.fetched_at)
                .await?;
        }
        Ok(written as u64)
    }

    /// The times of these sources' rows. Sources without a row are missing. An unreadable time
    /// counts as none.
    async fn recorded_since(
        &self,
        ids: impl Iterator<Item = &String>,
    ) -> Result<HashMap<String, Option<DateTime>>, CatalogError> {
        let ids: Vec<Bson> = ids.map(|id| id.as_str().into()).collect();
        let collection = self.collection(OBJECTS);
        let find = collection
            .find(doc! { "_id": { "$in": ids } })
            .projection(doc! { "updatedAt": 1 });
        let rows: Vec<Document> = call("look up stored files", async {
            find.await?.try_collect().await
        })
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| {
                (
                    row::id_of(&row),
                    row.get_datetime("updatedAt").ok().copied(),
                )
            })
            .collect())
    }
}

/// One list may name a source several times, with different times of fetching.
fn newest_of_each<'a>(found: &'a [SourceAndFile<'a>]) -> BTreeMap<String, &'a SourceAndFile<'a>> {
    let mut newest: BTreeMap<String, &SourceAndFile<'_>> = BTreeMap::new();
    for one in found {
        let (source, file) = one;
        let id = source_id(source.storage_type, source.locator).to_string();
        if newest
            .get(&id)
            .is_none_or(|(_, other)| other.fetched_at < file.fetched_at)
        {
            newest.insert(id, one);
        }
    }
    newest
}

fn new_row(id: &str, (source, file): &SourceAndFile<'_>) -> Result<Document, CatalogError> {
    let mut row = row_of(source, file, file.fetched_at)?;
    row.insert("_id", id);
    Ok(row)
}
