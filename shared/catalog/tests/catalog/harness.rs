//! A catalogue in a fresh database for each test, dropped at its end, failed or not.

use std::panic::{AssertUnwindSafe, resume_unwind};

use futures_util::FutureExt;
use holdfast_catalog::{Catalog, CatalogError};
use holdfast_domain::{BackupId, BackupType, Job, JobFailure, Timestamp, Trigger, TriggerKind};
use mongodb::{Client, Collection, Database};

/// The catalogue under test, and its database for looking behind it.
pub(crate) struct Fixture {
    pub(crate) catalog: Catalog,
    pub(crate) database: Database,
}

impl Fixture {
    pub(crate) fn collection(&self, name: &str) -> Collection<bson::Document> {
        self.database.collection(name)
    }

    /// A pending job that is in the catalogue.
    pub(crate) async fn pending(&self, number: u8) -> BackupId {
        let job = job(BackupType::Database, number);
        self.catalog.insert_pending(&job).await.unwrap();
        job.backup_id
    }
}

/// Runs a test on a catalogue of its own.
pub(crate) async fn on_catalog(test: impl AsyncFnOnce(&Fixture)) {
    let client = Client::with_uri_str(&holdfast_testing::parts().mongodb_uri).await.unwrap();
    let database = client.database(&holdfast_testing::unique("catalog"));
    let fixture = Fixture { catalog: Catalog::new(database.clone()), database };
    let outcome = AssertUnwindSafe(test(&fixture)).catch_unwind().await;
    fixture.database.drop().await.unwrap();
    outcome.unwrap_or_else(|panic| resume_unwind(panic));
}

/// A moment that grows with `seconds`.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + seconds).unwrap()
}

/// An id that grows with `number`.
pub(crate) fn id(kind: BackupType, number: u8) -> BackupId {
    BackupId::new(kind, at(i64::from(number)), [0, 0, 0, number])
}

/// A pending job, the newer the larger its number.
pub(crate) fn job(kind: BackupType, number: u8) -> Job {
    Job::pending(id(kind, number), Trigger { kind: TriggerKind::Schedule, by: None }, at(i64::from(number)))
}

pub(crate) fn failure(code: holdfast_domain::FailureCode) -> JobFailure {
    JobFailure { code, message: "it failed".to_owned(), hint: None }
}

pub(crate) fn is_conflict<T: std::fmt::Debug>(outcome: &Result<T, CatalogError>) -> bool {
    matches!(outcome, Err(CatalogError::Conflict { .. }))
}
