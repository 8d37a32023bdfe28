//! Copies in progress: one run at a time with its progress, and no part of it in the job.

use bson::{Bson, doc};
use holdfast_catalog::{CopiedPart, CopyClaim, CopyUpload, CopyWork, JobChange};
use holdfast_domain::{
    BackupId, BackupType, CopyStatus, Encoding, FailureCode, JobCopy, JobStatus, ObjectKey,
    Sha256Digest, Timestamp,
};
use jiff::SignedDuration;

use crate::harness::{Fixture, at, failure, job, on_catalog};

const STORE: &str = "s3://second/";
const STALE: SignedDuration = SignedDuration::from_secs(60);

async fn completed(fixture: &Fixture, kind: BackupType, number: u8) -> BackupId {
    let job = job(kind, number);
    fixture.catalog.insert_pending(&job).await.unwrap();
    for status in [
        JobStatus::Running,
        JobStatus::Committing,
        JobStatus::Completed,
    ] {
        fixture
            .catalog
            .transition(&job.backup_id, status, JobChange::default(), None)
            .await
            .unwrap();
    }
    job.backup_id
}

fn work(id: &BackupId) -> CopyWork {
    let key = ObjectKey::database_dump(id, 1, Encoding::GZIP_ENCRYPTED);
    let part = |number| CopiedPart {
        number,
        size: 8_388_608,
        sha256: Sha256Digest::new([7; 32]),
        etag: "\"receipt\"".to_owned(),
    };
    let (part_bytes, upload_id, parts) = (8_388_608, "upload".to_owned(), vec![part(2), part(1)]);
    let form = Some(Sha256Digest::new([8; 32]));
    let upload = CopyUpload {
        key,
        size: 6_000_000_000,
        form,
        part_bytes,
        upload_id,
        parts,
    };
    CopyWork {
        attempts: 2,
        items: 7,
        bytes: 5_000_000_000,
        upload: Some(upload),
        to_repair: true,
    }
}

fn ended(status: CopyStatus, at: Timestamp) -> JobCopy {
    let error = (status == CopyStatus::Failed).then(|| failure(FailureCode::StoreDenied));
    JobCopy {
        status,
        at,
        store: STORE.to_owned(),
        bytes: Some(5),
        error,
    }
}

async fn begin(fixture: &Fixture, id: &BackupId, run: &str, now: Timestamp) -> CopyClaim {
    fixture
        .catalog
        .begin_copy(id, STORE, run, now - STALE, now)
        .await
        .unwrap()
}

#[tokio::test]
async fn one_run_at_a_time_copies_a_backup_and_a_dead_run_is_resumed() {
    on_catalog(async |fixture| {
        let (catalog, id) = (
            &fixture.catalog,
            completed(fixture, BackupType::Database, 1).await,
        );
        let fresh = CopyClaim::Taken {
            work: CopyWork::default(),
            touched_at: None,
        };
        assert_eq!(begin(fixture, &id, "a", at(0)).await, fresh);
        assert_eq!(begin(fixture, &id, "b", at(50)).await, CopyClaim::Elsewhere);
        assert!(
            catalog
                .record_copied(&id, "a", Some(&work(&id)), at(55))
                .await
                .unwrap()
        );
        assert_eq!(
            begin(fixture, &id, "b", at(100)).await,
            CopyClaim::Elsewhere,
            "it beats"
        );
        let taken = begin(fixture, &id, "b", at(200)).await;
        assert_eq!(
            taken,
            CopyClaim::Taken {
                work: work(&id),
                touched_at: Some(at(55))
            }
        );
        assert!(
            !catalog
                .record_copied(&id, "a", None, at(201))
                .await
                .unwrap()
        );
        assert!(
            !catalog
                .end_copy(
                    &id,
                    "a",
                    &ended(CopyStatus::Completed, at(202)),
                    None,
                    at(202)
                )
                .await
                .unwrap()
        );
        assert_eq!(
            catalog.get(&id).await.unwrap().copy.unwrap().status,
            CopyStatus::Running
        );
    })
    .await;
}

#[tokio::test]
async fn what_was_done_for_another_store_counts_for_nothing() {
    on_catalog(async |fixture| {
        let (catalog, id) = (
            &fixture.catalog,
            completed(fixture, BackupType::Database, 1).await,
        );
        begin(fixture, &id, "a", at(0)).await;
        catalog
            .record_copied(&id, "a", Some(&work(&id)), at(1))
            .await
            .unwrap();
        let elsewhere = catalog
            .begin_copy(&id, "gs://other/", "b", at(140), at(200))
            .await
            .unwrap();
        assert_eq!(
            elsewhere,
            CopyClaim::Taken {
                work: CopyWork::default(),
                touched_at: None
            }
        );
    })
    .await;
}

#[tokio::test]
async fn a_copy_changes_nothing_of_its_job_and_leaves_no_work_when_it_is_whole() {
    on_catalog(async |fixture| {
        let (catalog, id) = (
            &fixture.catalog,
            completed(fixture, BackupType::Content, 1).await,
        );
        let before = catalog.get(&id).await.unwrap();
        begin(fixture, &id, "a", at(0)).await;
        let failed = ended(CopyStatus::Failed, at(1));
        assert!(
            catalog
                .end_copy(&id, "a", &failed, Some(&work(&id)), at(1))
                .await
                .unwrap()
        );
        let job = catalog.get(&id).await.unwrap();
        assert_eq!(job.copy.as_ref(), Some(&failed));
        assert_eq!(
            (job.status, job.error),
            (before.status, before.error.clone())
        );
        // At once, because no run has it.
        let taken = begin(fixture, &id, "b", at(2)).await;
        assert_eq!(
            taken,
            CopyClaim::Taken {
                work: work(&id),
                touched_at: Some(at(1))
            }
        );
        assert_eq!(
            catalog.get(&id).await.unwrap().copy.unwrap().error,
            None,
            "it is tried again"
        );
        let whole = ended(CopyStatus::Completed, at(3));
        assert!(
            catalog
                .end_copy(&id, "b", &whole, None, at(3))
                .await
                .unwrap()
        );
        assert_eq!(
            catalog.get(&id).await.unwrap(),
            holdfast_domain::Job {
                copy: Some(whole),
                ..before
            }
        );
        let row = fixture
            .collection("backup_jobs")
            .find_one(doc! { "_id": id.as_str() })
            .await
            .unwrap()
            .unwrap();
        assert!(!row.contains_key("copyWork"));
    })
    .await;
}

#[tokio::test]
async fn only_what_is_completed_is_copied() {
    on_catalog(async |fixture| {
        let (catalog, pending) = (&fixture.catalog, fixture.pending(1).await);
        assert_eq!(
            begin(fixture, &pending, "a", at(0)).await,
            CopyClaim::NotCompleted(JobStatus::Pending)
        );
        assert_eq!(
            begin(fixture, &"db_1_aa".parse().unwrap(), "a", at(0)).await,
            CopyClaim::NoJob
        );
        let id = completed(fixture, BackupType::Database, 2).await;
        begin(fixture, &id, "a", at(0)).await;
        catalog
            .transition(&id, JobStatus::Deleted, JobChange::default(), None)
            .await
            .unwrap();
        assert!(
            !catalog.record_copied(&id, "a", None, at(1)).await.unwrap(),
            "its run loses it"
        );
        assert!(
            catalog
                .end_copy(&id, "a", &ended(CopyStatus::Deleted, at(2)), None, at(2))
                .await
                .unwrap()
        );
        assert_eq!(
            begin(fixture, &id, "b", at(3)).await,
            CopyClaim::NotCompleted(JobStatus::Deleted)
        );
    })
    .await;
}

#[tokio::test]
async fn what_has_no_whole_copy_here_is_listed_newest_first() {
    on_catalog(async |fixture| {
        let catalog = &fixture.catalog;
        let mut ids = Vec::new();
        for number in 1..=3 {
            ids.push(completed(fixture, BackupType::Database, number).await);
        }
        fixture.pending(4).await;
        begin(fixture, &ids[0], "a", at(0)).await;
        catalog
            .end_copy(
                &ids[0],
                "a",
                &ended(CopyStatus::Completed, at(1)),
                None,
                at(1),
            )
            .await
            .unwrap();
        begin(fixture, &ids[1], "b", at(0)).await;
        let failed = ended(CopyStatus::Failed, at(1));
        catalog
            .end_copy(&ids[1], "b", &failed, Some(&work(&ids[1])), at(1))
            .await
            .unwrap();
        let listed = catalog.uncopied(STORE, 10).await.unwrap();
        let names: Vec<_> = listed.iter().map(|row| row.backup_id.clone()).collect();
        assert_eq!(names, [ids[2].clone(), ids[1].clone()]);
        assert_eq!(
            (
                listed[0].copy.clone(),
                listed[0].attempts,
                listed[0].is_claimed
            ),
            (None, 0, false)
        );
        assert_eq!(
            (
                listed[1].copy.clone(),
                listed[1].attempts,
                listed[1].is_claimed
            ),
            (Some(failed), 2, false)
        );
        assert_eq!(catalog.uncopied("gs://other/", 10).await.unwrap().len(), 3);
        assert_eq!(catalog.uncopied(STORE, 1).await.unwrap().len(), 1);
        let [copying] = catalog.copying(at(0)).await.unwrap().try_into().unwrap();
        assert_eq!(
            (copying.backup_id, copying.upload_id),
            (ids[1].clone(), Some("upload".to_owned()))
        );
        assert_eq!(catalog.copying(at(1)).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn a_collection_of_copies_is_one_run_at_a_time_and_no_lease_of_a_source() {
    on_catalog(async |fixture| {
        let catalog = &fixture.catalog;
        assert!(!catalog.is_collecting_copies(at(0)).await.unwrap());
        assert!(
            catalog
                .begin_collecting_copies("a", at(0), at(60))
                .await
                .unwrap()
        );
        assert!(
            !catalog
                .begin_collecting_copies("b", at(10), at(70))
                .await
                .unwrap()
        );
        assert!(catalog.is_collecting_copies(at(10)).await.unwrap());
        assert!(
            !catalog.is_collecting_copies(at(61)).await.unwrap(),
            "a dead one excludes no run"
        );
        assert!(
            catalog
                .begin_collecting_copies("b", at(61), at(121))
                .await
                .unwrap()
        );
        assert!(!catalog.beat_collecting_copies("a", at(122)).await.unwrap());
        assert!(catalog.beat_collecting_copies("b", at(123)).await.unwrap());
        assert_eq!(catalog.leases().await.unwrap().sources, []);
        assert_eq!(catalog.orphan_leases(at(100_000)).await.unwrap(), []);
        catalog.end_collecting_copies("a").await.unwrap();
        assert!(
            catalog.is_collecting_copies(at(100)).await.unwrap(),
            "it was another's"
        );
        catalog.end_collecting_copies("b").await.unwrap();
        assert!(!catalog.is_collecting_copies(at(100)).await.unwrap());
        let unreadable = doc! { "_id": "copies", "run": "c", "beatAt": Bson::from("yesterday") };
        fixture
            .collection("backup_leases")
            .insert_one(unreadable)
            .await
            .unwrap();
        assert!(
            catalog.is_collecting_copies(at(100_000)).await.unwrap(),
            "unsure counts as one"
        );
    })
    .await;
}

#[tokio::test]
async fn a_requested_or_removed_copy_is_recorded_in_a_suitable_job() {
    on_catalog(async |fixture| {
        let (catalog, id) = (
            &fixture.catalog,
            completed(fixture, BackupType::Database, 1).await,
        );
        catalog.set_copy_deleted(&id, at(0)).await.unwrap();
        assert_eq!(catalog.get(&id).await.unwrap().copy, None, "there was none");
        catalog
            .expect_copies(std::slice::from_ref(&id), STORE, at(1))
            .await
            .unwrap();
        let copy = catalog.get(&id).await.unwrap().copy.unwrap();
        assert_eq!(
            (copy.status, copy.at, copy.store.as_str()),
            (CopyStatus::Pending, at(1), STORE)
        );
        catalog.set_copy_deleted(&id, at(2)).await.unwrap();
        catalog.set_copy_deleted(&id, at(3)).await.unwrap();
        let copy = catalog.get(&id).await.unwrap().copy.unwrap();
        assert_eq!((copy.status, copy.at), (CopyStatus::Deleted, at(2)));
        catalog
            .expect_copies(std::slice::from_ref(&id), STORE, at(4))
            .await
            .unwrap();
        assert_eq!(
            catalog.get(&id).await.unwrap().copy.unwrap().status,
            CopyStatus::Deleted
        );
    })
    .await;
}
