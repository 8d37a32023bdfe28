//! Existing objects of the store: they are adopted or reported, stay referenced, and are never
//! replaced.

use std::sync::Arc;

use bytes::Bytes;
use holdfast_domain::{ItemFailureCode, ItemStatus, ObjectKey, Timestamp};
use holdfast_operations::{DownloadOutcome, RunLimits, download_item, settle_undelivered};
use holdfast_storage::PutMode;
use holdfast_testing::{Fault, FaultStore, Operation};

use super::downloads::MIB;
use crate::support::{
    content::{Fixture, file_of, item, noise},
    holdfast::KEY,
};

#[tokio::test(flavor = "multi_thread")]
async fn an_object_whose_answer_was_lost_is_taken_for_what_it_is() {
    for encrypted in ["false", "true"] {
        let f = Fixture::new(&[
            ("BACKUP_CONTENT_ENCRYPTION", encrypted),
            ("BACKUP_ENCRYPTION_KEY", KEY),
        ])
        .await;
        f.add_ipfs(1, file_of(1)).await;
        f.add_gaia(2, noise(20 * MIB)).await;
        let id = f.trigger().await;
        f.discover(&id).await;
        let faults = FaultStore::new(Arc::clone(&f.store.store));
        let h = f.over(faults.clone());
        // The record of blocks, the small file, and the copy of the large one are stored, but their
        // answers are lost.
        faults.on(Operation::Put, 1, Fault::LostAnswer);
        faults.on(Operation::Put, 3, Fault::LostAnswer);
        faults.on(Operation::Copy, 1, Fault::LostAnswer);
        let mut tries = 0;
        for content_id in ["1", "2"] {
            loop {
                tries += 1;
                let message = Fixture::message(&id, content_id);
                match download_item(&h, &f.downloader, &message, RunLimits::none())
                    .await
                    .unwrap()
                {
                    DownloadOutcome::Settled => break,
                    DownloadOutcome::Retry { .. } => {}
                    other => panic!("{other:?}"),
                }
            }
        }
        assert_eq!(tries, 5, "each answer that was lost cost one try");
        assert_eq!(
            f.content_of(&f.item(&id, "1").await.file.unwrap()).await,
            file_of(1)
        );
        assert_eq!(
            f.content_of(&f.item(&id, "2").await.file.unwrap())
                .await
                .len(),
            20 * MIB
        );
        assert_eq!(f.keys_under("content/objects/").await.len(), 2);
        f.assert_nothing_on_its_way().await;
        f.remove().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_with_other_content_is_reported_and_not_replaced() {
    let f = Fixture::new(&[]).await;
    let file = noise(5000);
    f.add_gaia(1, &file).await;
    let first = f.up_to_finalize().await;
    let key = f.item(&first, "1").await.file.unwrap().object.artifact.key;
    f.finish(&first).await;
    f.rows("content_objects")
        .delete_many(mongodb::bson::doc! {})
        .await
        .unwrap();
    f.store
        .store
        .put(
            &key,
            Bytes::from_static(b"something else"),
            PutMode::Replace,
        )
        .await
        .unwrap();
    let id = f.up_to_finalize().await;
    let error = f.item(&id, "1").await.error.unwrap();
    assert_eq!(error.code, ItemFailureCode::Store);
    assert!(
        error.message.contains("damaged") && error.message.contains(key.as_str()),
        "{}",
        error.message
    );
    let found = holdfast_storage::read_all(f.store.store.as_ref(), &key, 1000)
        .await
        .unwrap();
    assert_eq!(found, Bytes::from_static(b"something else"));
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_lost_catalogue_forgot_is_read_back_and_adopted() {
    for encrypted in ["false", "true"] {
        let f = Fixture::new(&[
            ("BACKUP_CONTENT_ENCRYPTION", encrypted),
            ("BACKUP_ENCRYPTION_KEY", KEY),
        ])
        .await;
        f.fill(4).await;
        f.add_gaia(5, noise(20 * MIB)).await;
        let first = f.back_up().await.backup_id;
        let before = f.keys_under("content/objects/").await;
        f.rows("content_objects")
            .delete_many(mongodb::bson::doc! {})
            .await
            .unwrap();
        let id = f.up_to_finalize().await;
        for (old, new) in f.items(&first).await.into_iter().zip(f.items(&id).await) {
            let (old, new) = (old.file.unwrap(), new.file.unwrap());
            assert_eq!((old.object, old.dag), (new.object, new.dag));
        }
        assert_eq!(f.keys_under("content/objects/").await, before);
        f.remove().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_last_attempt_held_before_it_died_is_what_it_did() {
    let f = Fixture::new(&[]).await;
    f.fill(2).await;
    f.insert([item(
        3,
        "gaia",
        &format!("{}/gaia/nowhere", f.node.address()),
    )])
    .await;
    let id = f.trigger().await;
    f.discover(&id).await;
    f.download_all().await;
    let update = mongodb::bson::doc! {
        "$set": { "status": "pending", "attempts": 3_i64, "attemptedAt": mongodb::bson::DateTime::from_millis(0) },
        "$unset": { "file": "", "fileName": "", "error": "" },
    };
    f.rows("backup_items")
        .update_many(mongodb::bson::doc! {}, update)
        .await
        .unwrap();
    f.node.reset_requests().await;
    for content_id in ["1", "2", "3"] {
        assert_eq!(
            f.download(&Fixture::message(&id, content_id)).await,
            DownloadOutcome::Settled
        );
    }
    let requests = f.node.requests().await;
    assert_eq!(
        (
            requests.gateway.car,
            requests.gaia.full,
            requests.gaia.not_modified
        ),
        (0, 0, 0),
        "{requests:?}"
    );
    assert_eq!(f.by_status(&id, ItemStatus::Done).await, ["1", "2"]);
    assert_eq!(
        f.item(&id, "3").await.error.unwrap().code,
        ItemFailureCode::Stopped
    );
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_of_an_item_that_was_given_up_stays_referred_to() {
    let f = Fixture::new(&[]).await;
    f.add_gaia(1, "the only copy").await;
    f.back_up().await;
    let id = f.trigger().await;
    f.discover(&id).await;
    assert!(
        settle_undelivered(&f.holdfast, &Fixture::message(&id, "1"), Timestamp::now())
            .await
            .unwrap()
    );
    let record = f.item(&id, "1").await;
    assert_eq!(
        (record.status, record.error.unwrap().code),
        (ItemStatus::Unchanged, ItemFailureCode::NotDelivered)
    );
    assert_eq!(f.content_of(&record.file.unwrap()).await, b"the only copy");
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_backup_refers_to_is_held_before_its_item_is_settled() {
    let f = Fixture::new(&[]).await;
    f.fill(2).await;
    let id = f.trigger().await;
    f.discover(&id).await;
    f.download_all().await;
    // As if the workers had died between the two writes.
    let update = mongodb::bson::doc! { "$set": { "status": "pending" }, "$unset": { "file": "", "fileName": "" } };
    f.rows("backup_items")
        .update_many(mongodb::bson::doc! {}, update)
        .await
        .unwrap();
    f.node.reset_requests().await;
    for content_id in ["1", "2"] {
        assert_eq!(
            f.download(&Fixture::message(&id, content_id)).await,
            DownloadOutcome::Settled
        );
    }
    let requests = f.node.requests().await;
    assert_eq!(
        (
            requests.gateway.car,
            requests.gaia.full,
            requests.gaia.not_modified
        ),
        (0, 0, 1),
        "{requests:?}"
    );
    assert_eq!(
        f.by_status(&id, ItemStatus::Done).await,
        ["1", "2"],
        "this backup did fetch them"
    );
    f.remove().await;
}

#[test]
fn a_key_under_incoming_belongs_to_no_backup() {
    assert_eq!(ObjectKey::content_incoming([7; 16]).backup(), None);
}
