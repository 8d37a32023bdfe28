//! The use cases: back up, verify, restore, sweep. The code of each one follows its flow.
//!
//! They use every crate below, and do not depend on Lambda, HTTP or terminals. The caller passes
//! the settings, the clients and an [`Observer`].

mod backup;
mod doctor;
mod error;
mod export;
mod gc;
mod inventory;
mod job;
mod lost;
mod measure;
mod observer;
mod readers;
mod reaper;
mod rebuild;
mod replica;
mod retention;
mod schedule;
mod status;
mod verification;

use std::sync::Arc;

use holdfast_catalog::{Catalog, CatalogLocation};
use holdfast_database::Exclusion;
use holdfast_domain::settings::Settings;
use holdfast_repository::Repository;

pub use self::{
    backup::{
        content::{
            NextStep,
            discover::{DiscoveryOutcome, discover_content},
            download::{Downloader, download_item},
            fan_in::{finalize_if_settled, settle_undelivered},
            finalize::{FinalizeOutcome, finalize_content},
            in_process::back_up_content_in_process,
            outcome::DownloadOutcome,
            queue::{DownloadQueue, LocalQueue, QueueError, RefusedMessage},
        },
        database::{back_up_database, engine_fault::EngineFault, preflight::Preflight},
    },
    doctor::{Finding, Health, examine},
    error::{IncompleteDump, InvalidOperation, NotLost, OperationError, StopReason, Unfinished},
    export::{Export, ExportLink, export_metadata},
    gc::CollectionReport,
    inventory::{RETAINED_TYPES, Trust, mismatch::StoreMismatch},
    job::{
        cancel::cancel,
        detail::job_in_detail,
        full::{FullTrigger, trigger_full},
        late_parents::ReinstatedParent,
        resume::{is_alive, is_interrupted},
        run::{BackupOutcome, BackupRequest, RunLimits, SkipReason, Step},
        trigger::{abandon, record_misconfigured, trigger},
    },
    lost::{
        FittingStore, LostBackup, LostBackups, ManifestPresence, accept_loss, expect_fitting_store,
        expect_lost, lost_backups,
    },
    measure::{Measured, Stored},
    observer::{Observer, Silent},
    readers::CatalogLeases,
    reaper::{SweepReport, sweep, sweep_within},
    rebuild::{
        DamagedBackup, RebuildProgress, RebuildReport, RebuiltBackup, UnreadBackup, UnreadCause,
        plan_rebuild, rebuild_catalog,
    },
    replica::{
        CopyFault, CopyMode, CopyReport, CopyStep, DueCopies, RemovedCopies, copies_due,
        copy_backup, copy_without_catalogue, expect_copies, is_copied, remove_copies,
    },
    retention::{
        BlockedBackup, DeletedBackup, PlannedBackup, PolicyInForce, PolicyOrigin, RetentionPlan,
        RetentionReport, TypePlan, TypeReport, plan_collection, plan_retention, retain,
    },
    status::{
        DrillStatistics, Durations, GoodBackup, JobStatistics, RetentionStatistics,
        SchedulerStatus, SourceStatus, Statistics, Status, StatusOverview, SuccessRate,
        SuccessRates, TypeStatistics, VerificationStatistics, status,
    },
    verification::{
        due::{DueReport, verify_due},
        job_row::compare_with_job,
        on_request::{
            VerifyOutcome, expect_level, expect_verifiable, is_small, no_drill_server,
            verify_on_request,
        },
        record::record_verification,
        requested::{await_verification, expect_requestable, withdraw_request},
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

/// The catalogue's own collections. If they share a database with the platform's collections, they
/// are neither dumped nor restored.
#[must_use]
pub fn own_collections(catalog: &CatalogLocation) -> Exclusion {
    Exclusion {
        database: catalog.database.clone(),
        collections: catalog.collections(),
    }
}
