use std::time::Duration;

use bson::doc;
use holdfast_catalog::{BackupSize, JobChange, Outcomes, SourceAddress, StoredObjects};
use holdfast_domain::{
    BackupId,
    BackupType::{self, Content, Database},
    FailureCode, JobStatus, Sha256Digest, StorageType,
};

use crate::harness::{Fixture, at, failure, job, kept, on_catalog};

/// A job triggered at second `number`, and completed with this size.
async fn completed(fixture: &Fixture, kind: BackupType, number: u8, size: u64) -> BackupId {
    let job = job(kind, number);
    fixture.catalog.insert_pending(&job).await.unwrap();
    let change = JobChange {
        size: Some(size),
        original_size: Some(2 * size),
        duration_ms: Some(u64::from(number)),
        ..JobChange::default()
    };
    for status in [JobStatus::Running, JobStatus::Committing] {
        fixture
            .catalog
            .transition(&job.backup_id, status, JobChange::default(), None)
            .await
            .unwrap();
    }
    fixture
        .catalog
        .transition(&job.backup_id, JobStatus::Completed, change, None)
        .await
        .unwrap();
    job.backup_id
}

async fn ended(fixture: &Fixture, number: u8, status: JobStatus) -> BackupId {
    let id = fixture.pending(number).await;
    let change = JobChange {
        error: Some(failure(FailureCode::Stalled)),
        ..JobChange::default()
    };
    fixture
        .catalog
        .transition(&id, status, change, None)
        .await
        .unwrap();
    id
}

async fn deleted(fixture: &Fixture, id: &BackupId) {
    fixture
        .catalog
        .transition(id, JobStatus::Deleted, JobChange::default(), None)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_backup_that_was_deleted_had_been_a_success_and_a_failed_job_never_is() {
    on_catalog(async |fixture| {
        assert_eq!(fixture.catalog.outcomes(at(0)).await.unwrap(), []);
        completed(fixture, Database, 1, 10).await;
        deleted(fixture, &completed(fixture, Database, 2, 10).await).await;
        ended(fixture, 3, JobStatus::Failed).await;
        ended(fixture, 4, JobStatus::Cancelled).await;
        deleted(fixture, &ended(fixture, 5, JobStatus::Failed).await).await;
        fixture.pending(6).await;
        completed(fixture, Content, 7, 10).await;
        let outcome = |backup_type, completed, failed| Outcomes {
            backup_type,
            completed,
            failed,
        };
        let all = fixture.catalog.outcomes(at(0)).await.unwrap();
        assert_eq!(all, [outcome(Database, 2, 1), outcome(Content, 1, 0)]);
        let late = fixture.catalog.outcomes(at(3)).await.unwrap();
        assert_eq!(late, [outcome(Database, 0, 1), outcome(Content, 1, 0)]);
    })
    .await;
}

#[tokio::test]
async fn durations_are_those_of_completed_backups_of_the_time_the_newest_first() {
    on_catalog(async |fixture| {
        for number in [3, 1, 2] {
            completed(fixture, Database, number, 10).await;
        }
        completed(fixture, Content, 4, 10).await;
        ended(fixture, 5, JobStatus::Failed).await;
        assert_eq!(
            fixture
                .catalog
                .durations_ms(Database, at(2), 10)
                .await
                .unwrap(),
            [3, 2]
        );
        assert_eq!(
            fixture
                .catalog
                .durations_ms(Database, at(0), 1)
                .await
                .unwrap(),
            [3]
        );
    })
    .await;
}

#[tokio::test]
async fn sizes_outlive_their_backups() {
    on_catalog(async |fixture| {
        let old = completed(fixture, Database, 1, 10).await;
        deleted(fixture, &old).await;
        let new = completed(fixture, Database, 2, 20).await;
        ended(fixture, 3, JobStatus::Failed).await;
        let size = |backup_id, second, size| BackupSize {
            backup_id,
            created_at: at(second),
            size,
            original_size: 2 * size,
        };
        let found = fixture.catalog.sizes(Database, 10).await.unwrap();
        assert_eq!(found, [size(new.clone(), 2, 20), size(old, 1, 10)]);
        assert_eq!(
            fixture.catalog.sizes(Database, 1).await.unwrap(),
            [size(new, 2, 20)]
        );
        assert_eq!(fixture.catalog.sizes(Content, 10).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn an_object_that_many_sources_share_is_counted_once() {
    on_catalog(async |fixture| {
        assert_eq!(
            fixture
                .catalog
                .stored_objects(Duration::from_secs(20))
                .await
                .unwrap(),
            StoredObjects::default()
        );
        for (locator, number) in [("a", 1), ("b", 1), ("c", 2)] {
            let address = Sha256Digest::new([number; 32]);
            let source = SourceAddress {
                storage_type: StorageType::Ipfs,
                locator,
                address: &address,
            };
            fixture
                .catalog
                .record_stored_file(&source, &kept(number), at(1))
                .await
                .unwrap();
        }
        let mut plain = kept(3);
        plain.dag = None;
        let address = Sha256Digest::new([3; 32]);
        let source = SourceAddress {
            storage_type: StorageType::Gaia,
            locator: "d",
            address: &address,
        };
        fixture
            .catalog
            .record_stored_file(&source, &plain, at(1))
            .await
            .unwrap();
        // Three files, two records of blocks.
        let held = fixture
            .catalog
            .stored_objects(Duration::from_secs(20))
            .await
            .unwrap();
        assert_eq!(
            held,
            StoredObjects {
                objects: 5,
                bytes: 5 * 5_000_000_000
            }
        );
    })
    .await;
}

#[tokio::test]
async fn a_broken_row_hides_no_other_row() {
    on_catalog(async |fixture| {
        completed(fixture, Database, 1, 10).await;
        let broken = completed(fixture, Database, 2, 20).await;
        let set = doc! { "$set": { "size": "large", "durationMs": "long" } };
        fixture
            .collection("backup_jobs")
            .update_one(doc! { "_id": broken.as_str() }, set)
            .await
            .unwrap();
        assert_eq!(fixture.catalog.sizes(Database, 10).await.unwrap().len(), 1);
        assert_eq!(
            fixture
                .catalog
                .durations_ms(Database, at(0), 10)
                .await
                .unwrap(),
            [1]
        );
    })
    .await;
}
