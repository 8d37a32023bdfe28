use bson::doc;
use holdfast_catalog::{CatalogError, VerificationRecord};
use holdfast_domain::{BackupType, VerificationLevel, VerificationStatus};

use crate::harness::{at, id, job, on_catalog};

#[tokio::test]
async fn every_row_occurs_once_beyond_one_batch_and_a_broken_row_is_reported() {
    on_catalog(async |fixture| {
        assert!(
            fixture
                .catalog
                .all_jobs()
                .await
                .unwrap()
                .next()
                .await
                .unwrap()
                .is_none()
        );
        let rows: Vec<_> = (0..1200)
            .map(|number| doc! { "_id": format!("db_{number}_0a"), "status": "odd" })
            .collect();
        fixture
            .collection("backup_jobs")
            .insert_many(rows)
            .await
            .unwrap();
        // Ids of types foreign to Holdfast. They sort before and after its own.
        let odd = [
            doc! { "_id": 1 },
            doc! { "_id": bson::oid::ObjectId::new() },
        ];
        fixture
            .collection("backup_jobs")
            .insert_many(odd)
            .await
            .unwrap();
        for number in 0..3 {
            fixture
                .catalog
                .insert_pending(&job(BackupType::Content, number))
                .await
                .unwrap();
        }
        let (mut jobs, mut read, mut broken) =
            (fixture.catalog.all_jobs().await.unwrap(), Vec::new(), 0);
        while let Some(job) = jobs.next().await.unwrap() {
            match job {
                Ok(job) => read.push(job.backup_id),
                Err(CatalogError::Corrupt { .. }) => broken += 1,
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(
            read,
            [0, 1, 2].map(|number| id(BackupType::Content, number))
        );
        assert_eq!(broken, 1202);
    })
    .await;
}

#[tokio::test]
async fn verifications_come_in_the_order_of_their_writing() {
    on_catalog(async |fixture| {
        for second in 0..3 {
            let record = VerificationRecord {
                backup_id: id(BackupType::Database, 1),
                level: VerificationLevel::Exists,
                status: VerificationStatus::Passed,
                problems: Vec::new(),
                at: at(second),
                repository_problems: Vec::new(),
                notes: Vec::new(),
                bytes_read: 1,
                duration_ms: 1,
                collections: Vec::new(),
            };
            fixture.catalog.insert_verification(&record).await.unwrap();
        }
        let (mut walk, mut seen) = (
            fixture.catalog.all_verifications().await.unwrap(),
            Vec::new(),
        );
        while let Some(record) = walk.next().await.unwrap() {
            seen.push(record.unwrap().at);
        }
        assert_eq!(seen, [at(0), at(1), at(2)]);
    })
    .await;
}
