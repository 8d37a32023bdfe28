use bson::doc;
use holdfast_catalog::{CatalogError, JobChange};
use holdfast_domain::{
    BackupType, Consistency, Encoding, EngineInfo, FailureCode, ItemCounts, Job, JobDeletion,
    JobStatus, NamespaceCount, ObjectKey, Progress, Sha256Digest,
};
use proptest::{
    prelude::*,
    sample::select,
    test_runner::{Config, TestRunner},
};

use crate::harness::{Fixture, at, failure, id, is_conflict, job, on_catalog};

#[tokio::test]
async fn a_change_is_legal_exactly_where_the_table_says_so() {
    on_catalog(async |fixture| {
        let jobs = fixture.collection("backup_jobs");
        let id = fixture.pending(1).await;
        for from in JobStatus::ALL {
            for to in JobStatus::ALL {
                let stand = doc! { "$set": { "status": from.as_str(), "error": { "code": "stalled", "message": "" } } };
                jobs.update_one(doc! { "_id": id.as_str() }, stand).await.unwrap();
                let outcome = fixture.catalog.transition(&id, to, JobChange::default(), None).await;
                if to.may_come_from().contains(&from) {
                    assert_eq!(outcome.unwrap().status, to, "{from} to {to}");
                } else {
                    let id = id.to_string();
                    assert_eq!(outcome.unwrap_err(), CatalogError::Conflict { id, to, status: from, fence: 0 });
                }
            }
        }
    })
    .await;
}

/// The expected job after each of these changes.
fn model(
    status: JobStatus,
    fence: u64,
    to: JobStatus,
    guard: Option<u64>,
    new: Option<u64>,
) -> Option<(JobStatus, u64)> {
    let legal = to.may_come_from().contains(&status);
    let fenced = guard.is_none_or(|guard| guard == fence) && new.is_none_or(|new| fence < new);
    (legal && fenced).then(|| (to, new.unwrap_or(fence)))
}

type Step = (JobStatus, Option<u64>, Option<u64>);

async fn follows_the_model(fixture: &Fixture, steps: Vec<Step>) {
    fixture
        .collection("backup_jobs")
        .delete_many(doc! {})
        .await
        .unwrap();
    let id = fixture.pending(1).await;
    let (mut status, mut fence) = (JobStatus::Pending, 0);
    for (to, guard, new) in steps {
        let change = JobChange {
            fence: new,
            ..JobChange::default()
        };
        let outcome = fixture.catalog.transition(&id, to, change, guard).await;
        match model(status, fence, to, guard, new) {
            Some(expected) => {
                let job = outcome.unwrap();
                assert_eq!((job.status, job.fence), expected);
                (status, fence) = expected;
            }
            None => assert!(
                is_conflict(&outcome),
                "{status} {fence} to {to} {guard:?} {new:?}: {outcome:?}"
            ),
        }
        let stored = fixture.catalog.get(&id).await.unwrap();
        assert_eq!((stored.status, stored.fence), (status, fence));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_sequence_of_changes_follows_the_model() {
    on_catalog(async |fixture| {
        let step = (
            select(&JobStatus::ALL[..]),
            prop::option::of(0_u64..3),
            prop::option::of(0_u64..4),
        );
        let mut runner = TestRunner::new(Config {
            cases: 40,
            failure_persistence: None,
            ..Config::default()
        });
        let runtime = tokio::runtime::Handle::current();
        let law = runner.run(&prop::collection::vec(step, 1..12), |steps| {
            tokio::task::block_in_place(|| runtime.block_on(follows_the_model(fixture, steps)));
            Ok(())
        });
        law.unwrap();
    })
    .await;
}

#[tokio::test]
async fn an_unknown_job_is_not_found() {
    on_catalog(async |fixture| {
        let id = id(BackupType::Database, 9);
        let outcome = fixture
            .catalog
            .transition(&id, JobStatus::Running, JobChange::default(), None)
            .await;
        assert_eq!(outcome, Err(CatalogError::NotFound { id: id.to_string() }));
    })
    .await;
}

fn everything() -> JobChange {
    JobChange {
        fence: Some(1),
        engine: Some(EngineInfo {
            name: "native".to_owned(),
            version: "1".to_owned(),
        }),
        consistency: Some(Consistency::PerCollection),
        started_at: Some(at(1)),
        completed_at: Some(at(2)),
        duration_ms: Some(3),
        original_size: Some(4),
        size: Some(5),
        compressed: Some(true),
        encrypted: Some(true),
        checksum: Some(Sha256Digest::new([6; 32])),
        key: Some(ObjectKey::database_dump(
            &id(BackupType::Database, 1),
            1,
            Encoding::GZIP_ENCRYPTED,
        )),
        namespaces: Some(vec![NamespaceCount {
            namespace: "a.b".to_owned(),
            documents: 7,
        }]),
        namespace_count: Some(17),
        document_count: Some(18),
        last_write_at: Some(at(19)),
        lag_seconds: Some(20),
        items: Some(ItemCounts {
            expected: 11,
            done: 12,
            unchanged: 13,
            failed: 14,
            bytes: 15,
            per_minute: Some(16),
        }),
        progress: Some(Progress {
            bytes_read: 8,
            bytes_expected: 9,
            bytes_stored: 10,
        }),
        error: Some(failure(FailureCode::Deadline)),
        lost_at: Some(at(17)),
        deletion: Some(JobDeletion::by_retention(at(18))),
        message: Some("so".to_owned()),
        warnings: Some(vec!["look".to_owned()]),
    }
}

#[tokio::test]
async fn every_field_of_a_change_is_written_and_none_is_lost_by_the_next() {
    on_catalog(async |fixture| {
        let id = fixture.pending(1).await;
        let change = everything();
        let expected = Job {
            status: JobStatus::Running,
            fence: 1,
            engine: change.engine.clone(),
            consistency: change.consistency,
            started_at: change.started_at,
            completed_at: change.completed_at,
            duration_ms: change.duration_ms,
            original_size: change.original_size,
            size: change.size,
            compressed: true,
            encrypted: true,
            checksum: change.checksum,
            key: change.key.clone(),
            namespaces: change.namespaces.clone(),
            namespace_count: change.namespace_count,
            document_count: change.document_count,
            last_write_at: change.last_write_at,
            lag_seconds: change.lag_seconds,
            items: change.items,
            progress: change.progress,
            error: change.error.clone(),
            lost_at: change.lost_at,
            deletion: change.deletion.clone(),
            message: change.message.clone(),
            warnings: change.warnings.clone().unwrap_or_default(),
            ..job(BackupType::Database, 1)
        };
        let changed = fixture
            .catalog
            .transition(&id, JobStatus::Running, change, Some(0))
            .await
            .unwrap();
        assert_eq!(changed, expected);
        let committing = fixture
            .catalog
            .transition(&id, JobStatus::Committing, JobChange::default(), Some(1))
            .await
            .unwrap();
        assert_eq!(
            committing,
            Job {
                status: JobStatus::Committing,
                ..expected
            }
        );
    })
    .await;
}

#[tokio::test]
async fn the_first_start_is_kept() {
    on_catalog(async |fixture| {
        let id = fixture.pending(1).await;
        for (fence, second) in [(1, 10), (2, 20)] {
            let change = JobChange {
                fence: Some(fence),
                started_at: Some(at(second)),
                ..JobChange::default()
            };
            let job = fixture
                .catalog
                .transition(&id, JobStatus::Running, change, None)
                .await
                .unwrap();
            assert_eq!((job.started_at, job.fence), (Some(at(10)), fence));
        }
    })
    .await;
}

#[tokio::test]
async fn a_fencing_number_is_used_once() {
    on_catalog(async |fixture| {
        let id = fixture.pending(1).await;
        let take = || JobChange {
            fence: Some(1),
            ..JobChange::default()
        };
        fixture
            .catalog
            .transition(&id, JobStatus::Running, take(), None)
            .await
            .unwrap();
        assert!(is_conflict(
            &fixture
                .catalog
                .transition(&id, JobStatus::Running, take(), None)
                .await
        ));
    })
    .await;
}

#[tokio::test]
async fn a_run_with_an_old_fencing_number_changes_nothing() {
    on_catalog(async |fixture| {
        let id = fixture.pending(1).await;
        for fence in [1, 2] {
            let take = JobChange {
                fence: Some(fence),
                ..JobChange::default()
            };
            fixture
                .catalog
                .transition(&id, JobStatus::Running, take, None)
                .await
                .unwrap();
        }
        for to in [
            JobStatus::Committing,
            JobStatus::Completed,
            JobStatus::Failed,
        ] {
            let stale = fixture
                .catalog
                .transition(&id, to, everything(), Some(1))
                .await;
            assert!(
                matches!(stale, Err(CatalogError::Conflict { fence: 2, .. })),
                "{stale:?}"
            );
        }
        let progress = Progress {
            bytes_read: 1,
            ..Progress::default()
        };
        assert!(
            !fixture
                .catalog
                .record_progress(&id, 1, progress)
                .await
                .unwrap()
        );
        assert!(
            fixture
                .catalog
                .record_progress(&id, 2, progress)
                .await
                .unwrap()
        );
        assert_eq!(
            fixture.catalog.get(&id).await.unwrap().progress,
            Some(progress)
        );
    })
    .await;
}

#[tokio::test]
async fn a_completed_job_has_no_progress_and_gets_none_later() {
    on_catalog(async |fixture| {
        let id = fixture.pending(1).await;
        fixture
            .catalog
            .transition(&id, JobStatus::Running, JobChange::default(), None)
            .await
            .unwrap();
        let progress = Progress {
            bytes_read: 1,
            ..Progress::default()
        };
        assert!(
            fixture
                .catalog
                .record_progress(&id, 0, progress)
                .await
                .unwrap()
        );
        for to in [JobStatus::Committing, JobStatus::Completed] {
            let change = JobChange {
                progress: Some(progress),
                ..JobChange::default()
            };
            let job = fixture
                .catalog
                .transition(&id, to, change, None)
                .await
                .unwrap();
            assert_eq!(
                job.progress,
                (to != JobStatus::Completed).then_some(progress)
            );
        }
        assert!(
            !fixture
                .catalog
                .record_progress(&id, 0, progress)
                .await
                .unwrap()
        );
        assert_eq!(fixture.catalog.get(&id).await.unwrap().progress, None);
    })
    .await;
}

#[tokio::test]
async fn progress_is_recorded_of_running_jobs_alone() {
    on_catalog(async |fixture| {
        let id = fixture.pending(1).await;
        assert!(
            !fixture
                .catalog
                .record_progress(&id, 0, Progress::default())
                .await
                .unwrap()
        );
        fixture
            .catalog
            .transition(&id, JobStatus::Cancelled, JobChange::default(), None)
            .await
            .unwrap();
        assert!(
            !fixture
                .catalog
                .record_progress(&id, 0, Progress::default())
                .await
                .unwrap()
        );
        assert_eq!(fixture.catalog.get(&id).await.unwrap().progress, None);
    })
    .await;
}

#[tokio::test]
async fn a_failed_or_cancelled_job_becomes_completed_whatever_its_error_and_the_error_goes() {
    on_catalog(async |fixture| {
        let codes = [
            "stalled",
            "deadline",
            "source-unreachable",
            "dump-refused",
            "internal",
        ];
        for (number, code) in (1..).zip(codes) {
            let id = fixture.pending(number).await;
            let code: FailureCode = serde_json::from_value(code.into()).unwrap();
            let status = if number == 1 {
                JobStatus::Cancelled
            } else {
                JobStatus::Failed
            };
            let change = JobChange {
                error: Some(failure(code)),
                ..JobChange::default()
            };
            fixture
                .catalog
                .transition(&id, status, change, None)
                .await
                .unwrap();
            let found = JobChange {
                error: Some(failure(code)),
                size: Some(1),
                ..JobChange::default()
            };
            let job = fixture
                .catalog
                .transition(&id, JobStatus::Completed, found, None)
                .await
                .unwrap();
            assert_eq!(
                (job.status, job.error, job.size),
                (JobStatus::Completed, None, Some(1)),
                "{code}"
            );
        }
    })
    .await;
}

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
