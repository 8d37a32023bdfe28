//! Real encrypted content backups on the real S3. Retention runs all the time, with a clock that
//! makes every object old.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use futures_util::TryStreamExt as _;
use holdfast_catalog::Catalog;
use holdfast_codec::KeyEncryptionKey;
use holdfast_domain::{
    BackupType, ObjectKey, RetentionPolicy, Timestamp, VerificationLevel, VerificationStatus,
    settings::StoreLocation,
};
use holdfast_operations::{
    BackupOutcome, BackupRequest, Holdfast, OperationError, Preflight, RunLimits, Silent,
    back_up_content_here, retain, trigger,
};
use holdfast_recovery::verify;
use holdfast_repository::{EncryptionMode, Keyring, Repository};
use holdfast_testing::{FileShape, IpfsNode, TestStore, parts, unique};
use jiff::SignedDuration;
use mongodb::bson::{Document, doc};

const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

struct Stage {
    h: Holdfast,
    store: TestStore,
    node: IpfsNode,
    client: mongodb::Client,
    databases: [String; 2],
}

impl Stage {
    async fn new() -> Self {
        let (store, node) = (TestStore::new().await, IpfsNode::start());
        let databases = [unique("platform"), unique("catalog")];
        let uri = |database: &str| {
            parts()
                .mongodb_uri
                .replacen("/?", &format!("/{database}?"), 1)
        };
        let variables = BTreeMap::from(
            [
                ("MONGODB_URI", uri(&databases[0])),
                ("BACKUP_CATALOG_URI", uri(&databases[1])),
                ("BACKUP_IPFS_GATEWAYS", node.address().to_owned()),
                ("BACKUP_CONTENT_ALLOWED_ORIGINS", node.address().to_owned()),
                ("BACKUP_CONTENT_ENCRYPTION", "true".to_owned()),
                ("BACKUP_ENCRYPTION_KEY", KEY.to_owned()),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        );
        let settings = holdfast_domain::settings::read(variables).settings.unwrap();
        let catalog = Catalog::from_settings(&settings).await.unwrap();
        catalog.ensure_indexes().await.unwrap();
        let location = StoreLocation::S3 {
            bucket: store.bucket.clone(),
            prefix: format!("{}/", store.prefix),
        };
        let key = settings
            .encryption_key
            .as_ref()
            .map(|key| KeyEncryptionKey::parse(key).unwrap());
        let repository =
            Repository::new(Arc::clone(&store.store), location, Keyring::new(key, None));
        repository
            .init(EncryptionMode::On, Timestamp::now())
            .await
            .unwrap();
        let (observer, preflight) = (Arc::new(Silent), Preflight::default());
        let h = Holdfast {
            repository,
            catalog,
            observer,
            settings: Arc::new(settings),
            preflight,
        };
        let client = mongodb::Client::with_uri_str(&parts().mongodb_uri)
            .await
            .unwrap();
        Self {
            h,
            store,
            node,
            client,
            databases,
        }
    }

    fn contents(&self) -> mongodb::Collection<Document> {
        self.client
            .database(&self.databases[0])
            .collection("contents")
    }

    /// Adds an item with a file of its own, on IPFS or on Gaia.
    async fn add(&self, number: i64) {
        let file = format!("the file of item {number}; ")
            .repeat(20)
            .into_bytes();
        let (storage_type, url) = if number % 2 == 0 {
            (
                "gaia",
                self.node.put_gaia(&format!("{number}.txt"), file).await,
            )
        } else {
            (
                "ipfs",
                format!("ipfs://{}", self.node.add(file, &FileShape::v1()).await),
            )
        };
        let item = doc! {
            "contentId": number, "title": format!("Item {number}"), "url": url, "storageType": storage_type,
            "creator": "ada", "isRemoved": false,
        };
        self.contents().insert_one(item).await.unwrap();
    }

    async fn back_up(&self) {
        let job = loop {
            match trigger(&self.h, BackupType::Content, None, Timestamp::now()).await {
                Ok(job) => break job,
                Err(OperationError::Collecting) => {
                    tokio::time::sleep(std::time::Duration::from_millis(5)).await
                }
                Err(error) => panic!("{error}"),
            }
        };
        let request = BackupRequest::Triggered {
            backup_id: job.backup_id,
        };
        let outcome = Box::pin(back_up_content_here(&self.h, request, RunLimits::none()))
            .await
            .unwrap();
        assert!(
            matches!(outcome, BackupOutcome::Completed(_)),
            "{outcome:?}"
        );
    }

    /// With a clock three days ahead.
    async fn retain(&self) -> holdfast_operations::RetentionReport {
        let now = Timestamp::now() + SignedDuration::from_hours(72);
        let report = Box::pin(retain(&self.h, RunLimits::none(), now))
            .await
            .unwrap();
        assert_eq!(report.all_problems().count(), 0, "{report:?}");
        report
    }

    async fn objects(&self, folder: &str) -> usize {
        self.store
            .store
            .list(folder)
            .try_collect::<Vec<_>>()
            .await
            .unwrap()
            .len()
    }

    async fn every_backup_is_whole(&self) -> usize {
        let backups = self.h.repository.list().await.unwrap();
        for backup in &backups {
            let level = VerificationLevel::Structure;
            let id = &backup.backup_id;
            let found = Box::pin(verify(
                &self.h.repository,
                id,
                level,
                Timestamp::now(),
                |_, _| {},
            ))
            .await
            .unwrap();
            assert_eq!(found.status, VerificationStatus::Passed, "{found:?}");
        }
        backups.len()
    }

    async fn remove(self) {
        for name in &self.databases {
            self.client.database(name).drop().await.unwrap();
        }
        self.store.remove().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn real_backups_lose_nothing_while_retention_is_at_it() {
    let stage = Stage::new().await;
    let policy = RetentionPolicy {
        max_count: Some(2),
        min_count: 1,
        ..RetentionPolicy::from_days(9)
    };
    let stored = holdfast_catalog::StoredPolicy {
        policy,
        updated_by: None,
        updated_at: Timestamp::now(),
    };
    stage
        .h
        .catalog
        .set_policy(BackupType::Content, &stored)
        .await
        .unwrap();
    for number in 0..10 {
        stage.add(number).await;
    }
    stage.back_up().await;
    let (mut skipped, mut collected) = (0, 0);
    for round in 0..5 {
        // Two items are removed, two are added, and a removed one returns. Its file may have been
        // collected.
        for number in [round * 2, round * 2 + 1] {
            stage
                .contents()
                .delete_many(doc! { "contentId": number })
                .await
                .unwrap();
            stage.add(number + 10).await;
        }
        stage.add((round * 2 - 3).max(0)).await;
        let done = AtomicBool::new(false);
        let backing_up = async {
            stage.back_up().await;
            done.store(true, Ordering::Relaxed);
        };
        let retaining = async {
            while !done.load(Ordering::Relaxed) {
                let report = stage.retain().await;
                skipped += usize::from(report.collection.skipped.is_some());
                collected += report.collection.deleted;
            }
        };
        tokio::join!(backing_up, retaining);
        assert!(stage.every_backup_is_whole().await >= 1);
    }
    let report = stage.retain().await;
    assert_eq!(
        (report.content.retained, report.content.good),
        (2, 2),
        "{report:?}"
    );
    assert!(
        collected + report.collection.deleted > 0 && skipped > 0,
        "{collected} collected, {skipped} times not"
    );
    assert_eq!(stage.every_backup_is_whole().await, 2);
    assert_eq!(stage.retain().await.collection.unreferenced, 0);
    assert!(
        stage.objects(ObjectKey::OBJECTS).await > 0 && stage.objects(ObjectKey::DAGS).await > 0
    );
    stage.remove().await;
}
