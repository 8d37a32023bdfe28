use bson::doc;
use holdfast_catalog::{CatalogError, JobChange, JobFilter};
use holdfast_domain::{BackupType, JobStatus, NamespaceCount};

use crate::harness::{at, id, job, on_catalog};

#[tokio::test]
async fn a_job_is_read_as_it_was_written() {
    on_catalog(async |fixture| {
        let mut job = job(BackupType::Database, 1);
        job.trigger.by = Some("ada".to_owned());
        job.parent_id = Some(id(BackupType::Full, 1));
        fixture.catalog.insert_pending(&job).await.unwrap();
        assert_eq!(fixture.catalog.get(&job.backup_id).await.unwrap(), job);
    })
    .await;
}

#[tokio::test]
async fn an_id_is_written_once() {
    on_catalog(async |fixture| {
        let job = job(BackupType::Database, 1);
        fixture.catalog.insert_pending(&job).await.unwrap();
        let again = fixture.catalog.insert_pending(&job).await;
        assert_eq!(
            again,
            Err(CatalogError::AlreadyExists {
                id: job.backup_id.to_string()
            })
        );
    })
    .await;
}

#[tokio::test]
async fn a_job_begins_as_pending() {
    on_catalog(async |fixture| {
        let mut job = job(BackupType::Database, 1);
        job.status = JobStatus::Completed;
        assert!(matches!(
            fixture.catalog.insert_pending(&job).await,
            Err(CatalogError::Invalid { .. })
        ));
        assert!(matches!(
            fixture.catalog.get(&job.backup_id).await,
            Err(CatalogError::NotFound { .. })
        ));
    })
    .await;
}

#[tokio::test]
async fn a_list_of_jobs_leaves_namespaces_out() {
    on_catalog(async |fixture| {
        let mut job = job(BackupType::Database, 1);
        let namespace = "platform.users".to_owned();
        job.namespaces = Some(vec![NamespaceCount {
            namespace,
            documents: 3,
        }]);
        (job.namespace_count, job.document_count) = (Some(1), Some(3));
        fixture.catalog.insert_pending(&job).await.unwrap();
        assert_eq!(fixture.catalog.get(&job.backup_id).await.unwrap(), job);
        let listed = holdfast_domain::Job {
            namespaces: None,
            ..job
        };
        let (jobs, _) = fixture
            .catalog
            .list(JobFilter::default(), 1, 3)
            .await
            .unwrap();
        assert_eq!(
            (jobs, fixture.catalog.active(None).await.unwrap()),
            (vec![listed.clone()], vec![listed])
        );
    })
    .await;
}

#[tokio::test]
async fn pages_go_from_the_newest_to_the_oldest_and_hold_each_job_once() {
    on_catalog(async |fixture| {
        for number in 0..7 {
            fixture.pending(number).await;
        }
        let mut seen = Vec::new();
        for page in 1..=4 {
            let (jobs, total) = fixture
                .catalog
                .list(JobFilter::default(), page, 3)
                .await
                .unwrap();
            assert_eq!(total, 7);
            seen.extend(jobs.into_iter().map(|job| job.backup_id));
        }
        let newest_first: Vec<_> = (0..7)
            .rev()
            .map(|number| id(BackupType::Database, number))
            .collect();
        assert_eq!(seen, newest_first);
        assert!(
            fixture
                .catalog
                .list(JobFilter::default(), u64::MAX, 100)
                .await
                .unwrap()
                .0
                .is_empty()
        );
    })
    .await;
}

#[tokio::test]
async fn a_list_is_narrowed_by_type_and_status() {
    on_catalog(async |fixture| {
        let stopped = fixture.pending(1).await;
        fixture.pending(2).await;
        fixture
            .catalog
            .insert_pending(&job(BackupType::Content, 3))
            .await
            .unwrap();
        fixture
            .catalog
            .transition(&stopped, JobStatus::Cancelled, JobChange::default(), None)
            .await
            .unwrap();
        for (backup_type, status, expected) in [
            (Some(BackupType::Database), None, 2),
            (Some(BackupType::Content), None, 1),
            (Some(BackupType::Full), None, 0),
            (None, Some(JobStatus::Pending), 2),
            (Some(BackupType::Database), Some(JobStatus::Cancelled), 1),
        ] {
            let (jobs, total) = fixture
                .catalog
                .list(
                    JobFilter {
                        backup_type,
                        status,
                    },
                    1,
                    20,
                )
                .await
                .unwrap();
            assert_eq!(
                (jobs.len(), total),
                (expected, expected as u64),
                "{backup_type:?} {status:?}"
            );
        }
        assert_eq!(fixture.catalog.active(None).await.unwrap().len(), 2);
        assert_eq!(
            fixture
                .catalog
                .active(Some(BackupType::Database))
                .await
                .unwrap()
                .len(),
            1
        );
    })
    .await;
}

#[tokio::test]
async fn a_row_broken_by_hand_is_named_by_get_and_left_out_of_lists() {
    on_catalog(async |fixture| {
        let good = fixture.pending(1).await;
        let (broken, mistyped) = (id(BackupType::Database, 2), id(BackupType::Database, 3));
        let rows = [
            doc! { "_id": broken.as_str(), "status": "pending", "createdAt": "soon", "type": "database" },
            doc! { "_id": 7, "status": "pending", "type": "database" },
        ];
        fixture.collection("backup_jobs").insert_many(rows).await.unwrap();
        fixture.catalog.insert_pending(&job(BackupType::Database, 3)).await.unwrap();
        let other_type = doc! { "$set": { "type": "content" } };
        fixture.collection("backup_jobs").update_one(doc! { "_id": mistyped.as_str() }, other_type).await.unwrap();

        let (jobs, _) = fixture.catalog.list(JobFilter::default(), 1, 20).await.unwrap();
        assert_eq!(jobs.into_iter().map(|job| job.backup_id).collect::<Vec<_>>(), [good]);
        assert_eq!(fixture.catalog.active(None).await.unwrap().len(), 1);
        for id in [broken, mistyped] {
            let error = fixture.catalog.get(&id).await.unwrap_err();
            assert!(
                matches!(error, CatalogError::Corrupt { .. }) && error.to_string().contains(id.as_str()),
                "{error}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn only_a_backup_of_nothing_counts_as_empty() {
    on_catalog(async |fixture| {
        let held = |documents| {
            Some(vec![NamespaceCount {
                namespace: "a.b".to_owned(),
                documents,
            }])
        };
        let (mut filled, mut ids) = (Vec::new(), Vec::new());
        for (number, namespaces) in [(1, None), (2, held(7)), (3, held(0)), (4, Some(Vec::new()))] {
            let id = fixture.pending(number).await;
            let change = JobChange {
                namespaces,
                ..JobChange::default()
            };
            fixture
                .catalog
                .transition(&id, JobStatus::Running, JobChange::default(), None)
                .await
                .unwrap();
            fixture
                .catalog
                .transition(&id, JobStatus::Completed, change, None)
                .await
                .unwrap();
            filled.push(
                fixture
                    .catalog
                    .newest_filled(BackupType::Database)
                    .await
                    .unwrap()
                    .unwrap()
                    .backup_id,
            );
            ids.push(id);
        }
        assert_eq!(
            filled,
            [&ids[0], &ids[1], &ids[1], &ids[1]].map(Clone::clone)
        );
        let standings = fixture.catalog.standings(&ids).await.unwrap();
        let is_empty: Vec<bool> = ids
            .iter()
            .map(|id| standings[id].as_ref().unwrap().is_empty)
            .collect();
        assert_eq!(is_empty, [false, false, true, true]);
        assert_eq!(
            fixture
                .catalog
                .newest_filled(BackupType::Content)
                .await
                .unwrap(),
            None
        );
    })
    .await;
}

#[tokio::test]
async fn the_newest_completed_job_is_found_under_newer_failures_and_broken_rows() {
    on_catalog(async |fixture| {
        assert_eq!(fixture.catalog.newest_completed(BackupType::Database).await.unwrap(), None);
        for number in 1..=3 {
            let id = fixture.pending(number).await;
            fixture.catalog.transition(&id, JobStatus::Running, JobChange::default(), None).await.unwrap();
            let to = if number == 3 { JobStatus::Failed } else { JobStatus::Completed };
            fixture.catalog.transition(&id, to, JobChange::default(), None).await.unwrap();
        }
        let broken = doc! { "_id": "x", "type": "database", "status": "completed", "createdAt": bson::DateTime::now() };
        fixture.collection("backup_jobs").insert_one(broken).await.unwrap();
        let newest = fixture.catalog.newest_completed(BackupType::Database).await.unwrap().unwrap();
        assert_eq!(newest.backup_id, id(BackupType::Database, 2));
        assert_eq!(fixture.catalog.newest_completed(BackupType::Content).await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn counts_add_up_by_type_and_status() {
    on_catalog(async |fixture| {
        assert!(fixture.catalog.counts().await.unwrap().0.is_empty());
        for number in 1..=3 {
            let id = fixture.pending(number).await;
            let started = JobChange {
                started_at: Some(at(0)),
                ..JobChange::default()
            };
            fixture
                .catalog
                .transition(&id, JobStatus::Running, started, None)
                .await
                .unwrap();
            let done = JobChange {
                size: Some(3_000_000_000),
                original_size: Some(10_000_000_000),
                duration_ms: Some(u64::from(number)),
                ..JobChange::default()
            };
            fixture
                .catalog
                .transition(&id, JobStatus::Completed, done, None)
                .await
                .unwrap();
        }
        fixture
            .catalog
            .insert_pending(&job(BackupType::Content, 4))
            .await
            .unwrap();
        let odd = doc! { "_id": "x", "type": "database", "status": "resting" };
        fixture
            .collection("backup_jobs")
            .insert_one(odd)
            .await
            .unwrap();

        let counts = fixture.catalog.counts().await.unwrap();
        let completed = counts.0[0];
        assert_eq!(
            (completed.backup_type, completed.status),
            (BackupType::Database, JobStatus::Completed)
        );
        assert_eq!((completed.jobs, completed.duration_ms), (3, 6));
        assert_eq!(
            (completed.size_bytes, completed.original_size_bytes),
            (9_000_000_000, 30_000_000_000)
        );
        assert_eq!(counts.jobs(None, |_| true), 4);
        assert_eq!(
            counts.jobs(Some(BackupType::Content), JobStatus::is_active),
            1
        );
        assert_eq!(
            counts.jobs(Some(BackupType::Database), JobStatus::is_active),
            0
        );
    })
    .await;
}
