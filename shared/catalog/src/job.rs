//! Jobs: written once as `pending`, then read. `transition` contains their changes.

use bson::{Bson, Document, doc};
use futures_util::TryStreamExt;
use holdfast_domain::{BackupId, BackupType, Job, JobStatus};

use crate::{
    Catalog, CatalogError,
    catalog::{JOBS, attempt, call},
    error::is_duplicate,
    row,
};

/// A selection of jobs. An empty filter selects all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JobFilter {
    /// Only jobs of this type.
    pub backup_type: Option<BackupType>,
    /// Only jobs in this state.
    pub status: Option<JobStatus>,
}

impl JobFilter {
    fn document(self) -> Document {
        let mut filter = Document::new();
        if let Some(kind) = self.backup_type {
            filter.insert("type", kind.as_str());
        }
        if let Some(status) = self.status {
            filter.insert("status", status.as_str());
        }
        filter
    }
}

impl Catalog {
    /// Adds a new job.
    ///
    /// # Errors
    /// [`CatalogError::AlreadyExists`] if its id exists, [`CatalogError::Invalid`] if it is not
    /// `pending`.
    pub async fn insert_pending(&self, job: &Job) -> Result<(), CatalogError> {
        if job.status != JobStatus::Pending {
            let problem = format!("is {}, and a job begins as pending", job.status);
            return Err(CatalogError::Invalid {
                what: job.backup_id.to_string(),
                problem,
            });
        }
        self.insert_job(job).await
    }

    /// Adds a job in any state.
    pub(crate) async fn insert_job(&self, job: &Job) -> Result<(), CatalogError> {
        let mut fields = row::of(job)?;
        fields.insert("_id", job.backup_id.as_str());
        match attempt("add a job", self.collection(JOBS).insert_one(fields)).await? {
            Ok(_) => Ok(()),
            Err(error) if is_duplicate(&error) => Err(CatalogError::AlreadyExists {
                id: job.backup_id.to_string(),
            }),
            Err(error) => Err(CatalogError::from_driver("add a job", &error)),
        }
    }

    /// One job.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`]. [`CatalogError::Corrupt`] if its row is not a job.
    pub async fn get(&self, id: &BackupId) -> Result<Job, CatalogError> {
        let collection = self.collection(JOBS);
        let find = collection
            .find_one(row::by_id(id.as_str()))
            .projection(without_work());
        let found = call("read a job", find).await?;
        read(found.ok_or_else(|| CatalogError::NotFound { id: id.to_string() })?)
    }

    /// One page of jobs, newest first, and the number of jobs on all pages. Pages are counted from
    /// 1. Like every list of jobs, it omits `namespaces`.
    ///
    /// An unreadable row is omitted with a warning, but `total` includes it.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn list(
        &self,
        filter: JobFilter,
        page: u64,
        limit: u32,
    ) -> Result<(Vec<Job>, u64), CatalogError> {
        let filter = filter.document();
        let total = call(
            "count jobs",
            self.collection(JOBS).count_documents(filter.clone()),
        )
        .await?;
        // The server reads a limit of 0 as no limit.
        if limit == 0 {
            return Ok((Vec::new(), total));
        }
        let skip = page
            .saturating_sub(1)
            .saturating_mul(u64::from(limit))
            .min(i64::MAX.unsigned_abs());
        Ok((self.newest(filter, skip, limit).await?, total))
    }

    /// The newest completed job of this type.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn newest_completed(&self, kind: BackupType) -> Result<Option<Job>, CatalogError> {
        // More than one, so that an unreadable row does not hide the good one below it.
        const LOOK_AT: u32 = 10;
        let filter = JobFilter {
            backup_type: Some(kind),
            status: Some(JobStatus::Completed),
        };
        Ok(self
            .newest(filter.document(), 0, LOOK_AT)
            .await?
            .into_iter()
            .next())
    }

    /// The newest completed job of this type, except for jobs recorded as empty.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn newest_filled(&self, kind: BackupType) -> Result<Option<Job>, CatalogError> {
        const LOOK_AT: u32 = 10;
        let mut filter = JobFilter {
            backup_type: Some(kind),
            status: Some(JobStatus::Completed),
        }
        .document();
        let is_filled = vec![
            doc! { "namespaces": Bson::Null, "items": Bson::Null },
            doc! { "namespaces.documents": { "$gt": 0 } },
            doc! { "items.expected": { "$gt": 0 } },
        ];
        filter.insert("$or", is_filled);
        Ok(self.newest(filter, 0, LOOK_AT).await?.into_iter().next())
    }

    /// The first job of this type, if its row can be read.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn oldest(&self, kind: BackupType) -> Result<Option<Job>, CatalogError> {
        let filter = JobFilter {
            backup_type: Some(kind),
            status: None,
        }
        .document();
        let collection = self.collection(JOBS);
        let find = collection
            .find_one(filter)
            .sort(doc! { "createdAt": 1, "_id": 1 })
            .projection(without_work());
        let row = call("list jobs", find).await?;
        Ok(readable(row.map(read)).into_iter().next())
    }

    /// The unsettled jobs of this type (or of all types), newest first.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn active(&self, kind: Option<BackupType>) -> Result<Vec<Job>, CatalogError> {
        const NO_LIMIT: u32 = 0;
        let active = JobStatus::ALL
            .into_iter()
            .filter(|status| status.is_active());
        let mut filter = JobFilter {
            backup_type: kind,
            status: None,
        }
        .document();
        filter.insert("status", doc! { "$in": words(active) });
        self.newest(filter, 0, NO_LIMIT).await
    }

    /// The parts of a `full` backup, oldest first. An unreadable part is an error, because the
    /// completeness of the backup depends on each part.
    ///
    /// # Errors
    /// [`CatalogError::Corrupt`] if a row is not a job.
    pub async fn children(&self, parent: &BackupId) -> Result<Vec<Job>, CatalogError> {
        let collection = self.collection(JOBS);
        let oldest_first = doc! { "createdAt": 1, "_id": 1 };
        let find = collection
            .find(doc! { "parentId": parent.as_str() })
            .sort(oldest_first)
            .projection(without_work());
        let rows: Vec<Document> =
            call("list jobs", async { find.await?.try_collect().await }).await?;
        rows.into_iter().map(read).collect()
    }

    async fn newest(
        &self,
        filter: Document,
        skip: u64,
        limit: u32,
    ) -> Result<Vec<Job>, CatalogError> {
        let collection = self.collection(JOBS);
        let newest_first = doc! { "createdAt": -1, "_id": -1 };
        let find = collection
            .find(filter)
            .sort(newest_first)
            .skip(skip)
            .limit(i64::from(limit))
            .projection(listed());
        let rows: Vec<Document> =
            call("list jobs", async { find.await?.try_collect().await }).await?;
        Ok(readable(rows.into_iter().map(read)))
    }
}

/// The read fields of a job. The work in progress of a content backup or of a copy may be large,
/// and is no part of the job.
pub(crate) fn without_work() -> Document {
    doc! { "work": 0, "copyWork": 0 }
}

/// The read fields of a job in a list. It may have many namespaces.
pub(crate) fn listed() -> Document {
    let mut fields = without_work();
    fields.insert("namespaces", 0);
    fields
}

/// States in the spelling of the catalogue.
pub(crate) fn words(states: impl IntoIterator<Item = JobStatus>) -> Vec<Bson> {
    states
        .into_iter()
        .map(|status| status.as_str().into())
        .collect()
}

/// The job of a row. The `_id` is authoritative for its backup.
pub(crate) fn read(mut fields: Document) -> Result<Job, CatalogError> {
    let id = row::id_of(&fields);
    fields.insert("backupId", id.as_str());
    let mut job: Job = row::read(JOBS, fields)?;
    if matches!(job.status, JobStatus::Completed | JobStatus::Deleted) {
        // Rows of earlier versions keep the progress of the last beat.
        job.progress = None;
    }
    if job.backup_type == job.backup_id.backup_type() {
        return Ok(job);
    }
    let problem = format!(
        "its type is {}, but its id is of another type",
        job.backup_type
    );
    Err(CatalogError::Corrupt {
        collection: JOBS,
        id,
        problem,
    })
}

/// The readable rows. One row broken by hand must not fail an entire list.
pub(crate) fn readable<T>(rows: impl IntoIterator<Item = Result<T, CatalogError>>) -> Vec<T> {
    rows.into_iter()
        .filter_map(|row| {
            row.inspect_err(|error| tracing::warn!(%error, "a row of the catalogue was left out"))
                .ok()
        })
        .collect()
}
