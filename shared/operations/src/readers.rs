//! Readers in the catalogue, and their check by retention. Retention marks a job as deleted and
//! then reads the readers. A reader records itself and then reads the job. So at least the later of
//! the two detects the other.

use std::sync::Arc;

use async_trait::async_trait;
use holdfast_catalog::{Catalog, CatalogError, ReaderRow};
use holdfast_domain::heartbeat::DEAD_AFTER;
use holdfast_domain::{BackupId, CopyStatus, Job, JobStatus, Timestamp};
use holdfast_recovery::readers::{
    LeaseError, Protection, Purpose, Reader, ReaderLease, ReaderLeases,
};
use holdfast_repository::Repository;
use jiff::SignedDuration;

use crate::{Holdfast, OperationError};

/// Rows of dead readers are removed after this time.
const FORGOTTEN_AFTER: SignedDuration = SignedDuration::from_hours(24);

/// Leases in the catalogue of a store.
#[derive(Debug, Clone)]
pub struct CatalogLeases {
    catalog: Catalog,
    /// The first store, with the backups of the jobs.
    first: String,
}

impl CatalogLeases {
    /// For the catalogue of this first store.
    #[must_use]
    pub fn new(catalog: Catalog, first: String) -> Self {
        Self { catalog, first }
    }

    async fn record(&self, reader: &Reader, beat_at: Timestamp) -> Result<(), CatalogError> {
        let Reader {
            id,
            backup_id,
            purpose,
            store,
            started_at,
        } = reader.clone();
        let purpose = purpose.as_str().to_owned();
        self.catalog
            .record_reader(&ReaderRow {
                id,
                backup_id,
                purpose,
                store,
                started_at,
                beat_at,
            })
            .await
    }

    fn judge(&self, reader: &Reader, job: &Job) -> Protection {
        // A lost backup with a returned manifest is kept.
        let is_deleted = if reader.store == self.first {
            job.status == JobStatus::Deleted && !job.is_lost()
        } else {
            job.copy
                .as_ref()
                .is_some_and(|copy| copy.status == CopyStatus::Deleted)
        };
        if is_deleted {
            return Protection::BeingDeleted;
        }
        Protection::Protected
    }
}

#[async_trait]
impl ReaderLeases for CatalogLeases {
    async fn acquire(&self, reader: &Reader) -> Result<Protection, LeaseError> {
        let now = self.catalog.now().await.map_err(fault)?;
        self.record(reader, now).await.map_err(fault)?;
        self.catalog
            .forget_readers(now - FORGOTTEN_AFTER)
            .await
            .map_err(fault)?;
        match self.catalog.get(&reader.backup_id).await {
            Ok(job) => Ok(self.judge(reader, &job)),
            // Retention deletes no backup with a missing or unreadable row.
            Err(CatalogError::NotFound { .. } | CatalogError::Corrupt { .. }) => {
                Ok(Protection::Protected)
            }
            Err(error) => Err(fault(error)),
        }
    }

    async fn beat(&self, reader: &Reader) -> Result<(), LeaseError> {
        self.record(reader, self.catalog.now().await.map_err(fault)?)
            .await
            .map_err(fault)
    }

    async fn release(&self, reader: &Reader) -> Result<(), LeaseError> {
        self.catalog.remove_reader(&reader.id).await.map_err(fault)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is handed to map_err")]
fn fault(error: CatalogError) -> LeaseError {
    LeaseError(error.to_string())
}

/// The first active reader of a backup, as a reason against its deletion. Readers of either store
/// count.
pub(crate) async fn first_reader(
    h: &Holdfast,
    id: &BackupId,
) -> Result<Option<String>, OperationError> {
    let readers = h
        .catalog
        .readers(id, h.catalog.now().await? - DEAD_AFTER)
        .await?;
    Ok(readers.first().map(
        |ReaderRow {
             purpose,
             store,
             started_at,
             ..
         }| { format!("a run reads it from {store} ({purpose}, since {started_at})") },
    ))
}

/// A lease for a run with the catalogue.
pub(crate) async fn protect(
    h: &Holdfast,
    repository: &Repository,
    id: &BackupId,
    purpose: Purpose,
) -> ReaderLease {
    let leases = CatalogLeases::new(h.catalog.clone(), h.repository.location().to_string());
    let lease = ReaderLease::acquire(Arc::new(leases), repository, id, purpose).await;
    if let Some(warning) = lease.protection().warning(id) {
        tracing::warn!(backupId = %id, %purpose, "{warning}");
    }
    lease
}
