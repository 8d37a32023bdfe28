//! A platform's database, an empty repository, and a catalogue: each test has its own.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use holdfast_catalog::{Catalog, Source};
use holdfast_codec::{AgeRecipient, KeyEncryptionKey};
use holdfast_database::{
    CollectionContent, Connection, NamespaceMap, RestoreOptions, content_hash_of,
};
use holdfast_domain::{
    BackupId, BackupType, Job, JobStatus, Secret, Timestamp,
    settings::{ReadPreference, Settings, StoreLocation},
};
use holdfast_operations::{
    BackupOutcome, BackupRequest, Holdfast, Observer, Preflight, RunLimits, back_up_database,
    trigger,
};
use holdfast_recovery::{RestoreTarget, restore_database};
use holdfast_repository::{Keyring, Openers, Repository};
use holdfast_storage::Store;
use holdfast_testing::{TestStore, parts, unique};
use mongodb::bson::{Document, doc};

pub(crate) const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// Records the states of jobs.
#[derive(Default)]
pub(crate) struct Heard(Mutex<Vec<JobStatus>>);

#[async_trait]
impl Observer for Heard {
    async fn job_changed(&self, job: &Job) {
        self.0.lock().unwrap().push(job.status);
    }
}

impl Heard {
    pub(crate) fn states(&self) -> Vec<JobStatus> {
        self.0.lock().unwrap().clone()
    }
}

pub(crate) struct Fixture {
    pub(crate) holdfast: Holdfast,
    pub(crate) store: TestStore,
    pub(crate) heard: Arc<Heard>,
    pub(crate) client: mongodb::Client,
    pub(crate) database: String,
    pub(crate) catalog_database: String,
}

impl Fixture {
    /// With these settings in addition to the defaults.
    pub(crate) async fn new(settings: &[(&str, &str)]) -> Self {
        let store = TestStore::new().await;
        Self::with_store(settings, store).await
    }

    pub(crate) async fn with_store(settings: &[(&str, &str)], store: TestStore) -> Self {
        let database = unique("platform");
        let catalog_database = unique("catalog");
        let mut variables: BTreeMap<String, String> = [
            ("MONGODB_URI".to_owned(), uri_of(&database)),
            ("BACKUP_CATALOG_URI".to_owned(), uri_of(&catalog_database)),
            // Independent of this machine: a test with mongodump brings its own.
            ("MONGODUMP".to_owned(), "/nowhere/bin/mongodump".to_owned()),
        ]
        .into();
        variables.extend(
            settings
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        let settings = holdfast_domain::settings::read(variables).settings.unwrap();
        let client = mongodb::Client::with_uri_str(&parts().mongodb_uri)
            .await
            .unwrap();
        let heard = Arc::new(Heard::default());
        let holdfast = Holdfast {
            repository: repository(&settings, &store, Arc::clone(&store.store)),
            catalog: Catalog::from_settings(&settings).await.unwrap(),
            observer: heard.clone(),
            settings: Arc::new(settings),
            preflight: Preflight::default(),
        };
        Self {
            holdfast,
            store,
            heard,
            client,
            database,
            catalog_database,
        }
    }

    /// The same, over another store: the same bucket with faults in between.
    pub(crate) fn over(&self, store: Arc<dyn Store>) -> Holdfast {
        Holdfast {
            repository: repository(&self.holdfast.settings, &self.store, store),
            ..self.holdfast.clone()
        }
    }

    /// The same, with other settings: another key, another server.
    pub(crate) fn with(&self, change: impl FnOnce(&mut Settings)) -> Holdfast {
        let mut settings = (*self.holdfast.settings).clone();
        change(&mut settings);
        Holdfast {
            repository: repository(&settings, &self.store, Arc::clone(&self.store.store)),
            settings: Arc::new(settings),
            preflight: Preflight::default(),
            ..self.holdfast.clone()
        }
    }

    /// A few collections with every relevant type of data.
    pub(crate) async fn fill(&self, users: u32) {
        let database = self.client.database(&self.database);
        let users: Vec<Document> = (0..users)
            .map(|i| doc! { "_id": i64::from(i), "name": format!("user {i}"), "bio": "x".repeat(100 + (i % 50) as usize) })
            .collect();
        database
            .collection("users")
            .insert_many(users)
            .await
            .unwrap();
        let index = mongodb::IndexModel::builder()
            .keys(doc! { "name": 1 })
            .build();
        database
            .collection::<Document>("users")
            .create_index(index)
            .await
            .unwrap();
        database
            .collection("contents")
            .insert_many([doc! { "contentId": 1 }, doc! { "contentId": 2 }])
            .await
            .unwrap();
        database.create_collection("empty").await.unwrap();
    }

    /// Enough incompressible bytes for an artifact of several parts.
    pub(crate) async fn fill_with_noise(&self, mebibytes: usize) {
        fill_with_noise(&self.client.database(&self.database), mebibytes).await;
    }

    pub(crate) async fn trigger(&self) -> BackupId {
        trigger(
            &self.holdfast,
            BackupType::Database,
            Some("ada".to_owned()),
            Timestamp::now(),
        )
        .await
        .unwrap()
        .backup_id
    }

    /// Triggers and runs a backup, and expects success.
    pub(crate) async fn back_up(&self) -> Job {
        let backup_id = self.trigger().await;
        completed(run(&self.holdfast, backup_id).await)
    }

    /// Documents, bytes and content hash of each collection.
    pub(crate) async fn contents(&self, database: &str) -> BTreeMap<String, CollectionContent> {
        let connection = connect().await;
        let mut contents = BTreeMap::new();
        for name in self
            .client
            .database(database)
            .list_collection_names()
            .await
            .unwrap()
        {
            contents.insert(
                name.clone(),
                content_hash_of(&connection, database, &name).await.unwrap(),
            );
        }
        contents
    }

    /// Restores a backup under another database name, and returns this name.
    pub(crate) async fn restored(&self, id: &BackupId) -> String {
        let (target, to) = self.target();
        let report = restore_database(&self.holdfast.repository, id, &target, &|_| {})
            .await
            .unwrap();
        assert!(report.is_faithful(), "{report:?}");
        to
    }

    /// A target that renames the database.
    pub(crate) fn target(&self) -> (RestoreTarget, String) {
        let to = unique("restored");
        let map =
            NamespaceMap::parse(&[format!("{}.*", self.database)], &[format!("{to}.*")]).unwrap();
        let options = RestoreOptions {
            map,
            ..RestoreOptions::default()
        };
        (
            RestoreTarget {
                uri: Secret::new(&parts().mongodb_uri),
                options,
            },
            to,
        )
    }

    pub(crate) async fn job(&self, id: &BackupId) -> Job {
        self.holdfast.catalog.get(id).await.unwrap()
    }

    /// Makes the lease look as if its run had last beaten this long ago.
    pub(crate) async fn age_lease(&self, seconds: i64) {
        let then = mongodb::bson::DateTime::from_millis(
            Timestamp::now().as_millisecond() - seconds * 1000,
        );
        let leases = self
            .client
            .database(&self.catalog_database)
            .collection::<Document>("backup_leases");
        leases
            .update_one(
                doc! { "_id": "database" },
                doc! { "$set": { "beatAt": then } },
            )
            .await
            .unwrap();
    }

    /// Puts a job's row back to an earlier state, as if its run had been killed there.
    pub(crate) async fn rewind(&self, id: &BackupId, status: &str) {
        let jobs = self
            .client
            .database(&self.catalog_database)
            .collection::<Document>("backup_jobs");
        jobs.update_one(
            doc! { "_id": id.as_str() },
            doc! { "$set": { "status": status } },
        )
        .await
        .unwrap();
    }

    /// The lease left by such a run.
    pub(crate) async fn lease_of_a_dead_run(&self, id: &BackupId) {
        let catalog = &self.holdfast.catalog;
        let then = Timestamp::now() - jiff::SignedDuration::from_mins(5);
        catalog
            .acquire(Source::Database, id, 2, then)
            .await
            .unwrap();
        catalog
            .take_over(Source::Database, id, 0, None, then)
            .await
            .unwrap();
    }

    pub(crate) async fn leases(&self) -> u64 {
        let leases = self
            .client
            .database(&self.catalog_database)
            .collection::<Document>("backup_leases");
        leases.count_documents(doc! {}).await.unwrap()
    }

    /// Keys of the repository, without its prefix.
    pub(crate) async fn keys(&self) -> Vec<String> {
        let prefix = format!("{}/", self.store.prefix);
        self.store
            .all_keys()
            .await
            .into_iter()
            .map(|key| key.trim_start_matches(&prefix).to_owned())
            .collect()
    }

    pub(crate) async fn remove(self) {
        for name in self.client.list_database_names().await.unwrap() {
            if name == self.database || name == self.catalog_database {
                self.client.database(&name).drop().await.unwrap();
            }
        }
        self.store.remove().await;
    }
}

/// Incompressible documents of 256 KiB.
pub(crate) async fn fill_with_noise(database: &mongodb::Database, mebibytes: usize) {
    let collection = database.collection("noise");
    for batch in 0..mebibytes {
        let documents = (0..4).map(|i| {
            let mut bytes = vec![0; 256 * 1024];
            getrandom::fill(&mut bytes).unwrap();
            let binary = mongodb::bson::Binary {
                subtype: mongodb::bson::spec::BinarySubtype::Generic,
                bytes,
            };
            doc! { "_id": i64::try_from(batch * 4 + i).unwrap(), "noise": binary }
        });
        collection.insert_many(documents).await.unwrap();
    }
}

fn repository(settings: &Settings, test: &TestStore, store: Arc<dyn Store>) -> Repository {
    let location = StoreLocation::S3 {
        bucket: test.bucket.clone(),
        prefix: format!("{}/", test.prefix),
    };
    let parse = |key: &Secret| KeyEncryptionKey::parse(key).unwrap();
    let recipient = settings
        .break_glass_recipient
        .as_deref()
        .map(|text| AgeRecipient::parse(text).unwrap());
    let previous_keys = settings.encryption_key_previous.iter().map(parse).collect();
    let keyring =
        Keyring::new(settings.encryption_key.as_ref().map(parse), None).wrapping_for(recipient);
    Repository::new(
        store,
        location,
        keyring.opening_with(Openers {
            previous_keys,
            ..Openers::default()
        }),
    )
}

pub(crate) fn uri_of(database: &str) -> String {
    parts()
        .mongodb_uri
        .replacen("/?", &format!("/{database}?"), 1)
}

pub(crate) async fn connect() -> Connection {
    Connection::open(
        &Secret::new(&parts().mongodb_uri),
        ReadPreference::Primary,
        "tests",
    )
    .await
    .unwrap()
}

/// Runs a triggered backup.
pub(crate) async fn run(holdfast: &Holdfast, backup_id: BackupId) -> BackupOutcome {
    back_up_database(
        holdfast,
        BackupRequest::Triggered { backup_id },
        RunLimits::none(),
    )
    .await
    .unwrap()
}

pub(crate) fn completed(outcome: BackupOutcome) -> Job {
    match outcome {
        BackupOutcome::Completed(job) => *job,
        other => panic!("expected a completed backup, got {other:?}"),
    }
}

pub(crate) fn failed(outcome: BackupOutcome) -> Job {
    match outcome {
        BackupOutcome::Failed(job) => *job,
        other => panic!("expected a failed backup, got {other:?}"),
    }
}
