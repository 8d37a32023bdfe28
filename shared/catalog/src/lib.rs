//! Jobs, items and leases in MongoDB: an index of the store, and the one place where states change.
//!
//! Every change is one conditional write of the server's: nothing reads, then writes. Callers pass the time in,
//! and take it from [`Catalog::now`] if another machine compares it.
//! What to back up, when a run counts as dead, and what a manifest says are decided elsewhere.

mod catalog;
mod change;
mod clock;
mod collecting;
mod copying;
mod count;
mod error;
mod item;
mod job;
mod lease;
mod lost;
mod object;
mod parents;
mod policies;
mod reader;
mod rebuilding;
mod row;
mod standing;
mod statistics;
mod transition;
mod trial;
mod unsuccessful;
mod verification;
mod verifying;
mod walk;
mod work;

pub use catalog::{COLLECTIONS, Catalog, CatalogLocation, DEFAULT_DATABASE};
pub use change::JobChange;
pub use collecting::CollectingProgress;
pub use copying::{CopiedPart, CopyClaim, CopyUpload, CopyWork, Copying, Uncopied};
pub use count::{JobCount, JobCounts, VerificationCount};
pub use error::CatalogError;
pub use item::{AddedItem, FoundItem, Kept, MAX_ADDED, Settled};
pub use job::JobFilter;
pub use lease::{
    Lease, LeaseError, LeaseKind, Leases, OrphanLease, OrphanReason, Slot, Source, UNKNOWN_HOLDER_GRACE,
    UNSTARTED_GRACE,
};
pub use lost::{Expectation, ExpectedBackup};
pub use object::{HeldSource, HoldSource, SourceId, source_id};
pub use policies::StoredPolicy;
pub use reader::ReaderRow;
pub use standing::JobStanding;
pub use statistics::{BackupSize, HeldObjects, Outcomes};
pub use verification::VerificationRecord;
pub use verifying::{VerificationClaim, VerifiedSoFar, Verifying};
pub use walk::Walk;
pub use work::{ContentWork, StoredList};
