//! Restore, content restore, verification, drills. This crate does not know the catalogue: bucket
//! and key are enough. A caller with a catalogue passes in reader leases.

mod content;
mod content_items;
mod error;
pub mod heartbeat;
pub mod readers;
mod restore;
pub mod verification;
mod walk;

pub use self::{
    content::{
        CarReport, ContentRestoreProgress, ContentRestoreReport, NotRestored, export_car,
        restore_content,
    },
    content_items::content_items,
    error::{DrillFault, RecoveryError},
    restore::{RestoreTarget, prove_archive, rehearse_archive, restore_archive, restore_database},
    verification::{Verification, drill, remove_dead_scratch, verify},
};
