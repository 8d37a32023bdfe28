//! Encryption that is switched while a content backup runs, and the files of the repository, which
//! only the first step writes.

use holdfast_domain::{
    JobStatus, ObjectKey, RepositoryFile, Secret, Timestamp, settings::Settings,
};
use holdfast_operations::{
    OperationError, RunLimits, download_item, finalize_content, finalize_if_settled,
};
use holdfast_repository::RepositoryFileError;
use holdfast_storage::read_all;

use crate::support::{content::Fixture, holdfast::KEY};

fn encrypt(settings: &mut Settings) {
    settings.content.encryption = true;
    settings.encryption_key = Some(Secret::new(KEY));
}

async fn assert_no_encrypted_object(f: &Fixture) {
    let objects = f.keys_under(ObjectKey::OBJECTS).await;
    assert!(!objects.is_empty());
    for key in objects {
        assert!(!key.contains(".enc"), "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_backup_keeps_its_forms_when_the_settings_change() {
    let mut f = Fixture::new(&[]).await;
    f.fill(4).await;
    let id = f.trigger().await;
    f.discover(&id).await;
    f.set(|settings| {
        encrypt(settings);
        settings.content.compression = false;
    });
    f.download_all().await;
    assert!(
        finalize_if_settled(&f.holdfast, &id, Timestamp::now())
            .await
            .unwrap()
    );
    let job = f.finish(&id).await;
    assert_eq!(job.status, JobStatus::Completed);
    assert_eq!((job.encrypted, job.compressed), (false, true));
    assert_no_encrypted_object(&f).await;
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn encryption_is_switched_on_and_off_between_content_backups() {
    let mut f = Fixture::new(&[]).await;
    f.fill(4).await;
    let plain = f.up_to_finalize().await;
    assert!(!f.finish(&plain).await.encrypted);
    f.set(encrypt);
    let encrypted = f.up_to_finalize().await;
    let job = f.finish(&encrypted).await;
    assert!(job.encrypted && job.status == JobStatus::Completed);
    f.set(|settings| settings.content.encryption = false);
    let plain_again = f.up_to_finalize().await;
    let job = f.finish(&plain_again).await;
    assert!(!job.encrypted && job.status == JobStatus::Completed);
    let manifest = f.holdfast.repository.manifest(&encrypted).await.unwrap();
    assert!(manifest.encryption.is_some());
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_steps_after_discovery_write_no_file_of_the_repository() {
    let f = Fixture::new(&[
        ("BACKUP_CONTENT_ENCRYPTION", "true"),
        ("BACKUP_ENCRYPTION_KEY", KEY),
    ])
    .await;
    f.fill(2).await;
    let id = f.trigger().await;
    f.discover(&id).await;
    let store = f.store.store.as_ref();
    store.delete(&ObjectKey::repository_copy()).await.unwrap();
    f.download_all().await;
    assert!(
        finalize_if_settled(&f.holdfast, &id, Timestamp::now())
            .await
            .unwrap()
    );
    assert_eq!(f.finish(&id).await.status, JobStatus::Completed);
    let copy = store.head(&ObjectKey::repository_copy()).await;
    assert!(copy.unwrap_err().is_not_found());
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_and_a_finalization_never_create_a_key() {
    let f = Fixture::new(&[
        ("BACKUP_CONTENT_ENCRYPTION", "true"),
        ("BACKUP_ENCRYPTION_KEY", KEY),
    ])
    .await;
    f.fill(1).await;
    let id = f.trigger().await;
    f.discover(&id).await;
    let store = f.store.store.as_ref();
    let [key, copy] = [ObjectKey::repository(), ObjectKey::repository_copy()];
    let text = read_all(store, &key, 1 << 20).await.unwrap();
    let mut without: RepositoryFile = serde_json::from_slice(&text).unwrap();
    without.epochs.clear();
    let without = serde_json::to_vec(&without).unwrap();
    store.delete(&copy).await.unwrap();
    let replace = holdfast_storage::PutMode::Replace;
    store
        .put(&key, without.clone().into(), replace)
        .await
        .unwrap();
    let message = f.queue.take().remove(0);
    let error = download_item(&f.holdfast, &f.downloader, &message, RunLimits::none())
        .await
        .unwrap_err();
    let expected = |error: &OperationError| {
        matches!(
            error,
            OperationError::Repository(RepositoryFileError::NoKey(_))
        )
    };
    assert!(expected(&error), "{error}");
    f.rows("backup_items")
        .delete_many(mongodb::bson::doc! {})
        .await
        .unwrap();
    finalize_if_settled(&f.holdfast, &id, Timestamp::now())
        .await
        .unwrap();
    finalize_content(&f.holdfast, &id, RunLimits::none())
        .await
        .unwrap();
    let failure = f.job(&id).await.error.unwrap();
    assert!(
        failure.message.contains("has no master key yet"),
        "{failure:?}"
    );
    assert_eq!(read_all(store, &key, 1 << 20).await.unwrap(), without);
    f.remove().await;
}
