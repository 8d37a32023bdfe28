//! A copy has the same objects, byte for byte. It is enough to list, verify and restore a backup,
//! and to recreate its job.

use std::sync::Mutex;

use holdfast_domain::{CopyStatus, Job, ObjectKey};
use holdfast_operations::{
    CopyMode, CopyStep, Holdfast, OperationError, RunLimits, copy_backup, copy_without_catalogue,
    is_copied, rebuild_catalog,
};
use holdfast_recovery::restore_database;
use holdfast_storage::Store as _;

use super::fixture::{Second, copied, read, step, told};
use crate::support::{content::KEY, database::Fixture};

const ENCRYPTED: &[(&str, &str)] = &[
    ("BACKUP_DATABASE_ENCRYPTION", "true"),
    ("BACKUP_ENCRYPTION_KEY", KEY),
];

async fn everything_comes_back_from_a_copy(settings: &[(&str, &str)]) {
    let f = Fixture::new(settings).await;
    f.fill(300).await;
    f.fill_with_noise(20).await;
    let id = f.back_up().await.backup_id;
    let second = Second::new();
    let seen = Mutex::new(Vec::new());
    let note = |done, of| seen.lock().unwrap().push((done, of));
    let step = copy_backup(
        &f.holdfast,
        &second.repository,
        &id,
        CopyMode::Missing,
        RunLimits::none(),
        &note,
    )
    .await;
    let CopyStep::Done(report) = step.unwrap() else {
        panic!("it has all the time there is")
    };
    assert_eq!(
        (report.copied, report.present, report.mended.len()),
        (3, 0, 0),
        "dump, guide, manifest"
    );
    let (done, of) = *seen.lock().unwrap().last().unwrap();
    assert!(done == of && done > 20 << 20, "{done} of {of}");
    assert!(report.bytes >= done);
    let job = f.job(&id).await;
    assert!(is_copied(&job, &second.repository));
    assert_eq!(told(&f.holdfast, &id).await, (CopyStatus::Completed, None));
    second.assert_equals(f.store.store.as_ref()).await;
    // The first store and the catalogue are not used from here on.
    assert_eq!(second.repository.list().await.unwrap().len(), 1);
    second.assert_good(&id).await;
    let (target, to) = f.target();
    let restored = restore_database(&second.repository, &id, &target, &|_| {})
        .await
        .unwrap();
    assert!(restored.is_faithful(), "{restored:?}");
    assert_eq!(f.contents(&to).await, f.contents(&f.database).await);
    f.client.database(&to).drop().await.unwrap();
    the_job_comes_back(&f, &second, &job).await;
    f.remove().await;
}

/// From a copy, into an empty catalogue.
async fn the_job_comes_back(f: &Fixture, second: &Second, job: &Job) {
    f.client.database(&f.catalog_database).drop().await.unwrap();
    let h = Holdfast {
        repository: second.repository.clone(),
        ..f.holdfast.clone()
    };
    rebuild_catalog(&h, &|_| ()).await.unwrap();
    let rebuilt = f.job(&job.backup_id).await;
    assert_eq!(
        (rebuilt.status, rebuilt.checksum),
        (job.status, job.checksum)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_a_repository_of_its_own() {
    everything_comes_back_from_a_copy(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encrypted_copy_is_a_repository_of_its_own() {
    everything_comes_back_from_a_copy(ENCRYPTED).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_there_is_not_sent_again() {
    let f = Fixture::new(&[]).await;
    f.fill(10).await;
    let (id, second) = (f.back_up().await.backup_id, Second::new());
    copied(&f.holdfast, &second.repository, &id).await;
    let again = copied(&f.holdfast, &second.repository, &id).await;
    assert_eq!((again.copied, again.present, again.bytes), (0, 3, 0));
    second
        .memory
        .delete(&ObjectKey::restore_guide(&id))
        .await
        .unwrap();
    assert_eq!(
        copied(&f.holdfast, &second.repository, &id).await.copied,
        1,
        "deleted objects are sent again"
    );
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_catalogue_a_copy_is_as_good() {
    let f = Fixture::new(&[]).await;
    f.fill(10).await;
    let (id, second) = (f.back_up().await.backup_id, Second::new());
    f.client.database(&f.catalog_database).drop().await.unwrap();
    let copy = copy_without_catalogue(
        &f.holdfast.repository,
        &second.repository,
        &id,
        CopyMode::Missing,
        &|_, _| (),
    );
    assert_eq!(copy.await.unwrap().copied, 3);
    second.assert_good(&id).await;
    // An empty catalogue does not prevent the copy either.
    assert_eq!(
        copied(&f.holdfast, &second.repository, &id).await.present,
        3
    );
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_exists_is_copied() {
    let f = Fixture::new(&[]).await;
    f.holdfast
        .repository
        .init(
            holdfast_repository::EncryptionMode::Off,
            holdfast_domain::Timestamp::now(),
        )
        .await
        .unwrap();
    let (running, second) = (f.trigger().await, Second::new());
    let refused = step(&f.holdfast, &second.repository, &running)
        .await
        .unwrap_err();
    assert!(matches!(refused, OperationError::Invalid(_)), "{refused}");
    let full = "full_1_aa".parse().unwrap();
    assert!(matches!(
        step(&f.holdfast, &second.repository, &full).await,
        Err(OperationError::Invalid(_))
    ));
    let unknown = "db_1_aa".parse().unwrap();
    assert_eq!(
        step(&f.holdfast, &second.repository, &unknown)
            .await
            .unwrap(),
        CopyStep::Gone
    );
    let by_hand = copy_without_catalogue(
        &f.holdfast.repository,
        &second.repository,
        &unknown,
        CopyMode::Missing,
        &|_, _| (),
    );
    assert!(matches!(by_hand.await, Err(OperationError::NotFound(_))));
    assert!(second.memory.keys().is_empty());
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dump_of_another_backup_is_not_taken_for_another_form_of_a_dump() {
    let settings = [ENCRYPTED, &[("BACKUP_DATABASE_COMPRESSION", "false")]].concat();
    let f = Fixture::new(&settings).await;
    f.fill(50).await;
    let (one, other) = (f.back_up().await, f.back_up().await);
    let second = Second::new();
    copied(&f.holdfast, &second.repository, &one.backup_id).await;
    let key = one.key.unwrap();
    // The same size, and a header by a holder of the key. Only the salt and its consequences
    // differ.
    let foreign = read(f.store.store.as_ref(), &other.key.unwrap()).await;
    assert_eq!(foreign.len(), second.object(&key).await.len());
    second.replace(&key, foreign).await;
    let refused = step(&f.holdfast, &second.repository, &one.backup_id)
        .await
        .unwrap_err();
    assert!(
        refused.to_string().contains(key.as_str()) && refused.to_string().contains("--repair"),
        "{refused}"
    );
    f.remove().await;
}
