//! Readers in the catalogue, and what retention asks about them. Retention marks a job as deleted and then looks for
//! readers. A reader records itself and then looks at the job. Of the two, the later one sees the other.

use std::sync::Arc;

use async_trait::async_trait;
use holdfast_catalog::{Catalog, CatalogError, ReaderRow};
use holdfast_domain::{BackupId, CopyStatus, Job, JobStatus, Timestamp};
use jiff::SignedDuration;

use super::{Protection, Purpose, Reader, ReaderLease, ReaderLeases};
use crate::{Holdfast, OperationError, Repository, heartbeat::DEAD_AFTER};

/// Rows of readers that died are removed after this time.
const FORGOTTEN_AFTER: SignedDuration = SignedDuration::from_hours(24);

/// Leases in the catalogue of a store.
#[derive(Debug, Clone)]
pub struct CatalogLeases {
    catalog: Catalog,
    /// The first store, whose backups the jobs are.
    first: String,
}

impl CatalogLeases {
    /// For the catalogue of this first store.
    #[must_use]
    pub fn new(catalog: Catalog, first: String) -> Self {
        Self { catalog, first }
    }

    async fn record(&self, reader: &Reader, beat_at: Timestamp) -> Result<(), CatalogError> {
        let Reader { id, backup_id, purpose, store, started_at } = reader.clone();
        let purpose = purpose.as_str().to_owned();
        self.catalog.record_reader(&ReaderRow { id, backup_id, purpose, store, started_at, beat_at }).await
    }

    fn judge(&self, reader: &Reader, job: &Job) -> Protection {
        // A lost backup whose manifest is back is kept.
        let is_deleted = if reader.store == self.first {
            job.status == JobStatus::Deleted && !job.is_lost()
        } else {
            job.copy.as_ref().is_some_and(|copy| copy.status == CopyStatus::Deleted)
        };
        if is_deleted {
            return Protection::BeingDeleted;
        }
        Protection::Held
    }
}

#[async_trait]
impl ReaderLeases for CatalogLeases {
    async fn acquire(&self, reader: &Reader) -> Result<Protection, OperationError> {
        let now = self.catalog.now().await?;
        self.record(reader, now).await?;
        self.catalog.forget_readers(now - FORGOTTEN_AFTER).await?;
        match self.catalog.get(&reader.backup_id).await {
            Ok(job) => Ok(self.judge(reader, &job)),
            // Retention deletes nothing that has no row, or an unreadable one.
            Err(CatalogError::NotFound { .. } | CatalogError::Corrupt { .. }) => Ok(Protection::Held),
            Err(error) => Err(error.into()),
        }
    }

    async fn beat(&self, reader: &Reader) -> Result<(), OperationError> {
        Ok(self.record(reader, self.catalog.now().await?).await?)
    }

    async fn release(&self, reader: &Reader) -> Result<(), OperationError> {
        Ok(self.catalog.remove_reader(&reader.id).await?)
    }
}

/// The first of the living readers of a backup, as a reason why it is kept. A reader counts whichever store it reads.
pub(crate) async fn first_reader(h: &Holdfast, id: &BackupId) -> Result<Option<String>, OperationError> {
    let readers = h.catalog.readers(id, h.catalog.now().await? - DEAD_AFTER).await?;
    Ok(readers.first().map(|ReaderRow { purpose, store, started_at, .. }| {
        format!("a run reads it from {store} ({purpose}, since {started_at})")
    }))
}

/// A lease for a run that has the catalogue.
pub(crate) async fn protect(h: &Holdfast, repository: &Repository, id: &BackupId, purpose: Purpose) -> ReaderLease {
    let leases = CatalogLeases::new(h.catalog.clone(), h.repository.location().to_string());
    let lease = ReaderLease::acquire(Arc::new(leases), repository, id, purpose).await;
    if let Some(warning) = lease.protection().warning(id) {
        tracing::warn!(backupId = %id, %purpose, "{warning}");
    }
    lease
}
