//! Lists of unsuccessful jobs.

use holdfast_catalog::JobChange;
use holdfast_domain::{BackupType, Job, JobStatus};

use crate::harness::{at, on_catalog};

#[tokio::test]
async fn unsuccessful_jobs_are_listed_by_state_time_and_page() {
    on_catalog(async |fixture| {
        let mut unsuccessful = Vec::new();
        for (number, to) in (1..).zip([
            JobStatus::Failed,
            JobStatus::Running,
            JobStatus::Cancelled,
            JobStatus::Failed,
        ]) {
            let id = fixture.pending(number).await;
            fixture
                .catalog
                .transition(&id, to, JobChange::default(), None)
                .await
                .unwrap();
            unsuccessful.extend((to != JobStatus::Running).then_some(id));
        }
        let ids = |jobs: Vec<Job>| {
            jobs.into_iter()
                .map(|job| job.backup_id)
                .collect::<Vec<_>>()
        };
        let catalog = &fixture.catalog;
        let mut paged = Vec::new();
        loop {
            let page = catalog
                .unsuccessful_since(BackupType::Database, at(0), paged.last(), 2)
                .await
                .unwrap();
            if page.is_empty() {
                break;
            }
            paged.extend(ids(page));
        }
        assert_eq!(paged, unsuccessful);
        let none = catalog
            .unsuccessful_since(BackupType::Database, at(100_000), None, 2)
            .await
            .unwrap();
        assert_eq!(ids(none), []);
        assert_eq!(
            ids(catalog
                .unsuccessful_among(&unsuccessful[1..])
                .await
                .unwrap()),
            unsuccessful[1..]
        );
        assert_eq!(ids(catalog.unsuccessful_among(&[]).await.unwrap()), []);
    })
    .await;
}

#[tokio::test]
async fn unsuccessful_jobs_are_listed_by_the_time_of_their_end() {
    on_catalog(async |fixture| {
        let mut ended = Vec::new();
        for (number, to, second) in [
            (1, JobStatus::Failed, Some(9)),
            (2, JobStatus::Failed, Some(10)),
            (3, JobStatus::Cancelled, Some(11)),
            (4, JobStatus::Failed, None),
            (5, JobStatus::Running, Some(12)),
        ] {
            let id = fixture.pending(number).await;
            let change = JobChange {
                completed_at: second.map(at),
                ..JobChange::default()
            };
            fixture
                .catalog
                .transition(&id, to, change, None)
                .await
                .unwrap();
            ended.extend((2..=4).contains(&number).then_some(id));
        }
        let listed = fixture
            .catalog
            .unsuccessful_ended_since(BackupType::Database, at(10))
            .await
            .unwrap();
        assert_eq!(
            listed
                .into_iter()
                .map(|job| job.backup_id)
                .collect::<Vec<_>>(),
            ended
        );
        let content = fixture
            .catalog
            .unsuccessful_ended_since(BackupType::Content, at(10))
            .await
            .unwrap();
        assert!(content.is_empty());
    })
    .await;
}
