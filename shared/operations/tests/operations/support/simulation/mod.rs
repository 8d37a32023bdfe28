//! A repository and a catalogue, with backups that follow the protocol of real ones step by step:
//! leases, rows, objects under their addresses, list, manifest, job. Their files have a few bytes.

pub(crate) mod content;

use std::{
    io::Write as _,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use bytes::Bytes;
use holdfast_catalog::JobChange;
use holdfast_codec::{ArtifactDigest, DigestWriter, SegmentHasher};
use holdfast_domain::{
    Artifact, BackupId, BackupType, ContentManifest, DeletionCause, Encoding, FORMAT_VERSION,
    FailureCode, Job, JobDeletion, JobFailure, JobStatus, Manifest, ManifestFile, ObjectKey,
    RetentionPolicy, SEGMENT_BYTES, Sha256Digest, Timestamp, Trigger, TriggerKind,
    VerificationLevel, VerificationStatus, settings::StoreLocation,
};
use holdfast_operations::{
    Holdfast, OperationError, RetentionReport, RunLimits, Silent, accept_loss,
    expect_fitting_store, retain,
};
use holdfast_storage::{PutMode, Store, StoreError};
use holdfast_testing::{MemoryStore, TestStore, database_uri, parts, unique};
use jiff::SignedDuration;
use mongodb::bson::{Document, doc};

use crate::support::holdfast::{holdfast_of, repository_of, settings_of};

pub(crate) struct Simulation {
    pub(crate) h: Holdfast,
    pub(crate) store: Arc<dyn Store>,
    /// The store, if it is in memory.
    pub(crate) memory: Option<Arc<MemoryStore>>,
    pub(crate) client: mongodb::Client,
    pub(crate) database: String,
    started_at: Timestamp,
    /// Seconds since then.
    elapsed: AtomicI64,
    made: AtomicI64,
}

impl Simulation {
    /// Over a store in memory with this simulation's clock.
    pub(crate) async fn new() -> Self {
        let memory = MemoryStore::new();
        let simulation = Self::over(memory.clone(), Some(memory)).await;
        simulation.pass(SignedDuration::ZERO);
        simulation
    }

    /// Over the real S3 with the machine's clock.
    pub(crate) async fn on_s3(test: &TestStore) -> Self {
        Self::over(Arc::clone(&test.store), None).await
    }

    async fn over(store: Arc<dyn Store>, memory: Option<Arc<MemoryStore>>) -> Self {
        let database = unique("retention");
        let catalog = database_uri(&database);
        let settings = settings_of([
            ("BACKUP_CATALOG_URI", catalog.as_str()),
            ("MONGODB_URI", &parts().mongodb_uri),
        ]);
        let repository = repository_of(&settings, location(), Arc::clone(&store));
        let h = holdfast_of(settings, repository, Arc::new(Silent)).await;
        h.catalog.ensure_indexes().await.unwrap();
        let client = mongodb::Client::with_uri_str(&parts().mongodb_uri)
            .await
            .unwrap();
        let (elapsed, made) = (AtomicI64::new(0), AtomicI64::new(0));
        Self {
            h,
            store,
            memory,
            client,
            database,
            started_at: Timestamp::now(),
            elapsed,
            made,
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.started_at + SignedDuration::from_secs(self.elapsed.load(Ordering::Relaxed))
    }

    /// Advances the time.
    pub(crate) fn pass(&self, time: SignedDuration) {
        self.elapsed.fetch_add(time.as_secs(), Ordering::Relaxed);
        if let Some(memory) = &self.memory {
            memory.set_clock(self.now());
        }
    }

    pub(crate) fn pass_days(&self, days: i64) {
        self.pass(SignedDuration::from_hours(24 * days));
    }

    /// The same simulation over another store: the same bucket with faults in between.
    pub(crate) fn through(&self, store: Arc<dyn Store>) -> Holdfast {
        Holdfast {
            repository: repository_of(&self.h.settings, location(), store),
            ..self.h.clone()
        }
    }

    pub(crate) async fn retain(&self) -> RetentionReport {
        retain(&self.h, RunLimits::none(), self.now())
            .await
            .unwrap()
    }

    /// An operator accepts the loss of a backup.
    pub(crate) async fn accept(&self, id: &BackupId) -> Result<Job, OperationError> {
        let store = expect_fitting_store(&self.h).await?;
        accept_loss(&self.h, store, id, Some("ada".to_owned()), self.now()).await
    }

    /// Writes the row of an accepted loss, based on another store. An older version did not refuse
    /// this.
    pub(crate) async fn accept_elsewhere(&self, id: &BackupId) {
        let error = JobFailure {
            code: FailureCode::StoreCorrupt,
            message: "missing".to_owned(),
            hint: None,
        };
        let change = JobChange {
            error: Some(error),
            lost_at: Some(self.now()),
            ..JobChange::default()
        };
        self.h
            .catalog
            .transition(id, JobStatus::Deleted, change, None)
            .await
            .unwrap();
        let deletion = JobDeletion {
            cause: DeletionCause::AcceptedLoss,
            decided_at: self.now(),
            by: None,
        };
        self.h.catalog.accept_loss(id, &deletion).await.unwrap();
    }

    pub(crate) async fn set_policy(&self, kind: BackupType, policy: RetentionPolicy) {
        let stored = holdfast_catalog::StoredPolicy {
            policy,
            updated_by: None,
            updated_at: self.now(),
        };
        self.h.catalog.set_policy(kind, &stored).await.unwrap();
    }

    pub(crate) fn rows(&self, collection: &str) -> mongodb::Collection<Document> {
        self.client.database(&self.database).collection(collection)
    }

    /// Removes the leases of killed collections, as the sweep does after ten minutes.
    pub(crate) async fn forget_leases_of_killed_collections(&self) {
        let holder = doc! { "$regex": "_retention" };
        self.rows("backup_leases")
            .delete_many(doc! { "holder": holder })
            .await
            .unwrap();
    }

    pub(crate) async fn status(&self, id: &BackupId) -> JobStatus {
        self.h.catalog.get(id).await.unwrap().status
    }

    /// Whether an object is there.
    pub(crate) async fn has(&self, key: &ObjectKey) -> bool {
        match self.store.head(key).await {
            Ok(_) => true,
            Err(StoreError::NotFound { .. }) => false,
            Err(error) => panic!("{error}"),
        }
    }

    /// Whether a backup has a manifest.
    pub(crate) async fn exists(&self, id: &BackupId) -> bool {
        self.has(&ObjectKey::manifest(id)).await
    }

    pub(crate) async fn remove(self) {
        self.client.database(&self.database).drop().await.unwrap();
    }

    // Jobs ----------------------------------------------------------------------------------------

    fn new_id(&self, kind: BackupType) -> BackupId {
        let number = u32::try_from(self.made.fetch_add(1, Ordering::Relaxed)).unwrap();
        BackupId::new(kind, self.now(), number.to_be_bytes())
    }

    async fn insert(&self, id: &BackupId, parent: Option<&BackupId>) {
        let trigger = Trigger {
            kind: TriggerKind::Manual,
            by: None,
        };
        let mut job = Job::pending(id.clone(), trigger, self.now());
        job.parent_id = parent.cloned();
        self.h.catalog.insert_pending(&job).await.unwrap();
        self.step(id, JobStatus::Running).await;
    }

    pub(crate) async fn step(&self, id: &BackupId, to: JobStatus) {
        let settled = (!to.is_active()).then(|| self.now());
        let change = JobChange {
            completed_at: settled,
            ..JobChange::default()
        };
        self.h
            .catalog
            .transition(id, to, change, None)
            .await
            .unwrap();
    }

    /// A completed database backup.
    pub(crate) async fn back_up(&self) -> BackupId {
        self.back_up_under(None).await
    }

    pub(crate) async fn back_up_under(&self, parent: Option<&BackupId>) -> BackupId {
        let id = self.new_id(BackupType::Database);
        self.insert(&id, parent).await;
        let dump = self
            .put(
                &ObjectKey::database_dump(&id, 1, Encoding::PLAIN),
                b"a dump",
            )
            .await;
        self.commit(&id, self.now(), vec![dump], None).await;
        id
    }

    /// A database backup every day, oldest first.
    pub(crate) async fn back_up_daily(&self, days: usize) -> Vec<BackupId> {
        let mut ids = Vec::new();
        for _ in 0..days {
            self.pass_days(1);
            ids.push(self.back_up().await);
        }
        ids
    }

    /// A failed database backup with a remaining dump.
    pub(crate) async fn fail(&self) -> BackupId {
        let id = self.new_id(BackupType::Database);
        self.insert(&id, None).await;
        self.put(
            &ObjectKey::database_dump(&id, 1, Encoding::PLAIN),
            b"half a dump",
        )
        .await;
        self.step(&id, JobStatus::Failed).await;
        id
    }

    /// A running job.
    pub(crate) async fn begin(&self, kind: BackupType) -> BackupId {
        let id = self.new_id(kind);
        self.insert(&id, None).await;
        id
    }

    pub(crate) async fn verified(
        &self,
        id: &BackupId,
        level: VerificationLevel,
        status: VerificationStatus,
    ) {
        let record = holdfast_catalog::VerificationRecord {
            backup_id: id.clone(),
            level,
            status,
            problems: Vec::new(),
            at: self.now(),
            repository_problems: Vec::new(),
            notes: Vec::new(),
            bytes_read: 1,
            duration_ms: 1,
            collections: Vec::new(),
        };
        self.h.catalog.insert_verification(&record).await.unwrap();
    }

    // Objects -------------------------------------------------------------------------------------

    pub(crate) async fn put(&self, key: &ObjectKey, body: &[u8]) -> Artifact {
        self.store
            .put(key, Bytes::copy_from_slice(body), PutMode::IfAbsent)
            .await
            .unwrap();
        artifact_of(key, body)
    }

    async fn commit(
        &self,
        id: &BackupId,
        created_at: Timestamp,
        artifacts: Vec<Artifact>,
        content: Option<ContentManifest>,
    ) {
        self.step(id, JobStatus::Committing).await;
        let manifest = Manifest {
            format_version: FORMAT_VERSION,
            backup_id: id.clone(),
            backup_type: id.backup_type(),
            repository: "0123456789abcdef0123456789abcdef".parse().unwrap(),
            trigger: Trigger {
                kind: TriggerKind::Manual,
                by: None,
            },
            parent_id: None,
            fence: 1,
            created_at,
            started_at: created_at,
            completed_at: self.now(),
            holdfast_version: "0".to_owned(),
            engine: None,
            consistency: None,
            source: holdfast_domain::Source::default(),
            namespaces: Vec::new(),
            content,
            original_size: 1,
            compression: None,
            encryption: None,
            artifacts,
        };
        self.put(&ObjectKey::restore_guide(id), b"how to restore it")
            .await;
        let file = ManifestFile::seal(&manifest, |_| None).unwrap();
        self.put(&ObjectKey::manifest(id), &file).await;
        self.step(id, JobStatus::Completed).await;
    }
}

/// The key of the object of this file.
pub(crate) fn object_of(file: &str) -> ObjectKey {
    ObjectKey::content_object(
        &digest(format!("the file {file}").as_bytes()).sha256,
        Encoding::PLAIN,
    )
}

/// The entry of a manifest for an object with this body.
pub(crate) fn artifact_of(key: &ObjectKey, body: &[u8]) -> Artifact {
    let ArtifactDigest {
        size_bytes,
        sha256,
        segments,
    } = digest(body);
    Artifact {
        key: key.clone(),
        size: size_bytes,
        sha256,
        segment_bytes: SEGMENT_BYTES,
        segments,
    }
}

fn location() -> StoreLocation {
    StoreLocation::S3 {
        bucket: "memory".to_owned(),
        prefix: String::new(),
    }
}

fn digest(body: &[u8]) -> ArtifactDigest {
    let mut writer = DigestWriter::new(std::io::sink(), SegmentHasher::plain());
    writer.write_all(body).unwrap();
    writer.finish().unwrap().1
}

/// A digest without a file, as an unused address.
pub(crate) const NO_FILE: Sha256Digest = Sha256Digest::new([0xee; 32]);
