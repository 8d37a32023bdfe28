//! The outcomes of messages: each file is stored once, complete and readable. Each item is settled
//! once, despite repetitions.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use holdfast_content::ipfs::DagRecord;
use holdfast_domain::{ItemFailureCode, ItemStatus, JobStatus, ObjectKey, Timestamp, Verified};
use holdfast_operations::{
    DownloadOutcome, RunLimits, cancel, download_item, finalize_if_settled, settle_undelivered,
};
use holdfast_storage::PutMode;
use holdfast_testing::{Fault, FaultStore, FileShape, Operation};

use crate::support::content::{Fixture, KEY, file_of, item, noise};

const MIB: usize = 1024 * 1024;

/// Sizes around those of a part, of blocks and of an empty file. Compressible and incompressible
/// ones.
async fn files_of_many_shapes(f: &Fixture) -> Vec<Vec<u8>> {
    let files = vec![
        vec![],
        b"x".to_vec(),
        noise(300_000),
        file_of(3).repeat(2000),
        noise(20 * MIB),
        b"y".repeat(9 * MIB),
    ];
    for (content_id, file) in (1..).zip(&files) {
        f.add_ipfs(content_id, file).await;
        f.add_gaia(content_id + 100, file).await;
    }
    files
}

async fn every_file_is_kept_once_and_reads_back_equal(f: &Fixture) {
    let files = files_of_many_shapes(f).await;
    let id = f.up_to_finalize().await;
    for (content_id, file) in (1..).zip(&files) {
        let ipfs = f.item(&id, &content_id.to_string()).await.file.unwrap();
        let gaia = f
            .item(&id, &(content_id + 100).to_string())
            .await
            .file
            .unwrap();
        assert_eq!(
            ipfs.object, gaia.object,
            "one object for the same bytes, wherever they came from"
        );
        assert_eq!(f.content_of(&ipfs).await, *file);
        assert_eq!(
            (ipfs.verified, gaia.verified),
            (Verified::Cid, Verified::Transport)
        );
        let record = DagRecord::from_bytes(&f.read(ipfs.dag.as_ref().unwrap()).await).unwrap();
        assert_eq!(
            (record.size(), record.path().to_string()),
            (file.len() as u64, ipfs.cid.unwrap())
        );
    }
    let (objects, dags) = (
        f.keys_under("content/objects/").await,
        f.keys_under("content/dags/").await,
    );
    assert_eq!((objects.len(), dags.len()), (files.len(), files.len()));
    f.assert_nothing_on_its_way().await;
    assert_eq!(f.finish(&id).await.status, JobStatus::Completed);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_kept_once_by_their_content() {
    let f = Fixture::new(&[]).await;
    every_file_is_kept_once_and_reads_back_equal(&f).await;
    let compressed = f
        .keys_under("content/objects/")
        .await
        .iter()
        .filter(|key| key.contains(".gz"))
        .count();
    assert_eq!(compressed, 2, "where it helps");
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_kept_once_by_their_content_encrypted() {
    let f = Fixture::new(&[
        ("BACKUP_CONTENT_ENCRYPTION", "true"),
        ("BACKUP_ENCRYPTION_KEY", KEY),
    ])
    .await;
    every_file_is_kept_once_and_reads_back_equal(&f).await;
    assert!(
        f.keys_under("content/objects/")
            .await
            .iter()
            .all(|key| key.contains(".enc"))
    );
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_compression_off_nothing_is_compressed() {
    let f = Fixture::new(&[("BACKUP_CONTENT_COMPRESSION", "false")]).await;
    f.fill(4).await;
    let id = f.up_to_finalize().await;
    for (record, content_id) in f.items(&id).await.into_iter().zip(1..) {
        let file = record.file.unwrap();
        assert!(
            file.object.compression.is_none() && !file.object.artifact.key.as_str().contains(".gz")
        );
        assert_eq!(f.content_of(&file).await, file_of(content_id));
    }
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_items_with_one_cid_are_one_object_even_at_the_same_time() {
    let f = Fixture::new(&[]).await;
    let cid = f.node.add(noise(12 * MIB), &FileShape::v1()).await;
    f.insert((1..=6).map(|content_id| item(content_id, "ipfs", &format!("ipfs://{cid}"))))
        .await;
    let id = f.trigger().await;
    f.discover(&id).await;
    let messages = f.queue.take();
    let outcomes =
        futures_util::future::join_all(messages.iter().map(|message| f.download(message))).await;
    assert!(
        outcomes
            .iter()
            .all(|outcome| *outcome == DownloadOutcome::Settled),
        "{outcomes:?}"
    );
    assert_eq!(f.by_status(&id, ItemStatus::Done).await.len(), 6);
    assert_eq!(
        (
            f.keys_under("content/objects/").await.len(),
            f.keys_under("content/dags/").await.len()
        ),
        (1, 1)
    );
    f.assert_nothing_on_its_way().await;
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_messages_three_times_and_out_of_order_settle_each_item_once() {
    let f = Fixture::new(&[("BACKUP_CONTENT_RETRY_ATTEMPTS", "1")]).await;
    f.fill(30).await;
    let id = f.trigger().await;
    f.discover(&id).await;
    let once = f.queue.take();
    let mut thrice: Vec<_> = once.iter().chain(once.iter().rev()).chain(&once).collect();
    thrice.swap(3, 40);
    let mut settled = 0;
    for wave in thrice.chunks(10) {
        let outcomes =
            futures_util::future::join_all(wave.iter().map(|message| f.download(message))).await;
        settled += outcomes
            .iter()
            .filter(|outcome| **outcome == DownloadOutcome::Settled)
            .count();
    }
    assert_eq!(
        (settled, f.by_status(&id, ItemStatus::Done).await.len()),
        (30, 30)
    );
    assert_eq!(f.keys_under("content/objects/").await.len(), 30);
    let asked = (0..5).map(|_| finalize_if_settled(&f.holdfast, &id, Timestamp::now()));
    let won = futures_util::future::join_all(asked)
        .await
        .into_iter()
        .filter(|won| *won.as_ref().unwrap())
        .count();
    assert_eq!(won, 1);
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_a_backup_that_ended_is_dropped() {
    let f = Fixture::new(&[]).await;
    f.fill(2).await;
    let id = f.trigger().await;
    f.discover(&id).await;
    cancel(&f.holdfast, &id, Timestamp::now()).await.unwrap();
    for message in f.queue.take() {
        assert_eq!(f.download(&message).await, DownloadOutcome::AlreadySettled);
    }
    let unknown = Fixture::message(&"content_1_ab".parse().unwrap(), "1");
    assert_eq!(f.download(&unknown).await, DownloadOutcome::AlreadySettled);
    assert!(f.keys_under("content/").await.is_empty());
    assert_eq!(f.item(&id, "1").await.attempts, 0);
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_too_little_time_nothing_is_begun() {
    let f = Fixture::new(&[]).await;
    f.fill(1).await;
    let id = f.trigger().await;
    f.discover(&id).await;
    let limits = RunLimits {
        deadline: Some(Timestamp::now() + Duration::from_secs(50)),
    };
    let message = Fixture::message(&id, "1");
    let outcome = download_item(&f.holdfast, &f.downloader, &message, limits)
        .await
        .unwrap();
    assert_eq!(
        (outcome, f.item(&id, "1").await.attempts),
        (DownloadOutcome::NoTime, 0)
    );
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_fails_settles_nothing_while_attempts_are_left() {
    let f = Fixture::new(&[]).await;
    f.add_ipfs(1, noise(100_000)).await;
    f.add_gaia(2, noise(20 * MIB)).await;
    let id = f.trigger().await;
    f.discover(&id).await;
    let faults = FaultStore::new(Arc::clone(&f.store.store));
    let h = f.over(faults.clone());
    for operation in [Operation::Put, Operation::UploadPart] {
        faults.on_every(operation, Fault::Unavailable);
    }
    for content_id in ["1", "2"] {
        let outcome = download_item(
            &h,
            &f.downloader,
            &Fixture::message(&id, content_id),
            RunLimits::none(),
        )
        .await;
        assert!(
            matches!(outcome.unwrap(), DownloadOutcome::Retry { .. }),
            "{content_id}"
        );
        assert_eq!(f.item(&id, content_id).await.status, ItemStatus::Pending);
    }
    faults.heal();
    for content_id in ["1", "2"] {
        let message = Fixture::message(&id, content_id);
        let outcome = download_item(&h, &f.downloader, &message, RunLimits::none())
            .await
            .unwrap();
        assert_eq!(
            (outcome, f.item(&id, content_id).await.attempts),
            (DownloadOutcome::Settled, 2)
        );
    }
    f.assert_nothing_on_its_way().await;
    f.remove().await;
}

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
async fn changed_gaia_content_is_a_new_object_and_the_old_one_stays() {
    let f = Fixture::new(&[]).await;
    f.add_gaia(1, "one").await;
    let first = f.back_up().await;
    f.add_gaia(1, "two").await;
    let old = f.item(&first.backup_id, "1").await.file.unwrap();
    let id = f.up_to_finalize().await;
    let new = f.item(&id, "1").await.file.unwrap();
    assert_eq!(
        (f.content_of(&old).await, f.content_of(&new).await),
        (b"one".to_vec(), b"two".to_vec())
    );
    f.finish(&id).await;
    // Gone at its origin: this backup records this, and uses the copy.
    f.node.remove_gaia("1.bin").await;
    let id = f.up_to_finalize().await;
    let record = f.item(&id, "1").await;
    assert_eq!(
        (record.status, record.error.unwrap().code),
        (ItemStatus::Unchanged, ItemFailureCode::NotFound)
    );
    assert_eq!(record.file.unwrap().object, new.object);
    assert_eq!(f.content_of(&new).await, b"two");
    f.remove().await;
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
async fn a_dead_letter_settles_its_item_so_that_the_backup_ends() {
    let f = Fixture::new(&[]).await;
    f.fill(2).await;
    let id = f.trigger().await;
    f.discover(&id).await;
    f.download(&Fixture::message(&id, "1")).await;
    assert!(
        !finalize_if_settled(&f.holdfast, &id, Timestamp::now())
            .await
            .unwrap()
    );
    let dead = Fixture::message(&id, "2");
    assert!(
        settle_undelivered(&f.holdfast, &dead, Timestamp::now())
            .await
            .unwrap()
    );
    assert!(
        !settle_undelivered(&f.holdfast, &dead, Timestamp::now())
            .await
            .unwrap()
    );
    assert!(
        !settle_undelivered(&f.holdfast, &Fixture::message(&id, "1"), Timestamp::now())
            .await
            .unwrap()
    );
    assert_eq!(
        f.item(&id, "2").await.error.unwrap().code,
        ItemFailureCode::NotDelivered
    );
    assert!(
        finalize_if_settled(&f.holdfast, &id, Timestamp::now())
            .await
            .unwrap()
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
