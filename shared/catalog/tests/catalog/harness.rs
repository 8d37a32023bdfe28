//! A catalogue in a fresh database for each test. It is dropped at the end of the test, whether
//! this fails or not.

use std::panic::{AssertUnwindSafe, resume_unwind};

use futures_util::FutureExt;
use holdfast_catalog::{AddedItem, Catalog, CatalogError, FoundItem};
use holdfast_domain::{
    Artifact, BackupId, BackupType, Compression, ContentItem, Encoding, Encryption, ItemFailure,
    ItemFailureCode, Job, JobFailure, ObjectKey, Sha256Digest, StorageType, StoredFile,
    StoredObject, Timestamp, Trigger, TriggerKind, Validator, Verified,
};
use mongodb::{Client, Collection, Database};

/// The catalogue under test, and its database for direct access.
pub(crate) struct Fixture {
    pub(crate) catalog: Catalog,
    pub(crate) database: Database,
}

impl Fixture {
    pub(crate) fn collection(&self, name: &str) -> Collection<bson::Document> {
        self.database.collection(name)
    }

    /// Adds items with these content ids, each of a document of its own.
    pub(crate) async fn add(&self, backup: &BackupId, content_ids: &[&str]) -> Vec<AddedItem> {
        let found: Vec<_> = content_ids
            .iter()
            .map(|id| found(id, &format!("doc-{id}")))
            .collect();
        self.catalog.add_items(backup, &found).await.unwrap()
    }

    /// A pending job in the catalogue.
    pub(crate) async fn pending(&self, number: u8) -> BackupId {
        let job = job(BackupType::Database, number);
        self.catalog.insert_pending(&job).await.unwrap();
        job.backup_id
    }
}

/// Runs a test on a catalogue of its own.
pub(crate) async fn on_catalog(test: impl AsyncFnOnce(&Fixture)) {
    let client = Client::with_uri_str(&holdfast_testing::parts().mongodb_uri)
        .await
        .unwrap();
    let database = client.database(&holdfast_testing::unique("catalog"));
    let fixture = Fixture {
        catalog: Catalog::new(database.clone()),
        database,
    };
    let outcome = AssertUnwindSafe(test(&fixture)).catch_unwind().await;
    fixture.database.drop().await.unwrap();
    outcome.unwrap_or_else(|panic| resume_unwind(panic));
}

/// A time with an order by `seconds`.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + seconds).unwrap()
}

/// An id with an order by `number`.
pub(crate) fn id(kind: BackupType, number: u8) -> BackupId {
    BackupId::new(kind, at(i64::from(number)), [0, 0, 0, number])
}

/// A pending job. A larger number is newer.
pub(crate) fn job(kind: BackupType, number: u8) -> Job {
    Job::pending(
        id(kind, number),
        Trigger {
            kind: TriggerKind::Schedule,
            by: None,
        },
        at(i64::from(number)),
    )
}

pub(crate) fn failure(code: holdfast_domain::FailureCode) -> JobFailure {
    JobFailure {
        code,
        message: "it failed".to_owned(),
        hint: None,
    }
}

/// An item as discovery finds it.
pub(crate) fn found(content_id: &str, doc_id: &str) -> FoundItem {
    let item = ContentItem {
        content_id: content_id.to_owned(),
        title: format!("Title of {doc_id}"),
        url: format!("ipfs://bafy/{doc_id}"),
        storage_type: StorageType::Ipfs,
        creator: Some("ada".to_owned()),
        cut: std::collections::BTreeMap::new(),
    };
    FoundItem {
        item,
        doc_id: doc_id.to_owned(),
    }
}

pub(crate) fn artifact(key: ObjectKey) -> Artifact {
    let digest = |byte| Sha256Digest::new([byte; 32]);
    Artifact {
        key,
        size: 5_000_000_000,
        sha256: digest(1),
        segment_bytes: 8_388_608,
        segments: vec![digest(2), digest(3)],
    }
}

/// A file with every optional field, distinct for each `number`.
pub(crate) fn kept(number: u8) -> StoredFile {
    let address = Sha256Digest::new([number; 32]);
    let encryption = Some(Encryption {
        suite: "AES-256-CBC+HMAC-SHA256".to_owned(),
        key_epoch: 3,
    });
    let stored = |key| StoredObject {
        artifact: artifact(key),
        compression: Some(Compression::Gzip),
        encryption: encryption.clone(),
    };
    StoredFile {
        size: 6_000_000_000 + u64::from(number),
        file_sha256: address,
        object: stored(ObjectKey::content_object(
            &address,
            Encoding::GZIP_ENCRYPTED,
        )),
        dag: Some(stored(ObjectKey::content_dag(
            &Sha256Digest::new([u8::MAX - number; 32]),
            Encoding::ENCRYPTED,
        ))),
        cid: Some("bafy/a".to_owned()),
        verified: Verified::Cid,
        served_by: "https://gateway.example".to_owned(),
        validator: Some(Validator {
            etag: Some("\"2023-01-01T00:00:00Z\"".to_owned()),
            last_modified: Some("Tue, 14 Nov 2023 22:13:20 GMT".to_owned()),
        }),
        content_type: Some("image/png".to_owned()),
        content_encoding: None,
        fetched_at: at(i64::from(number)),
    }
}

pub(crate) fn item_failure(code: ItemFailureCode) -> ItemFailure {
    ItemFailure {
        code,
        message: "it failed".to_owned(),
    }
}

pub(crate) fn is_conflict<T: std::fmt::Debug>(outcome: &Result<T, CatalogError>) -> bool {
    matches!(outcome, Err(CatalogError::Conflict { .. }))
}
