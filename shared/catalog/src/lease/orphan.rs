//! Orphan leases: remains of runs that died between two steps.

use std::collections::HashMap;

use bson::{Bson, Document, doc};
use futures_util::TryStreamExt;
use holdfast_domain::{BackupId, JobStatus, Timestamp};
use jiff::SignedDuration;

use super::{Slot, Source};
use crate::{
    Catalog, CatalogError,
    catalog::{JOBS, LEASES, call},
    row,
};

/// Longest time of a lease without a job after a run took it over. A collection of content objects
/// holds such a lease.
pub const UNKNOWN_HOLDER_GRACE: SignedDuration = SignedDuration::from_mins(10);
/// Longest time of a lease without a job before a run takes it over. A trigger takes the lease and
/// writes the job directly after it, within the time limits of five calls.
pub const UNSTARTED_GRACE: SignedDuration = SignedDuration::from_mins(2);

/// The document of a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseKind {
    /// A source's lease.
    Source(Source),
    /// The slot of this number.
    Slot(u32),
}

impl LeaseKind {
    fn id(self) -> String {
        match self {
            Self::Source(source) => source.as_str().to_owned(),
            Self::Slot(number) => Slot::id(number),
        }
    }
}

/// Why a lease is an orphan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrphanReason {
    /// Its holder has no job, although there was enough time to write one.
    JobMissing,
    /// Its holder's job is settled.
    JobSettled(JobStatus),
}

/// An orphan lease or slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrphanLease {
    /// Its document.
    pub kind: LeaseKind,
    /// The backup with this lease.
    pub holder: BackupId,
    /// When it was taken.
    pub taken_at: Timestamp,
    /// Why it is an orphan.
    pub reason: OrphanReason,
}

impl Catalog {
    /// Leases and slots with a settled or missing job. A missing job counts after
    /// [`UNKNOWN_HOLDER_GRACE`], or after [`UNSTARTED_GRACE`] if no run took the lease over.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn orphan_leases(&self, now: Timestamp) -> Result<Vec<OrphanLease>, CatalogError> {
        let leases = self.leases().await?;
        let taken_over: Vec<BackupId> = leases
            .sources
            .iter()
            .filter(|lease| lease.fence > 0)
            .map(|lease| lease.holder.clone())
            .collect();
        let grace = |holder: &BackupId| {
            if taken_over.contains(holder) {
                UNKNOWN_HOLDER_GRACE
            } else {
                UNSTARTED_GRACE
            }
        };
        let sources = leases
            .sources
            .into_iter()
            .map(|it| (LeaseKind::Source(it.source), it.holder, it.taken_at));
        let slots = leases
            .slots
            .into_iter()
            .map(|it| (LeaseKind::Slot(it.number), it.holder, it.taken_at));
        let held: Vec<_> = sources.chain(slots).collect();
        let jobs = self
            .states(held.iter().map(|(_, holder, _)| holder))
            .await?;
        let orphans = held.into_iter().filter_map(|(kind, holder, taken_at)| {
            let reason = match jobs.get(&holder) {
                Some(state) => state
                    .filter(|status| !status.is_active())
                    .map(OrphanReason::JobSettled),
                None => (now.duration_since(taken_at) > grace(&holder))
                    .then_some(OrphanReason::JobMissing),
            }?;
            Some(OrphanLease {
                kind,
                holder,
                taken_at,
                reason,
            })
        });
        Ok(orphans.collect())
    }

    /// Removes an orphan, if it is unchanged. Returns `false` otherwise.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn free_orphan(&self, orphan: &OrphanLease) -> Result<bool, CatalogError> {
        let as_seen = doc! {
            "_id": orphan.kind.id(), "holder": orphan.holder.as_str(), "takenAt": row::date(orphan.taken_at),
        };
        Ok(
            call("free a lease", self.collection(LEASES).delete_one(as_seen))
                .await?
                .deleted_count
                == 1,
        )
    }

    /// The states of these backups' jobs. `None` for an unreadable state: this is uncertain, so its
    /// lease is kept.
    async fn states(
        &self,
        ids: impl Iterator<Item = &BackupId>,
    ) -> Result<HashMap<BackupId, Option<JobStatus>>, CatalogError> {
        let ids: Vec<Bson> = ids.map(|id| id.as_str().into()).collect();
        let collection = self.collection(JOBS);
        let find = collection
            .find(doc! { "_id": { "$in": ids } })
            .projection(doc! { "status": 1 });
        let rows: Vec<Document> =
            call("read jobs", async { find.await?.try_collect().await }).await?;
        let state = |row: &Document| {
            let id = row.get_str("_id").ok()?.parse().ok()?;
            Some((
                id,
                row.get_str("status")
                    .ok()
                    .and_then(|status| status.parse().ok()),
            ))
        };
        Ok(rows.iter().filter_map(state).collect())
    }
}
