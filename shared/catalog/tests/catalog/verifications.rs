use holdfast_catalog::{CatalogError, VerificationRecord};
use holdfast_domain::{BackupType, JobVerification, VerificationLevel, VerificationStatus};

use crate::harness::{at, id, on_catalog};

fn verification(second: i64) -> JobVerification {
    JobVerification {
        level: VerificationLevel::Checksum,
        status: VerificationStatus::Passed,
        at: at(second),
    }
}

#[tokio::test]
async fn a_job_keeps_its_newest_verification() {
    on_catalog(async |fixture| {
        let id = fixture.pending(1).await;
        for (second, newest) in [(10, 10), (20, 20), (15, 20), (20, 20)] {
            fixture
                .catalog
                .set_verification(&id, verification(second))
                .await
                .unwrap();
            let job = fixture.catalog.get(&id).await.unwrap();
            assert_eq!(job.verification, Some(verification(newest)));
        }
    })
    .await;
}

#[tokio::test]
async fn the_verification_of_an_unknown_job_is_not_found() {
    on_catalog(async |fixture| {
        let outcome = fixture
            .catalog
            .set_verification(&id(BackupType::Database, 1), verification(1))
            .await;
        assert!(
            matches!(outcome, Err(CatalogError::NotFound { .. })),
            "{outcome:?}"
        );
    })
    .await;
}

#[tokio::test]
async fn every_verification_is_kept_and_counted() {
    on_catalog(async |fixture| {
        let id = id(BackupType::Database, 1);
        let record = |second, status, problems| VerificationRecord {
            backup_id: id.clone(),
            level: VerificationLevel::Structure,
            status,
            problems,
            at: at(second),
            repository_problems: Vec::new(),
            notes: Vec::new(),
            bytes_read: 1,
            duration_ms: 1234,
            collections: Vec::new(),
        };
        let passed = record(1, VerificationStatus::Passed, Vec::new());
        let failed = record(
            2,
            VerificationStatus::Failed,
            vec!["a.b: 3 documents, not 4".to_owned()],
        );
        for record in [&passed, &failed, &failed] {
            fixture.catalog.insert_verification(record).await.unwrap();
        }
        assert_eq!(
            fixture.catalog.verifications(&id).await.unwrap(),
            [failed.clone(), failed, passed]
        );
        let counts = fixture.catalog.verification_counts().await.unwrap();
        let counts: Vec<_> = counts
            .iter()
            .map(|count| (count.level, count.status, count.verifications))
            .collect();
        let level = VerificationLevel::Structure;
        assert_eq!(
            counts,
            [
                (level, VerificationStatus::Passed, 1),
                (level, VerificationStatus::Failed, 2)
            ]
        );
    })
    .await;
}
