//! Lost backups: expected backups, lost backups, and the two ends of a loss.

use bson::doc;
use holdfast_catalog::{CatalogError, Expectation, ExpectedBackup, JobChange};
use holdfast_domain::{
    BackupId, BackupType, DeletionCause, FailureCode, JobDeletion, JobStatus, JobVerification,
    VerificationLevel, VerificationStatus,
};

use crate::harness::{Fixture, at, failure, job, on_catalog};

async fn completed(fixture: &Fixture, number: u8) -> BackupId {
    let job = holdfast_domain::Job {
        status: JobStatus::Completed,
        ..job(BackupType::Database, number)
    };
    assert!(fixture.catalog.add_completed(&job).await.unwrap());
    job.backup_id
}

async fn deleted(
    fixture: &Fixture,
    number: u8,
    code: Option<FailureCode>,
    deletion: Option<JobDeletion>,
) -> BackupId {
    let id = completed(fixture, number).await;
    let change = JobChange {
        error: code.map(failure),
        lost_at: Some(at(9)),
        deletion,
        ..JobChange::default()
    };
    fixture
        .catalog
        .transition(&id, JobStatus::Deleted, change, None)
        .await
        .unwrap();
    id
}

fn accepted() -> JobDeletion {
    JobDeletion {
        cause: DeletionCause::AcceptedLoss,
        decided_at: at(7),
        by: Some("ada".to_owned()),
    }
}

#[tokio::test]
async fn a_backup_is_expected_if_it_is_completed_or_lost() {
    on_catalog(async |fixture| {
        let corrupt = Some(FailureCode::StoreCorrupt);
        let there = completed(fixture, 1).await;
        let lost = deleted(fixture, 2, corrupt, None).await;
        deleted(fixture, 3, corrupt, Some(JobDeletion::by_retention(at(1)))).await;
        deleted(fixture, 4, None, None).await;
        fixture.pending(5).await;
        let given_up = deleted(fixture, 6, corrupt, Some(accepted())).await;
        let expected = fixture
            .catalog
            .expected(BackupType::Database)
            .await
            .unwrap();
        let one = |backup_id: &BackupId, expectation| ExpectedBackup {
            backup_id: backup_id.clone(),
            expectation,
        };
        let (there_one, lost_one) = (
            one(&there, Expectation::Present),
            one(&lost, Expectation::Lost),
        );
        assert_eq!(
            expected,
            [
                there_one,
                lost_one,
                one(&given_up, Expectation::AcceptedLoss)
            ]
        );
        assert_eq!(
            fixture.catalog.expected(BackupType::Content).await.unwrap(),
            []
        );
        let many = doc! { "$set": { "namespaces": [{ "namespace": "a.b", "documents": 1_i64 }] } };
        fixture
            .collection("backup_jobs")
            .update_one(doc! { "_id": lost.as_str() }, many)
            .await
            .unwrap();
        let jobs = fixture.catalog.lost_jobs().await.unwrap();
        assert_eq!(jobs[0].namespaces, None, "a list of jobs leaves them out");
        assert_eq!(
            jobs.iter()
                .map(|job| (&job.backup_id, job.lost_at))
                .collect::<Vec<_>>(),
            [(&lost, Some(at(9)))]
        );
        let standings = fixture
            .catalog
            .standings(&[there.clone(), lost.clone()])
            .await
            .unwrap();
        assert!(
            standings[&lost].as_ref().unwrap().is_lost
                && !standings[&there].as_ref().unwrap().is_lost
        );
    })
    .await;
}

#[tokio::test]
async fn a_completed_job_whose_row_is_broken_is_expected_all_the_same() {
    on_catalog(async |fixture| {
        let id = completed(fixture, 1).await;
        let broken = doc! { "$set": { "createdAt": "yesterday" } };
        fixture
            .collection("backup_jobs")
            .update_one(doc! { "_id": id.as_str() }, broken)
            .await
            .unwrap();
        assert_eq!(
            fixture
                .catalog
                .expected(BackupType::Database)
                .await
                .unwrap()
                .len(),
            1
        );
    })
    .await;
}

#[tokio::test]
async fn a_lost_backup_is_completed_again_although_its_loss_was_accepted() {
    on_catalog(async |fixture| {
        let catalog = &fixture.catalog;
        let corrupt = Some(FailureCode::StoreCorrupt);
        let (back, given_up) = (
            deleted(fixture, 1, corrupt, None).await,
            deleted(fixture, 2, corrupt, None).await,
        );
        let job = catalog
            .reinstate(&catalog.get(&back).await.unwrap())
            .await
            .unwrap();
        assert_eq!(
            (job.status, &job.error, job.lost_at),
            (JobStatus::Completed, &None, None)
        );
        let job = catalog.accept_loss(&given_up, &accepted()).await.unwrap();
        assert_eq!(
            (job.status, job.is_lost(), job.deletion),
            (JobStatus::Deleted, false, Some(accepted()))
        );
        assert!(matches!(
            catalog.accept_loss(&given_up, &accepted()).await,
            Err(CatalogError::Conflict { .. })
        ));
        let job = catalog
            .reinstate(&catalog.get(&given_up).await.unwrap())
            .await
            .unwrap();
        assert_eq!((job.status, job.deletion), (JobStatus::Completed, None));
        assert!(matches!(
            catalog.accept_loss(&back, &accepted()).await,
            Err(CatalogError::Conflict { .. })
        ));
        let damaged = JobDeletion {
            cause: DeletionCause::AcceptedDamage,
            ..accepted()
        };
        let broken = deleted(fixture, 4, corrupt, Some(accepted())).await;
        assert_eq!(
            catalog
                .accept_loss(&broken, &damaged)
                .await
                .unwrap()
                .deletion,
            Some(damaged.clone())
        );
        let job = catalog.get(&broken).await.unwrap();
        assert!(matches!(
            catalog.reinstate(&job).await,
            Err(CatalogError::Conflict { .. })
        ));
        let retained = deleted(fixture, 3, None, Some(JobDeletion::by_retention(at(1)))).await;
        assert!(matches!(
            catalog.accept_loss(&retained, &damaged).await,
            Err(CatalogError::Conflict { .. })
        ));
        assert!(matches!(
            catalog.accept_loss(&retained, &accepted()).await,
            Err(CatalogError::Conflict { .. })
        ));
    })
    .await;
}

#[tokio::test]
async fn only_a_verification_that_passed_is_forgotten_when_a_backup_is_back() {
    on_catalog(async |fixture| {
        for (number, status) in [
            (1, VerificationStatus::Passed),
            (2, VerificationStatus::Failed),
        ] {
            let id = deleted(fixture, number, Some(FailureCode::StoreCorrupt), None).await;
            let newest = JobVerification {
                level: VerificationLevel::Checksum,
                status,
                at: at(3),
            };
            fixture
                .catalog
                .set_verification(&id, newest.clone())
                .await
                .unwrap();
            let job = fixture
                .catalog
                .reinstate(&fixture.catalog.get(&id).await.unwrap())
                .await
                .unwrap();
            let expected = (status == VerificationStatus::Failed).then_some(newest);
            assert_eq!(job.verification, expected);
        }
    })
    .await;
}
