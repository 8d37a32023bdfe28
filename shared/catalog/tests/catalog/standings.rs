use bson::doc;
use holdfast_catalog::{CatalogError, JobChange, JobStanding, VerificationRecord};
use holdfast_domain::{
    BackupId, BackupType, JobStatus, JobVerification,
    VerificationLevel::{self, Checksum, Exists, Structure},
    VerificationStatus::{self, Failed, Passed},
};

use crate::harness::{Fixture, at, id, on_catalog};

async fn verified(
    fixture: &Fixture,
    id: &BackupId,
    second: i64,
    level: VerificationLevel,
    status: VerificationStatus,
) {
    let (problems, at) = (Vec::new(), at(second));
    let record = VerificationRecord {
        backup_id: id.clone(),
        level,
        status,
        problems,
        at,
        repository_problems: Vec::new(),
        notes: Vec::new(),
        bytes_read: 1,
        duration_ms: 1,
        collections: Vec::new(),
    };
    fixture.catalog.insert_verification(&record).await.unwrap();
}

async fn has_failed(fixture: &Fixture, id: &BackupId) -> bool {
    let standings = fixture
        .catalog
        .standings(std::slice::from_ref(id))
        .await
        .unwrap();
    standings[id].as_ref().unwrap().verification_failed
}

#[tokio::test]
async fn known_standings_are_returned_and_unknown_ones_are_missing() {
    on_catalog(async |fixture| {
        let (known, unknown) = (fixture.pending(1).await, id(BackupType::Database, 2));
        fixture
            .catalog
            .transition(&known, JobStatus::Failed, JobChange::default(), None)
            .await
            .unwrap();
        let standings = fixture
            .catalog
            .standings(&[known.clone(), unknown])
            .await
            .unwrap();
        let expected = JobStanding {
            status: JobStatus::Failed,
            error: None,
            is_lost: false,
            is_accepted_loss: false,
            verification_failed: false,
            is_empty: false,
        };
        assert_eq!(
            standings.into_iter().collect::<Vec<_>>(),
            [(known, Ok(expected))]
        );
    })
    .await;
}

#[tokio::test]
async fn a_job_that_cannot_be_read_is_not_taken_for_a_missing_one() {
    on_catalog(async |fixture| {
        let id = fixture.pending(1).await;
        let broken = doc! { "$set": { "status": "resting" } };
        fixture
            .collection("backup_jobs")
            .update_one(doc! { "_id": id.as_str() }, broken)
            .await
            .unwrap();
        let standings = fixture
            .catalog
            .standings(std::slice::from_ref(&id))
            .await
            .unwrap();
        assert!(
            matches!(standings[&id], Err(CatalogError::Corrupt { .. })),
            "{standings:?}"
        );
    })
    .await;
}

#[tokio::test]
async fn a_failure_is_mended_only_by_what_went_as_deep() {
    on_catalog(async |fixture| {
        let id = fixture.pending(1).await;
        for (second, level, status, failed) in [
            (1, Checksum, Passed, false),
            (2, Checksum, Failed, true),
            (3, Exists, Passed, true),
            (4, Structure, Passed, false),
            (5, Exists, Failed, true),
            (6, Structure, Failed, true),
            (7, Checksum, Passed, true),
            (8, Structure, Passed, false),
        ] {
            verified(fixture, &id, second, level, status).await;
            assert_eq!(has_failed(fixture, &id).await, failed, "at {second}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_job_speaks_for_verifications_whose_rows_are_gone() {
    on_catalog(async |fixture| {
        let id = fixture.pending(1).await;
        let failed = JobVerification {
            level: Exists,
            status: Failed,
            at: at(1),
        };
        fixture.catalog.set_verification(&id, failed).await.unwrap();
        assert!(has_failed(fixture, &id).await);
    })
    .await;
}

#[tokio::test]
async fn every_backup_with_items_is_found() {
    on_catalog(async |fixture| {
        assert!(
            fixture
                .catalog
                .backups_with_items()
                .await
                .unwrap()
                .is_empty()
        );
        let backups = [3, 1, 2].map(|number| id(BackupType::Content, number));
        for backup in &backups {
            fixture.add(backup, &["a", "b", "~", "/"]).await;
        }
        let mut expected = backups.to_vec();
        expected.sort();
        assert_eq!(
            fixture.catalog.backups_with_items().await.unwrap(),
            expected
        );
    })
    .await;
}
