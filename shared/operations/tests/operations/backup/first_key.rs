//! The first master key of a repository that holds backups already.

use std::sync::Arc;

use bytes::Bytes;
use holdfast_domain::{Encoding, ObjectKey, Secret, Timestamp};
use holdfast_repository::{EncryptionMode, RepositoryError, RepositoryFileError};
use holdfast_storage::PutMode;
use holdfast_testing::{
    TestStore,
    proxy::{FaultProxy, WireFault},
};

use crate::support::database::{Fixture, KEY};

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_manifest_blocks_the_first_key_and_differs_from_a_lost_key() {
    let proxy = FaultProxy::start().await;
    let f = Fixture::with_store(&[], TestStore::at(proxy.endpoint()).await).await;
    f.fill(10).await;
    let id = f.back_up().await.backup_id;
    let h = f.with(|settings| settings.encryption_key = Some(Secret::new(KEY)));
    let manifest = ObjectKey::manifest(&id);
    proxy.fail(
        "GET",
        "/manifest.json",
        2,
        WireFault::error(403, "AccessDenied"),
    );
    let error = h
        .repository
        .init(EncryptionMode::On, Timestamp::now())
        .await
        .unwrap_err();
    let RepositoryError::File(RepositoryFileError::MayNotRead {
        manifest: found, ..
    }) = &error
    else {
        panic!("{error}");
    };
    assert_eq!(*found, manifest);
    let text = error.to_string();
    assert!(
        text.contains(manifest.as_str()) && text.contains("`holdfast init`"),
        "{text}"
    );
    assert!(h.repository.open().await.unwrap().epochs.is_empty());

    let artifact = ObjectKey::database_dump(
        &id,
        9,
        Encoding {
            compressed: true,
            encrypted: true,
        },
    );
    let store = Arc::clone(&f.store.store);
    store
        .put(&artifact, Bytes::from_static(b"x"), PutMode::Replace)
        .await
        .unwrap();
    let error = h
        .repository
        .init(EncryptionMode::On, Timestamp::now())
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            RepositoryError::File(RepositoryFileError::KeyLost(..))
        ),
        "{error}"
    );
    store.delete(&artifact).await.unwrap();

    let report = h
        .repository
        .init(EncryptionMode::On, Timestamp::now())
        .await
        .unwrap();
    assert!(report.key_created);
    f.remove().await;
}
