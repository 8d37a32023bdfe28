//! A platform with content on IPFS and Gaia, an empty repository, and a catalogue, separate for
//! each test.

pub(crate) mod finalized;

use std::{
    io::{Cursor, Read},
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use holdfast_codec::{ArtifactDigest, ArtifactPlace, DecryptReader, GunzipReader, SegmentReader};
use holdfast_domain::{
    BackupId, BackupType, DownloadMessage, ItemRecord, ItemStatus, Job, StoredFile, StoredObject,
    Timestamp, settings::Settings,
};
use holdfast_operations::{
    BackupRequest, DiscoveryOutcome, DownloadOutcome, DownloadQueue, Downloader, FinalizeOutcome,
    Holdfast, QueueError, RefusedMessage, RunLimits, discover_content, download_item,
    finalize_content, finalize_if_settled, trigger,
};
use holdfast_storage::{Store, read_all};
use holdfast_testing::{FileShape, IpfsNode, TestStore, database_uri, parts, unique};
use mongodb::bson::{Document, doc};

use crate::support::holdfast::{RecordedStates, holdfast_of, repository_of, settings_of};

/// A queue that keeps its messages until a test takes them.
#[derive(Default)]
pub(crate) struct Kept(Mutex<Vec<DownloadMessage>>);

#[async_trait]
impl DownloadQueue for Kept {
    async fn send(&self, messages: &[DownloadMessage]) -> Result<Vec<RefusedMessage>, QueueError> {
        self.0.lock().unwrap().extend_from_slice(messages);
        Ok(Vec::new())
    }
}

impl Kept {
    pub(crate) fn take(&self) -> Vec<DownloadMessage> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

pub(crate) struct Fixture {
    pub(crate) holdfast: Holdfast,
    pub(crate) downloader: Downloader,
    pub(crate) store: TestStore,
    pub(crate) recorded: Arc<RecordedStates>,
    pub(crate) queue: Kept,
    /// An own one: gateway and Gaia origin, both allowed by the settings.
    pub(crate) node: IpfsNode,
    pub(crate) client: mongodb::Client,
    pub(crate) database: String,
    pub(crate) catalog_database: String,
}

impl Fixture {
    /// With these settings in addition to the defaults.
    pub(crate) async fn new(settings: &[(&str, &str)]) -> Self {
        Self::with_store(settings, TestStore::new().await).await
    }

    pub(crate) async fn with_store(settings: &[(&str, &str)], store: TestStore) -> Self {
        let (database, catalog_database) = (unique("platform"), unique("catalog"));
        let node = IpfsNode::start();
        let (platform, catalog) = (database_uri(&database), database_uri(&catalog_database));
        let defaults = [
            ("MONGODB_URI", platform.as_str()),
            ("BACKUP_CATALOG_URI", &catalog),
            ("BACKUP_IPFS_GATEWAYS", node.address()),
            ("BACKUP_CONTENT_ALLOWED_ORIGINS", node.address()),
            ("MONGODUMP", "/nowhere/bin/mongodump"),
        ];
        let settings = settings_of(defaults.into_iter().chain(settings.iter().copied()));
        let repository = repository_of(&settings, store.location(), Arc::clone(&store.store));
        let recorded = Arc::new(RecordedStates::default());
        let holdfast = holdfast_of(settings, repository, recorded.clone()).await;
        holdfast.catalog.ensure_indexes().await.unwrap();
        Self {
            downloader: Downloader::new(&holdfast.settings).unwrap(),
            holdfast,
            store,
            recorded,
            queue: Kept::default(),
            node,
            client: mongodb::Client::with_uri_str(&parts().mongodb_uri)
                .await
                .unwrap(),
            database,
            catalog_database,
        }
    }

    /// The same, over another store: the same bucket with faults in between.
    pub(crate) fn over(&self, store: Arc<dyn Store>) -> Holdfast {
        Holdfast {
            repository: repository_of(&self.holdfast.settings, self.store.location(), store),
            ..self.holdfast.clone()
        }
    }

    /// The same, with other settings: encryption, another limit.
    pub(crate) fn with(&self, change: impl FnOnce(&mut Settings)) -> Holdfast {
        let mut settings = (*self.holdfast.settings).clone();
        change(&mut settings);
        Holdfast {
            repository: repository_of(
                &settings,
                self.store.location(),
                Arc::clone(&self.store.store),
            ),
            settings: Arc::new(settings),
            ..self.holdfast.clone()
        }
    }

    /// The message of an item.
    pub(crate) fn message(id: &BackupId, content_id: &str) -> DownloadMessage {
        DownloadMessage {
            backup_id: id.clone(),
            content_id: content_id.to_owned(),
        }
    }

    /// Changes the settings from now on.
    pub(crate) fn set(&mut self, change: impl FnOnce(&mut Settings)) {
        self.holdfast = self.with(change);
        self.downloader = Downloader::new(&self.holdfast.settings).unwrap();
    }

    // The platform's items
    // -----------------------------------------------------------------------------------------

    pub(crate) async fn insert(&self, items: impl IntoIterator<Item = Document>) {
        self.client
            .database(&self.database)
            .collection("contents")
            .insert_many(items)
            .await
            .unwrap();
    }

    /// An item with a file on IPFS, under a CID of version 1 with raw leaves. Returns the CID.
    pub(crate) async fn add_ipfs(&self, content_id: i64, file: impl AsRef<[u8]>) -> String {
        let cid = self
            .node
            .add(file.as_ref().to_vec(), &FileShape::v1())
            .await;
        self.insert([item(content_id, "ipfs", &format!("ipfs://{cid}"))])
            .await;
        cid
    }

    /// An item with a file on the Gaia origin. Returns its URL.
    pub(crate) async fn add_gaia(&self, content_id: i64, file: impl AsRef<[u8]>) -> String {
        let url = self
            .node
            .put_gaia(&format!("{content_id}.bin"), file.as_ref().to_vec())
            .await;
        self.insert([item(content_id, "gaia", &url)]).await;
        url
    }

    /// This many items with ids from 1 on, each with a small file of its own: the even ones on
    /// Gaia, the odd ones on IPFS.
    pub(crate) async fn fill(&self, count: i64) {
        let files: Vec<Vec<u8>> = (1..=count).map(file_of).collect();
        let cids = self.node.add_many(&files, &FileShape::v1()).await;
        let mut items = Vec::new();
        for ((content_id, file), cid) in (1..=count).zip(files).zip(cids) {
            items.push(if content_id % 2 == 0 {
                let url = self.node.put_gaia(&format!("{content_id}.txt"), file).await;
                item(content_id, "gaia", &url)
            } else {
                item(content_id, "ipfs", &format!("ipfs://{cid}"))
            });
        }
        self.insert(items).await;
    }

    // Runs ----------------------------------------------------------------------------------------

    pub(crate) async fn trigger(&self) -> BackupId {
        trigger(
            &self.holdfast,
            BackupType::Content,
            Some("ada".to_owned()),
            Timestamp::now(),
        )
        .await
        .unwrap()
        .backup_id
    }

    pub(crate) async fn discover(&self, backup_id: &BackupId) -> DiscoveryOutcome {
        let request = BackupRequest::Triggered {
            backup_id: backup_id.clone(),
        };
        discover_content(&self.holdfast, &self.queue, request, RunLimits::none())
            .await
            .unwrap()
    }

    pub(crate) async fn download(&self, message: &DownloadMessage) -> DownloadOutcome {
        download_item(&self.holdfast, &self.downloader, message, RunLimits::none())
            .await
            .unwrap()
    }

    /// Handles all messages of the queue, including retries without their waits.
    pub(crate) async fn download_all(&self) {
        loop {
            let messages = self.queue.take();
            if messages.is_empty() {
                return;
            }
            for message in messages {
                if let DownloadOutcome::Retry { .. } = self.download(&message).await {
                    self.queue.send(&[message]).await.unwrap();
                }
            }
        }
    }

    /// Triggers a backup and brings it to the state `finalizing`.
    pub(crate) async fn up_to_finalize(&self) -> BackupId {
        let id = self.trigger().await;
        match self.discover(&id).await {
            DiscoveryOutcome::Finalize { .. } => {}
            DiscoveryOutcome::Queued { .. } => {
                self.download_all().await;
                assert!(
                    finalize_if_settled(&self.holdfast, &id, Timestamp::now())
                        .await
                        .unwrap()
                );
            }
            other => panic!("expected a discovery, got {other:?}"),
        }
        id
    }

    /// Finalizes a backup.
    pub(crate) async fn finish(&self, id: &BackupId) -> Job {
        loop {
            match finalize_content(&self.holdfast, id, RunLimits::none())
                .await
                .unwrap()
            {
                FinalizeOutcome::Completed(job) | FinalizeOutcome::Failed(job) => return *job,
                FinalizeOutcome::Continue { .. } => {}
                other @ FinalizeOutcome::Skipped { .. } => {
                    panic!("expected a finalized backup, got {other:?}")
                }
            }
        }
    }

    // Results -------------------------------------------------------------------------------------

    pub(crate) async fn job(&self, id: &BackupId) -> Job {
        self.holdfast.catalog.get(id).await.unwrap()
    }

    pub(crate) async fn items(&self, id: &BackupId) -> Vec<ItemRecord> {
        self.holdfast
            .catalog
            .items_after(id, None, 100_000)
            .await
            .unwrap()
    }

    pub(crate) async fn item(&self, id: &BackupId, content_id: &str) -> ItemRecord {
        self.holdfast
            .catalog
            .get_item(id, content_id)
            .await
            .unwrap()
            .unwrap()
    }

    /// Content ids of the items in this state.
    pub(crate) async fn by_status(&self, id: &BackupId, status: ItemStatus) -> Vec<String> {
        let items = self
            .items(id)
            .await
            .into_iter()
            .filter(|record| record.status == status);
        items.map(|record| record.item.content_id).collect()
    }

    /// The bytes of a held file: authenticated, decrypted, unzipped.
    pub(crate) async fn content_of(&self, file: &StoredFile) -> Vec<u8> {
        self.read(&file.object).await
    }

    pub(crate) async fn read(&self, object: &StoredObject) -> Vec<u8> {
        let StoredObject {
            artifact,
            compression,
            encryption,
        } = object;
        let stored = read_all(self.store.store.as_ref(), &artifact.key, 1 << 30)
            .await
            .unwrap();
        let (size_bytes, sha256, segments) =
            (artifact.size, artifact.sha256, artifact.segments.clone());
        let digest = ArtifactDigest {
            size_bytes,
            sha256,
            segments,
        };
        let checked: Box<dyn Read> = match encryption {
            None => Box::new(SegmentReader::new(Cursor::new(stored), digest).unwrap()),
            Some(encryption) => {
                let master = self
                    .holdfast
                    .repository
                    .master_key(encryption.key_epoch)
                    .await
                    .unwrap();
                let repository = self.holdfast.repository.open().await.unwrap().id;
                let (key_epoch, object_key) = (encryption.key_epoch, artifact.key.clone());
                let place = ArtifactPlace {
                    repository,
                    key_epoch,
                    object_key,
                };
                Box::new(DecryptReader::open(Cursor::new(stored), &master, &place, digest).unwrap())
            }
        };
        let mut content = Vec::new();
        match compression {
            None => std::io::BufReader::new(checked)
                .read_to_end(&mut content)
                .unwrap(),
            Some(_) => GunzipReader::new(checked)
                .read_to_end(&mut content)
                .unwrap(),
        };
        content
    }

    /// Asserts that no upload is left, neither finished nor begun. It waits a moment for work in
    /// the background.
    pub(crate) async fn assert_nothing_on_its_way(&self) {
        for _ in 0..100 {
            if self.store.unfinished_uploads().await == 0
                && self.keys_under("content/incoming/").await.is_empty()
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!(
            "left: {} uploads, {:?}",
            self.store.unfinished_uploads().await,
            self.keys_under("content/").await
        );
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

    pub(crate) async fn keys_under(&self, folder: &str) -> Vec<String> {
        self.keys()
            .await
            .into_iter()
            .filter(|key| key.starts_with(folder))
            .collect()
    }

    // Rows of old and killed runs
    // ----------------------------------------------------------------------------------

    /// A collection of the catalogue.
    pub(crate) fn rows(&self, collection: &str) -> mongodb::Collection<Document> {
        self.client
            .database(&self.catalog_database)
            .collection(collection)
    }

    /// Makes the content lease look as if it had last been touched this long ago.
    pub(crate) async fn age_lease(&self, age: Duration) {
        let then = mongodb::bson::DateTime::from_millis(
            Timestamp::now().as_millisecond() - i64::try_from(age.as_millis()).unwrap(),
        );
        let update = doc! { "$set": { "beatAt": then } };
        self.rows("backup_leases")
            .update_one(doc! { "_id": "content" }, update)
            .await
            .unwrap();
    }

    /// Puts a job's row back to an earlier state, as if its run had been killed there.
    pub(crate) async fn rewind(&self, id: &BackupId, status: &str) {
        let update = doc! { "$set": { "status": status } };
        self.rows("backup_jobs")
            .update_one(doc! { "_id": id.as_str() }, update)
            .await
            .unwrap();
    }

    pub(crate) async fn leases(&self) -> u64 {
        self.rows("backup_leases")
            .count_documents(doc! {})
            .await
            .unwrap()
    }

    pub(crate) async fn remove(self) {
        for name in [&self.database, &self.catalog_database] {
            self.client.database(name).drop().await.unwrap();
        }
        self.store.remove().await;
    }
}

/// The file of an item of [`Fixture::fill`].
pub(crate) fn file_of(content_id: i64) -> Vec<u8> {
    format!("the file of item {content_id}; ")
        .repeat(20)
        .into_bytes()
}

/// An incompressible file.
pub(crate) fn noise(bytes: usize) -> Vec<u8> {
    let mut file = vec![0; bytes];
    getrandom::fill(&mut file).unwrap();
    file
}

/// A content item as the platform has it.
pub(crate) fn item(content_id: i64, storage_type: &str, url: &str) -> Document {
    doc! {
        "contentId": content_id, "title": format!("Item {content_id}"), "description": "x", "url": url,
        "storageType": storage_type, "creator": "ada", "price": 1, "isRemoved": false,
    }
}
