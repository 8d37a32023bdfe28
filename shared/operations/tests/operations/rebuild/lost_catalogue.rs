//! A platform with backups and a dropped catalogue, and its rows before and after.

use std::collections::BTreeMap;

use holdfast_domain::{BackupId, Job, JobStatus, Timestamp};
use holdfast_operations::{
    BackupOutcome, BackupRequest, DiscoveryOutcome, FullTrigger, RebuildReport, RunLimits,
    back_up_database, finalize_if_settled, plan_rebuild, rebuild_catalog, trigger_full,
};
use mongodb::bson::{Document, doc};

use crate::support::content::Fixture;

/// The rows of a catalogue, by collection and `_id`.
pub(crate) type Rows = BTreeMap<(&'static str, String), Document>;

/// Fields of a row unknown to every store.
const UNKNOWN: [&str; 5] = ["docId", "sentAt", "attemptedAt", "settledAt", "updatedAt"];

impl Fixture {
    /// A database backup.
    pub(crate) async fn back_up_the_database(&self, backup_id: &BackupId) -> Job {
        let request = BackupRequest::Triggered {
            backup_id: backup_id.clone(),
        };
        match back_up_database(&self.holdfast, request, RunLimits::none())
            .await
            .unwrap()
        {
            BackupOutcome::Completed(job) => *job,
            other => panic!("expected a backup, got {other:?}"),
        }
    }

    /// A full backup: parent, database, content.
    pub(crate) async fn back_up_both(&self) -> [BackupId; 3] {
        let FullTrigger { job, children, .. } =
            trigger_full(&self.holdfast, Some("ada".to_owned()), Timestamp::now())
                .await
                .unwrap();
        let [database, content] = children.try_into().unwrap();
        self.back_up_the_database(&database.backup_id).await;
        if let DiscoveryOutcome::Queued { .. } = self.discover(&content.backup_id).await {
            self.download_all().await;
            assert!(
                finalize_if_settled(&self.holdfast, &content.backup_id, Timestamp::now())
                    .await
                    .unwrap()
            );
        }
        self.finish(&content.backup_id).await;
        assert_eq!(self.job(&job.backup_id).await.status, JobStatus::Completed);
        [job.backup_id, database.backup_id, content.backup_id]
    }

    /// Drops the catalogue.
    pub(crate) async fn lose_the_catalogue(&self) {
        self.client
            .database(&self.catalog_database)
            .drop()
            .await
            .unwrap();
    }

    pub(crate) async fn rebuild(&self) -> RebuildReport {
        rebuild_catalog(&self.holdfast, &|_| {}).await.unwrap()
    }

    pub(crate) async fn plan(&self) -> RebuildReport {
        plan_rebuild(&self.holdfast, &|_| {}).await.unwrap()
    }

    /// The rows of jobs, items and sources, without fields unknown to every store.
    pub(crate) async fn all_rows(&self) -> Rows {
        let mut rows = Rows::new();
        for collection in ["backup_jobs", "backup_items", "content_objects"] {
            let mut found = self.rows(collection).find(doc! {}).await.unwrap();
            while found.advance().await.unwrap() {
                let mut row = found.deserialize_current().unwrap();
                for field in UNKNOWN {
                    row.remove(field);
                }
                rows.insert(
                    (collection, row.get_str("_id").unwrap().to_owned()),
                    sorted(row),
                );
            }
        }
        rows
    }
}

/// The order of fields is irrelevant.
fn sorted(row: Document) -> Document {
    let fields: BTreeMap<_, _> = row.into_iter().collect();
    fields.into_iter().collect()
}

/// The ids of the added backups.
pub(crate) fn added(report: &RebuildReport) -> Vec<&BackupId> {
    report.added.iter().map(|added| &added.backup_id).collect()
}
