//! A store that does not match its catalogue.

use holdfast_domain::settings::StoreLocation;

/// The store holds fewer than half of the catalogue's completed backups, so it is probably another
/// store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{location} holds {present} of the {completed} completed {kinds} backups of the catalogue, fewer than half. Nothing \
     was changed. Check BACKUP_STORE and its disks. Restore the missing manifests, or run `holdfast lost list`"
)]
pub struct StoreMismatch {
    /// The store.
    pub location: StoreLocation,
    /// Backups with a manifest in it.
    pub present: u64,
    /// Backups with a completed job.
    pub completed: u64,
    /// The compared types.
    pub kinds: &'static str,
}
