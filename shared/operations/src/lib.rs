//! The use cases: back up, verify, restore, sweep. The code of each one follows its flow.
//!
//! They use every crate below, and do not depend on Lambda, HTTP or terminals. The caller passes the settings, the
//! clients and an [`Observer`].

mod artifact;
mod artifact_writer;
mod backup_database;
mod cancel;
mod claim;
mod commit;
mod content;
mod content_items;
mod copy;
mod decrypt;
mod detail;
mod doctor;
mod error;
mod export;
mod full;
mod guide;
mod heartbeat;
mod here;
mod late;
mod lease;
mod lost;
mod lost_lease;
mod measure;
mod observer;
mod preflight;
mod presence;
mod readers;
mod rebuild;
mod repository;
mod restore;
mod restore_content;
mod resume;
mod retain;
mod run;
mod settle;
mod status;
mod storing;
mod sweep;
mod trigger;
mod verify;
mod watch;
mod writing_key;

use std::sync::Arc;

use holdfast_catalog::{Catalog, CatalogLocation};
use holdfast_database::Exclusion;
use holdfast_domain::settings::Settings;

pub use self::{
    backup_database::{back_up_database, engine::EngineFault},
    cancel::cancel,
    content::{
        HandOn,
        discover::{DiscoveryOutcome, discover_content},
        download::{DownloadOutcome, Downloader, download_item},
        fan_in::{finalize_if_settled, settle_undelivered},
        finalize::{FinalizeOutcome, finalize_content},
        queue::{DownloadQueue, LocalQueue, QueueError, RefusedMessage},
    },
    content_items::content_items,
    copy::{
        CopyFault, CopyMode, CopyReport, CopyStep, DueCopies, RemovedCopies, copies_due, copy_backup,
        copy_without_catalogue, expect_copies, is_copied, remove_copies,
    },
    decrypt::{ExportedKey, decrypt_artifact, decrypt_file, export_keys},
    detail::job_in_detail,
    doctor::{Finding, Health, examine},
    error::{OperationError, StopReason},
    export::{Export, ExportLink, export_metadata},
    full::{FullTrigger, trigger_full},
    here::back_up_content_here,
    lost::{
        FittingStore, LostBackup, LostBackups, ManifestPresence, accept_loss, expect_fitting_store, expect_lost,
        lost_backups,
    },
    measure::{Measured, Stored},
    observer::{Observer, Silent},
    preflight::Preflight,
    readers::{CatalogLeases, NoLeases, Protection, Purpose, Reader, ReaderLease, ReaderLeases},
    rebuild::{
        DamagedBackup, RebuildProgress, RebuildReport, RebuiltBackup, UnreadBackup, UnreadCause, plan_rebuild,
        rebuild_catalog,
    },
    repository::{
        InitReport, KeyChange, Keyring, KeyringError, Openers, Repository, RepositoryError, Rewrap, RewrapReport,
        RewrappedEpoch, SourceName, SourceWarning, StoredBackup, WrappedUnder, amount_held, newest_filled,
        source_warnings, sources_of,
    },
    restore::{RestoreTarget, prove_archive, rehearse_archive, restore_archive, restore_database},
    restore_content::{
        CarReport, ContentRestoreProgress, ContentRestoreReport, NotRestored, export_car, restore_content,
    },
    resume::is_interrupted,
    retain::{
        BlockedBackup, CollectionReport, DeletedBackup, PlannedBackup, PolicyInForce, PolicyOrigin, RETAINED_TYPES,
        RetentionPlan, RetentionReport, Trust, TypePlan, TypeReport, plan_collection, plan_retention, retain,
    },
    run::{BackupOutcome, BackupRequest, RunLimits, SkipReason, Step},
    status::{
        DrillStatistics, Durations, GoodBackup, JobStatistics, RetentionStatistics, SchedulerStatus, SourceStatus,
        Statistics, Status, StatusOverview, SuccessRate, SuccessRates, TypeStatistics, VerificationStatistics, status,
    },
    sweep::{SweepReport, sweep, sweep_within},
    trigger::{abandon, record_misconfigured, trigger},
    verify::{
        DueReport, Verification, VerifyOutcome, compare_with_job, drill, expect_level, expect_verifiable, is_small,
        record_verification, remove_dead_scratch, verify, verify_due, verify_on_request, verify_while_waiting,
    },
};

/// The inputs of all use cases with changes. Cheap to clone.
#[derive(Clone)]
pub struct Holdfast {
    /// The settings in force.
    pub settings: Arc<Settings>,
    /// The repository of the backups.
    pub repository: Repository,
    /// The catalogue of the jobs.
    pub catalog: Catalog,
    /// The receiver of state changes and progress.
    pub observer: Arc<dyn Observer>,
    /// The state of the official mongodump, after the first check.
    pub preflight: Preflight,
}

/// The catalogue's own collections. If they share a database with the platform's collections, they are neither dumped
/// nor restored.
#[must_use]
pub fn own_collections(catalog: &CatalogLocation) -> Exclusion {
    Exclusion { database: catalog.database.clone(), collections: catalog.collections() }
}
