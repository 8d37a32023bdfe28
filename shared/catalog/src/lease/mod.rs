//! Leases: one document for each source, and one for each slot of `BACKUP_MAX_CONCURRENT`.
//!
//! Exclusion relies only on `_id`, and a delete frees it at once. A lease is valid once it contains
//! its slot. The caller decides when a run is dead.

mod acquire;
mod hold;
mod orphan;

use std::fmt;

use bson::{Document, doc};
use futures_util::TryStreamExt;
use holdfast_domain::{BackupId, BackupType, Timestamp};
use serde::Deserialize;

pub use orphan::{LeaseKind, OrphanLease, OrphanReason, UNKNOWN_HOLDER_GRACE, UNSTARTED_GRACE};

use crate::{
    Catalog, CatalogError,
    catalog::{LEASES, call},
    copying::COLLECTION_OF_COPIES,
    job::readable,
    row,
};

/// The data of one backup. One run at a time may back it up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The platform's database.
    Database,
    /// The files of content items.
    Content,
}

impl Source {
    /// The source of a backup of this type. A `full` backup has none, because it is the parent of
    /// two others.
    #[must_use]
    pub const fn of(kind: BackupType) -> Option<Self> {
        match kind {
            BackupType::Database => Some(Self::Database),
            BackupType::Content => Some(Self::Content),
            BackupType::Full => None,
        }
    }

    /// The `_id` of the lease.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Database => "database",
            Self::Content => "content",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A source's lease.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Lease {
    /// The leased source.
    #[serde(rename = "_id")]
    pub source: Source,
    /// The backup with this lease.
    pub holder: BackupId,
    /// Fencing number of the newest run, or 0 before the first takeover.
    pub fence: u64,
    /// The holder's slot. `None` while it is being acquired.
    #[serde(default)]
    pub slot: Option<u32>,
    /// When it was acquired.
    pub taken_at: Timestamp,
    /// The last beat of a run. Before the first one, the time of acquiring.
    pub beat_at: Timestamp,
    /// The deadline of the newest run, if it has one.
    #[serde(default)]
    pub deadline_at: Option<Timestamp>,
    /// Set while no run is active. Until then the lease waits for an external event or for a
    /// requested run.
    #[serde(default)]
    pub waits_until: Option<Timestamp>,
}

/// A used slot of `BACKUP_MAX_CONCURRENT`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Slot {
    /// Its number, from 0.
    pub number: u32,
    /// The source leased by its holder.
    pub source: Source,
    /// The backup with this slot.
    pub holder: BackupId,
    /// When it was taken.
    pub taken_at: Timestamp,
}

impl Slot {
    fn id(number: u32) -> String {
        format!("slot-{number}")
    }
}

/// All leases and slots.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Leases {
    /// The leases.
    pub sources: Vec<Lease>,
    /// The slots, by number.
    pub slots: Vec<Slot>,
}

/// Why a lease was not acquired or taken over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LeaseError {
    /// Another backup has the source.
    #[error("the {source_name} is being backed up by {holder}")]
    SourceLeased {
        /// The leased source.
        source_name: Source,
        /// The backup with this lease.
        holder: BackupId,
    },
    /// The limit of running backups is reached.
    #[error(
        "as many backups are running as BACKUP_MAX_CONCURRENT allows: {}",
        names(holders)
    )]
    ConcurrencyLimit {
        /// The running backups.
        holders: Vec<BackupId>,
    },
    /// The lease changed since the caller read it: another run has taken it over, or it was
    /// released.
    #[error("the lease of {holder} is no longer its own")]
    Lost {
        /// The expected holder.
        holder: BackupId,
        /// The lease as it is now.
        found: Option<Lease>,
    },
    /// The catalogue failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

fn names(holders: &[BackupId]) -> String {
    holders
        .iter()
        .map(BackupId::as_str)
        .collect::<Vec<_>>()
        .join(", ")
}

impl Catalog {
    /// The lease of a source, if there is one.
    ///
    /// # Errors
    /// [`CatalogError::Corrupt`] if its document is not a lease.
    pub async fn get_lease(&self, source: Source) -> Result<Option<Lease>, CatalogError> {
        let found = call(
            "read a lease",
            self.collection(LEASES)
                .find_one(row::by_id(source.as_str())),
        )
        .await?;
        found
            .map(|document| row::read(LEASES, document))
            .transpose()
    }

    /// All leases and slots. Any other document is omitted with a warning.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn leases(&self) -> Result<Leases, CatalogError> {
        let collection = self.collection(LEASES);
        let find = collection
            .find(doc! { "_id": { "$ne": COLLECTION_OF_COPIES } })
            .sort(doc! { "_id": 1 });
        let documents: Vec<Document> =
            call("list leases", async { find.await?.try_collect().await }).await?;
        let (slots, sources): (Vec<_>, Vec<_>) = documents
            .into_iter()
            .partition(|document| document.contains_key("number"));
        let mut slots: Vec<Slot> = readable(
            slots
                .into_iter()
                .map(|document| row::read(LEASES, document)),
        );
        slots.sort_by_key(|slot| slot.number);
        Ok(Leases {
            sources: readable(
                sources
                    .into_iter()
                    .map(|document| row::read(LEASES, document)),
            ),
            slots,
        })
    }
}
