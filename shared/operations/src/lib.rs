//! The use cases: back up, verify, restore, sweep. Each reads as its story.
//!
//! They know every crate below and nothing of Lambda, HTTP or terminals: what starts them passes in the settings, the
//! clients and an [`Observer`].

mod artifact;
mod backup_database;
mod cancel;
mod decrypt;
mod error;
mod lease;
mod observer;
mod preflight;
mod repository;
mod restore;
mod settle;
mod status;
mod sweep;
mod trigger;
mod verify;

use std::sync::Arc;

use holdfast_catalog::{Catalog, CatalogLocation};
use holdfast_database::Exclusion;
use holdfast_domain::settings::Settings;

pub use self::{
    backup_database::engine::EngineFault,
    backup_database::{BackupOutcome, BackupRequest, RunLimits, SkipReason, back_up_database},
    cancel::cancel,
    decrypt::{ExportedKey, decrypt_artifact, decrypt_file, export_keys},
    error::{OperationError, StopReason},
    observer::{Observer, Silent},
    preflight::Preflight,
    repository::{InitReport, Keyring, KeyringError, Repository, RepositoryError, StoredBackup},
    restore::{RestoreTarget, prove_archive, restore_archive, restore_database},
    status::{
        JobStatistics, SchedulerStatus, SourceStatus, Statistics, Status, StatusOverview, VerificationStatistics,
        status,
    },
    sweep::{SweepReport, sweep},
    trigger::{abandon, record_misconfigured, trigger_database},
    verify::{Verification, record_verification, verify},
};

/// What the use cases that change something work with. Cheap to clone.
#[derive(Clone)]
pub struct Holdfast {
    /// The settings in force.
    pub settings: Arc<Settings>,
    /// Where backups go.
    pub repository: Repository,
    /// Where jobs are kept.
    pub catalog: Catalog,
    /// Who is told of what happens.
    pub observer: Arc<dyn Observer>,
    /// What was found of the official mongodump, once somebody looked.
    pub preflight: Preflight,
}

/// The catalogue's own collections: where they share a database with the platform's they are neither dumped nor restored.
#[must_use]
pub fn own_collections(catalog: &CatalogLocation) -> Exclusion {
    Exclusion { database: catalog.database.clone(), collections: catalog.collections() }
}
