//! Fills a catalogue from the content of the store. Missing rows are added. Existing rows stay
//! unchanged, except that a held file is replaced by one fetched later.

use std::collections::{BTreeMap, HashMap};

use bson::{Bson, DateTime, Document, doc};
use futures_util::TryStreamExt;
use holdfast_domain::{BackupId, Job, JobStatus, KeptFile};

use crate::{
    Catalog, CatalogError, HoldSource,
    catalog::{JOBS, OBJECTS, call},
    object::{row_of, source_id},
    row,
};

/// A source, and its held file from the list of a backup.
type Told<'a> = (HoldSource<'a>, &'a KeptFile);

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

    /// Writes the held files of these sources with the times of their fetches, and returns the
    /// number of written rows. Later values stay. At most 1,000 in one call.
    ///
    /// # Errors
    /// Those of the server: some rows may have been written, and the call may be repeated.
    pub async fn hold_as_fetched(&self, told: &[Told<'_>]) -> Result<u64, CatalogError> {
        let newest = newest_of_each(told);
        let standing = self.held_since(newest.keys()).await?;
        let (mut missing, mut outdated, mut rows) = (Vec::new(), Vec::new(), Vec::new());
        for (id, told) in newest {
            match standing.get(&id) {
                None => {
                    rows.push(new_row(&id, told)?);
                    missing.push(told);
                }
                Some(since) if since.is_none_or(|since| since < row::date(told.1.fetched_at)) => {
                    outdated.push(told);
                }
                Some(_) => {}
            }
        }
        let taken = self.insert_new(OBJECTS, "record held files", &rows).await?;
        let written = missing.len() + outdated.len() - taken.len();
        // If another call inserted the row meanwhile, it counts as an existing row.
        outdated.extend(taken.into_iter().map(|place| missing[place]));
        for (source, file) in outdated {
            self.hold(source, file, file.fetched_at).await?;
        }
        Ok(written as u64)
    }

    /// The times of these sources' rows. Sources without a row are missing. An unreadable time
    /// counts as none.
    async fn held_since(
        &self,
        ids: impl Iterator<Item = &String>,
    ) -> Result<HashMap<String, Option<DateTime>>, CatalogError> {
        let ids: Vec<Bson> = ids.map(|id| id.as_str().into()).collect();
        let collection = self.collection(OBJECTS);
        let find = collection
            .find(doc! { "_id": { "$in": ids } })
            .projection(doc! { "updatedAt": 1 });
        let rows: Vec<Document> = call("look up held files", async {
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
fn newest_of_each<'a>(told: &'a [Told<'a>]) -> BTreeMap<String, &'a Told<'a>> {
    let mut newest: BTreeMap<String, &Told<'_>> = BTreeMap::new();
    for one in told {
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

fn new_row(id: &str, (source, file): &Told<'_>) -> Result<Document, CatalogError> {
    let mut row = row_of(source, file, file.fetched_at)?;
    row.insert("_id", id);
    Ok(row)
}
