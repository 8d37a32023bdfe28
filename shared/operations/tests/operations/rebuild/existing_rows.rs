//! Existing rows stay unchanged: those of deleted, running and newer backups.

use holdfast_catalog::JobChange;
use holdfast_domain::{FailureCode, JobFailure, JobStatus, Timestamp};
use holdfast_operations::{DiscoveryOutcome, FinalizeOutcome, UnreadCause, finalize_if_settled};
use mongodb::bson::doc;

use super::lost_catalogue::added;
use crate::support::content::Fixture;

#[tokio::test(flavor = "multi_thread")]
async fn an_existing_job_is_unchanged_unless_its_manifest_contradicts_it() {
    let f = Fixture::new(&[]).await;
    f.fill(2).await;
    let deleted = f.back_up().await.backup_id;
    let failed = f.back_up().await.backup_id;
    let lost = f.back_up().await.backup_id;
    let catalog = &f.holdfast.catalog;
    catalog
        .transition(&deleted, JobStatus::Deleted, JobChange::default(), None)
        .await
        .unwrap();
    catalog.delete_items(&deleted).await.unwrap();
    f.rewind(&failed, "failed").await;
    let error = JobFailure {
        code: FailureCode::Stalled,
        message: "it stopped".to_owned(),
        hint: None,
    };
    let error = mongodb::bson::serialize_to_document(&error).unwrap();
    let update = doc! { "$set": { "error": error } };
    f.rows("backup_jobs")
        .update_one(doc! { "_id": failed.as_str() }, update)
        .await
        .unwrap();
    f.rows("backup_jobs")
        .delete_one(doc! { "_id": lost.as_str() })
        .await
        .unwrap();
    let report = f.rebuild().await;
    assert_eq!(
        (added(&report), report.stood, report.items),
        (vec![&lost], 1, 0)
    );
    assert_eq!(
        (&report.completed[..], f.job(&failed).await.error),
        (&[failed.clone()][..], None)
    );
    let before = f.all_rows().await;
    let again = f.rebuild().await;
    assert_eq!((again.stood, again.completed.len()), (3, 0));
    assert_eq!(f.all_rows().await, before);
    assert_eq!(catalog.count_items(&deleted).await.unwrap(), 0);

    f.rows("backup_jobs")
        .update_one(
            doc! { "_id": lost.as_str() },
            doc! { "$set": { "status": "?" } },
        )
        .await
        .unwrap();
    let broken = f.all_rows().await;
    let report = f.rebuild().await;
    assert_eq!(
        report
            .unread
            .iter()
            .map(|unread| unread.cause)
            .collect::<Vec<_>>(),
        [UnreadCause::Row]
    );
    assert_eq!(f.all_rows().await, broken);
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_runs_meanwhile_keeps_its_lease_its_items_and_comes_to_its_end() {
    let f = Fixture::new(&[]).await;
    f.fill(4).await;
    let before = f.back_up().await.backup_id;
    f.lose_the_catalogue().await;
    f.holdfast.catalog.ensure_indexes().await.unwrap();
    // It begins in the empty catalogue, so it has to fetch. The other rows return half-way.
    let id = f.trigger().await;
    assert!(matches!(
        f.discover(&id).await,
        DiscoveryOutcome::Queued { .. }
    ));
    let messages = f.queue.take();
    f.download(&messages[0]).await;
    let (leases, items) = (f.leases().await, f.items(&id).await);
    let newer = f.all_rows().await;
    let report = f.rebuild().await;
    assert_eq!(
        (added(&report), report.sources),
        (vec![&before], 3),
        "one source is newer than the store knows"
    );
    assert_eq!((f.leases().await, f.items(&id).await), (leases, items));
    let after = f.all_rows().await;
    for (row, as_it_was) in &newer {
        assert_eq!(after.get(row), Some(as_it_was), "{row:?}");
    }
    for message in &messages[1..] {
        f.download(message).await;
    }
    assert!(
        finalize_if_settled(&f.holdfast, &id, Timestamp::now())
            .await
            .unwrap()
    );
    let outcome = crate::support::content::finalized::finalize(&f.holdfast, &id).await;
    let FinalizeOutcome::Completed(job) = outcome else {
        panic!("{outcome:?}")
    };
    let items = job.items.unwrap();
    assert_eq!((items.expected, items.failed, f.leases().await), (4, 0, 0));
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn items_that_a_completed_backup_has_lost_are_filled_up() {
    let f = Fixture::new(&[]).await;
    f.fill(5).await;
    let id = f.back_up().await.backup_id;
    let before = f.all_rows().await;
    for collection in ["backup_items", "content_objects"] {
        f.rows(collection).delete_many(doc! {}).await.unwrap();
    }
    let plan = f.plan().await;
    assert_eq!(
        (plan.items, plan.filled_up.len(), f.items(&id).await.len()),
        (5, 1, 0)
    );
    let report = f.rebuild().await;
    assert_eq!(
        (
            report.added.len(),
            report.filled_up.len(),
            report.items,
            report.sources
        ),
        (0, 1, 5, 5)
    );
    assert_eq!(f.all_rows().await, before);
    f.remove().await;
}
