//! A catalogue of old jobs, over a store of its own.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, resume_unwind},
    sync::Arc,
};

use futures_util::FutureExt as _;
use holdfast_catalog::{Catalog, JobChange, VerificationRecord};
use holdfast_domain::{
    BackupId, BackupType, FailureCode, Job, JobFailure, JobStatus, JobVerification, Timestamp,
    Trigger, TriggerKind, VerificationLevel, VerificationStatus, settings::StoreLocation,
};
use holdfast_operations::{Holdfast, Preflight, Silent};
use holdfast_repository::{Keyring, Repository};
use holdfast_storage::Store;
use holdfast_testing::{MemoryStore, parts, unique};
use jiff::SignedDuration;
use mongodb::{
    Collection, Database,
    bson::{Document, doc},
};

pub(crate) const MIB: u64 = 1024 * 1024;

pub(crate) struct Fixture {
    pub(crate) h: Holdfast,
    pub(crate) memory: Arc<MemoryStore>,
    pub(crate) now: Timestamp,
    database: Database,
}

/// Runs a test on a catalogue of its own, with these settings in addition to the defaults.
pub(crate) async fn on_catalog(settings: &[(&str, &str)], test: impl AsyncFnOnce(&Fixture)) {
    let name = unique("reporting");
    let uri = parts().mongodb_uri.replacen("/?", &format!("/{name}?"), 1);
    let own = [
        ("BACKUP_CATALOG_URI", uri.as_str()),
        ("MONGODB_URI", "mongodb://ada:hunter2@db.example/platform"),
    ];
    let variables = own
        .iter()
        .chain(settings)
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let settings = holdfast_domain::settings::read(variables.collect::<BTreeMap<_, _>>())
        .settings
        .unwrap();
    let memory = MemoryStore::new();
    let h = Holdfast {
        repository: repository(memory.clone()),
        catalog: Catalog::from_settings(&settings).await.unwrap(),
        observer: Arc::new(Silent),
        settings: Arc::new(settings),
        preflight: Preflight::default(),
    };
    let database = mongodb::Client::with_uri_str(&parts().mongodb_uri)
        .await
        .unwrap()
        .database(&name);
    // Rows have a precision of milliseconds.
    let now = Timestamp::from_millisecond(Timestamp::now().as_millisecond()).unwrap();
    let fixture = Fixture {
        h,
        memory,
        now,
        database,
    };
    let outcome = AssertUnwindSafe(test(&fixture)).catch_unwind().await;
    fixture.database.drop().await.unwrap();
    outcome.unwrap_or_else(|panic| resume_unwind(panic));
}

pub(crate) fn repository(store: Arc<dyn Store>) -> Repository {
    let location = StoreLocation::parse("s3://backups/prod").unwrap();
    Repository::new(store, location, Keyring::new(None, None))
}

impl Fixture {
    pub(crate) fn rows(&self, collection: &str) -> Collection<Document> {
        self.database.collection(collection)
    }

    pub(crate) fn hours_ago(&self, hours: i64) -> Timestamp {
        self.now - SignedDuration::from_hours(hours)
    }

    /// A running job, triggered this many hours ago.
    pub(crate) async fn begun(&self, kind: BackupType, hours: i64) -> BackupId {
        let at = self.hours_ago(hours);
        let id = BackupId::new(kind, at, u32::try_from(hours).unwrap().to_be_bytes());
        let trigger = Trigger {
            kind: TriggerKind::Manual,
            by: Some("ada".to_owned()),
        };
        self.h
            .catalog
            .insert_pending(&Job::pending(id.clone(), trigger, at))
            .await
            .unwrap();
        self.step(&id, JobStatus::Running, JobChange::default())
            .await;
        id
    }

    /// A backup of this size, and twice the original size. Its duration in milliseconds equals its
    /// age in hours.
    pub(crate) async fn backed_up(&self, kind: BackupType, hours: i64, size: u64) -> BackupId {
        let id = self.begun(kind, hours).await;
        let change = JobChange {
            size: Some(size),
            original_size: Some(2 * size),
            duration_ms: Some(hours.unsigned_abs()),
            ..JobChange::default()
        };
        self.step(&id, JobStatus::Committing, JobChange::default())
            .await;
        self.step(&id, JobStatus::Completed, change).await;
        id
    }

    pub(crate) async fn failed(&self, kind: BackupType, hours: i64) -> BackupId {
        let id = self.begun(kind, hours).await;
        let error = JobFailure {
            code: FailureCode::Stalled,
            message: "it died".to_owned(),
            hint: None,
        };
        let completed_at = Some(self.hours_ago(hours));
        self.step(
            &id,
            JobStatus::Failed,
            JobChange {
                error: Some(error),
                completed_at,
                ..JobChange::default()
            },
        )
        .await;
        id
    }

    pub(crate) async fn deleted(&self, id: &BackupId) {
        self.step(id, JobStatus::Deleted, JobChange::default())
            .await;
    }

    pub(crate) async fn verified(
        &self,
        id: &BackupId,
        level: VerificationLevel,
        status: VerificationStatus,
    ) {
        let (problems, collections, at) =
            (vec!["a part is missing".to_owned()], Vec::new(), self.now);
        let record = VerificationRecord {
            backup_id: id.clone(),
            level,
            status,
            problems,
            at,
            repository_problems: Vec::new(),
            notes: Vec::new(),
            bytes_read: 1,
            duration_ms: 7,
            collections,
        };
        self.h.catalog.insert_verification(&record).await.unwrap();
        self.h
            .catalog
            .set_verification(id, JobVerification { level, status, at })
            .await
            .unwrap();
    }

    async fn step(&self, id: &BackupId, to: JobStatus, change: JobChange) {
        self.h
            .catalog
            .transition(id, to, change, None)
            .await
            .unwrap();
    }

    /// Rows of completed jobs with this many collections each, too many to create one by one.
    pub(crate) async fn many_jobs(&self, count: u32, collections: u32) {
        let jobs: Vec<Document> = (0..count)
            .map(|number| row(number, collections, self.hours_ago(1)))
            .collect();
        for page in jobs.chunks(2000) {
            self.rows("backup_jobs").insert_many(page).await.unwrap();
        }
    }
}

fn row(number: u32, collections: u32, at: Timestamp) -> Document {
    let at = mongodb::bson::DateTime::from_millis(at.as_millisecond());
    let namespaces: Vec<Document> = (0..collections)
        .map(|index| doc! { "namespace": format!("platform.collection_{index}"), "documents": 1000_i64 })
        .collect();
    doc! {
        "_id": format!("db_{}_{number:08x}", at.timestamp_millis()), "type": "database", "status": "completed",
        "trigger": { "kind": "schedule" }, "fence": 1_i64, "createdAt": at, "startedAt": at, "completedAt": at,
        "durationMs": 1_i64, "originalSize": 2_i64, "size": 1_i64, "compressed": true, "encrypted": false,
        "checksum": "07".repeat(32), "namespaces": namespaces,
    }
}
