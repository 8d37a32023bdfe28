//! Content: every object of the list, once. Objects shared with copied backups exist already.

use std::fs;

use holdfast_domain::{CopyStatus, ObjectKey};
use holdfast_operations::{CopyMode, CopyStep, RunLimits, copy_backup};
use holdfast_recovery::restore_content;
use holdfast_testing::{Fault, FaultStore, Operation};

use super::fixture::{Second, copied, over, step, told};
use crate::support::{
    content::finalized::{files_in, folder},
    content::{Fixture, KEY, noise},
};

async fn content_comes_back(settings: &[(&str, &str)]) {
    let f = Fixture::new(settings).await;
    f.fill(6).await;
    f.add_gaia(7, noise(9 << 20)).await;
    f.add_ipfs(8, noise(700_000)).await;
    let id = f.back_up().await.backup_id;
    let second = Second::new();
    copied(&f.holdfast, &second.repository, &id).await;
    assert_eq!(told(&f.holdfast, &id).await, (CopyStatus::Completed, None));
    second.assert_equals(f.store.store.as_ref()).await;
    second.assert_good(&id).await;
    let (to, from_first) = (folder("from-copy"), folder("from-first"));
    assert!(
        restore_content(&second.repository, &id, &to, None, &|_| {})
            .await
            .unwrap()
            .is_faithful()
    );
    restore_content(&f.holdfast.repository, &id, &from_first, None, &|_| {})
        .await
        .unwrap();
    assert_eq!(files_in(&to), files_in(&from_first));
    fs::remove_dir_all(&to).unwrap();
    fs::remove_dir_all(&from_first).unwrap();
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn content_comes_back_from_a_copy() {
    content_comes_back(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn encrypted_content_comes_back_from_a_copy() {
    content_comes_back(&[
        ("BACKUP_CONTENT_ENCRYPTION", "true"),
        ("BACKUP_ENCRYPTION_KEY", KEY),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_backups_share_is_sent_once() {
    let f = Fixture::new(&[]).await;
    f.fill(4).await;
    let (first, second) = (f.back_up().await.backup_id, Second::new());
    let report = copied(&f.holdfast, &second.repository, &first).await;
    // Four files and the blocks of two, the list and the archive, the guide, the manifest.
    assert_eq!(
        (report.copied, report.present),
        (10, 0),
        "{:?}",
        second.memory.keys()
    );
    f.add_gaia(5, b"one more").await;
    let next = f.back_up().await.backup_id;
    let report = copied(&f.holdfast, &second.repository, &next).await;
    assert_eq!((report.copied, report.present), (5, 6));
    second.assert_good(&next).await;
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_resumes_after_its_copied_objects() {
    let f = Fixture::new(&[]).await;
    f.fill(300).await;
    let (id, second) = (f.back_up().await.backup_id, Second::new());
    let faults = FaultStore::new(second.memory.clone());
    let through = over(faults.clone());
    // The entire first batch, and some of the second.
    let objects = |keys: Vec<ObjectKey>| {
        keys.iter()
            .filter(|key| key.content_address().is_some())
            .count()
    };
    faults.on_every(Operation::Head, Fault::Unavailable);
    assert!(
        step(&f.holdfast, &through, &id)
            .await
            .unwrap_err()
            .is_transient()
    );
    faults.heal();
    let before = faults.calls(Operation::Put);
    faults.on(Operation::Put, before + 420, Fault::Full);
    assert!(step(&f.holdfast, &through, &id).await.is_err());
    assert!(
        (256..300).contains(&objects(second.memory.keys())),
        "{}",
        objects(second.memory.keys())
    );
    let looked_at = faults.calls(Operation::Head);
    let now_whole = copied(&f.holdfast, &through, &id).await;
    assert!(now_whole.copied >= 1);
    assert!(
        faults.calls(Operation::Head) - looked_at < 150,
        "finished objects are not checked again"
    );
    second.assert_good(&id).await;
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn little_time_is_enough_in_the_end() {
    let f = Fixture::new(&[]).await;
    f.fill(20).await;
    let (id, second) = (f.back_up().await.backup_id, Second::new());
    // The run ends half a minute before the deadline.
    let over = RunLimits {
        deadline: Some(holdfast_domain::Timestamp::now()),
    };
    let ended = copy_backup(
        &f.holdfast,
        &second.repository,
        &id,
        CopyMode::Missing,
        over,
        &|_, _| (),
    )
    .await
    .unwrap();
    assert_eq!(ended, CopyStep::Continue);
    assert_eq!(told(&f.holdfast, &id).await, (CopyStatus::Pending, None));
    copied(&f.holdfast, &second.repository, &id).await;
    second.assert_good(&id).await;
    f.remove().await;
}
