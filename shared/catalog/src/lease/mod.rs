//! Leases: one document for each source, and one for each of the slots that `BACKUP_MAX_CONCURRENT` allows.
//!
//! Exclusion rests on `_id` alone, which a delete frees at once. A lease counts from the moment its slot stands in it.
//! When a run counts as dead is the caller's to say.

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

/// What one run at a time may back up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The platform's database.
    Database,
    /// The files that content items point to.
    Content,
}

impl Source {
    /// The source that a backup of this type reads: a `full` one, which is the parent of two, reads none.
    #[must_use]
    pub const fn of(kind: BackupType) -> Option<Self> {
        match kind {
            BackupType::Database => Some(Self::Database),
            BackupType::Content => Some(Self::Content),
            BackupType::Full => None,
        }
    }

    /// The word that is the lease's `_id`.
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
    /// What is leased.
    #[serde(rename = "_id")]
    pub source: Source,
    /// The backup that holds it.
    pub holder: BackupId,
    /// Fencing number of the newest run; 0 before a first one took it over.
    pub fence: u64,
    /// The holder's slot; none while it is being acquired.
    #[serde(default)]
    pub slot: Option<u32>,
    /// When it was acquired.
    pub taken_at: Timestamp,
    /// When a run last said that it lives; when it was acquired, before that.
    pub beat_at: Timestamp,
    /// When the newest run has to be through, where it has a deadline.
    #[serde(default)]
    pub deadline_at: Option<Timestamp>,
    /// Set while no run is at work: until then somebody else's word, or a run that was asked for, is waited for.
    #[serde(default)]
    pub waits_until: Option<Timestamp>,
}

/// One of the slots of `BACKUP_MAX_CONCURRENT`, while it is taken.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Slot {
    /// Its number, from 0.
    pub number: u32,
    /// The source that its holder leased.
    pub source: Source,
    /// The backup that holds it.
    pub holder: BackupId,
    /// When it was taken.
    pub taken_at: Timestamp,
}

impl Slot {
    fn id(number: u32) -> String {
        format!("slot-{number}")
    }
}

/// All that is leased.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Leases {
    /// The sources.
    pub sources: Vec<Lease>,
    /// The slots, by number.
    pub slots: Vec<Slot>,
}

/// Why a lease was not had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LeaseError {
    /// Another backup has the source.
    #[error("the {source_name} is being backed up by {holder}")]
    SourceLeased {
        /// What is leased.
        source_name: Source,
        /// The backup that holds it.
        holder: BackupId,
    },
    /// As many backups run as may.
    #[error("as many backups are running as BACKUP_MAX_CONCURRENT allows: {}", names(holders))]
    ConcurrencyLimit {
        /// Those that run.
        holders: Vec<BackupId>,
    },
    /// The lease is not as the caller saw it: another run has taken it over, or it was freed.
    #[error("the lease of {holder} is no longer its own")]
    Lost {
        /// The backup that should have held it.
        holder: BackupId,
        /// The lease as it is now.
        found: Option<Lease>,
    },
    /// The catalogue failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

fn names(holders: &[BackupId]) -> String {
    holders.iter().map(BackupId::as_str).collect::<Vec<_>>().join(", ")
}

impl Catalog {
    /// The lease of a source, if it is leased.
    ///
    /// # Errors
    /// [`CatalogError::Corrupt`] where its document is not a lease.
    pub async fn get_lease(&self, source: Source) -> Result<Option<Lease>, CatalogError> {
        let found = call("read a lease", self.collection(LEASES).find_one(row::by_id(source.as_str()))).await?;
        found.map(|document| row::read(LEASES, document)).transpose()
    }

    /// All that is leased. A document that is neither a lease nor a slot is left out with a warning.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn leases(&self) -> Result<Leases, CatalogError> {
        let collection = self.collection(LEASES);
        let find = collection.find(doc! { "_id": { "$ne": COLLECTION_OF_COPIES } }).sort(doc! { "_id": 1 });
        let documents: Vec<Document> = call("list leases", async { find.await?.try_collect().await }).await?;
        let (slots, sources): (Vec<_>, Vec<_>) =
            documents.into_iter().partition(|document| document.contains_key("number"));
        let mut slots: Vec<Slot> = readable(slots.into_iter().map(|document| row::read(LEASES, document)));
        slots.sort_by_key(|slot| slot.number);
        Ok(Leases { sources: readable(sources.into_iter().map(|document| row::read(LEASES, document))), slots })
    }
}
