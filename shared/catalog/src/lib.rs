//! Jobs, items and leases in MongoDB: an index of the store. Only this crate changes states.
//!
//! Every change is one conditional write on the server, never a read followed by a write. The
//! caller passes in the time, taken from [`Catalog::now`] if another machine compares it. Other
//! crates decide on the content of backups and manifests, and on the death of a run.

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
mod now;
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

pub use catalog::{COLLECTIONS, Catalog, CatalogLocation};
pub use change::JobChange;
pub use collecting::CollectingProgress;
pub use copying::{CopiedPart, CopyClaim, CopyUpload, CopyWork, Copying, Uncopied};
pub use count::{JobCount, JobCounts, VerificationCount};
pub use error::CatalogError;
pub use item::{AddedItem, FoundItem, Kept, MAX_ADDED, Settled};
pub use job::JobFilter;
pub use lease::{
    Lease, LeaseError, LeaseKind, Leases, OrphanLease, OrphanReason, Slot, Source,
    UNKNOWN_HOLDER_GRACE, UNSTARTED_GRACE,
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
