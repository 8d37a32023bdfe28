//! Real encrypted content backups on the real S3. Retention runs all the time, with a clock that
//! makes every object old.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use futures_util::TryStreamExt as _;
use holdfast_domain::{
    BackupType, ObjectKey, RetentionPolicy, Timestamp, VerificationLevel, VerificationStatus,
};
use holdfast_operations::{
    BackupOutcome, BackupRequest, Holdfast, OperationError, RunLimits, Silent,
    back_up_content_in_process, retain, trigger,
};
use holdfast_recovery::verify;
use holdfast_repository::EncryptionMode;
use holdfast_testing::{FileShape, IpfsNode, TestStore, database_uri, parts, unique};
use jiff::SignedDuration;
use mongodb::bson::{Document, doc};

use crate::support::holdfast::{KEY, holdfast_of, repository_of, settings_of};

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
        let [platform, catalog] = databases.each_ref().map(|name| database_uri(name));
        let settings = settings_of([
            ("MONGODB_URI", platform.as_str()),
            ("BACKUP_CATALOG_URI", &catalog),
            ("BACKUP_IPFS_GATEWAYS", node.address()),
            ("BACKUP_CONTENT_ALLOWED_ORIGINS", node.address()),
            ("BACKUP_CONTENT_ENCRYPTION", "true"),
            ("BACKUP_ENCRYPTION_KEY", KEY),
        ]);
        let repository = repository_of(&settings, store.location(), Arc::clone(&store.store));
        repository
            .init(EncryptionMode::On, Timestamp::now())
            .await
            .unwrap();
        let h = holdfast_of(settings, repository, Arc::new(Silent)).await;
        h.catalog.ensure_indexes().await.unwrap();
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
                    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                }
                Err(error) => panic!("{error}"),
            }
        };
        let request = BackupRequest::Triggered {
            backup_id: job.backup_id,
        };
        let outcome = Box::pin(back_up_content_in_process(
            &self.h,
            request,
            RunLimits::none(),
        ))
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
