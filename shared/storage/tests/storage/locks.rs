//! Locks are detected before a delete, because a versioned bucket would allow it.

use std::time::Duration;

use aws_sdk_s3::{
    primitives::DateTime,
    types::{
        ObjectLockLegalHold, ObjectLockLegalHoldStatus, ObjectLockRetention,
        ObjectLockRetentionMode,
    },
};
use bytes::Bytes;
use holdfast_domain::{ObjectKey, Timestamp};
use holdfast_storage::{Lock, PutMode};
use holdfast_testing::TestStore;

fn key(text: &str) -> ObjectKey {
    text.parse().unwrap()
}

async fn put(test: &TestStore, key: &ObjectKey) {
    test.store
        .put(key, Bytes::from_static(b"x"), PutMode::Replace)
        .await
        .unwrap();
}

async fn hold(test: &TestStore, key: &ObjectKey, status: ObjectLockLegalHoldStatus) {
    let hold = ObjectLockLegalHold::builder().status(status).build();
    let request = test
        .client
        .put_object_legal_hold()
        .bucket(&test.bucket)
        .key(format!("{}/{key}", test.prefix));
    request.legal_hold(hold).send().await.unwrap();
}

#[tokio::test]
async fn an_ordinary_bucket_locks_nothing() {
    let test = TestStore::new().await;
    put(&test, &key("a")).await;
    for name in ["a", "not/there"] {
        let lock = test.store.lock(&key(name)).await.unwrap();
        assert_eq!(lock, Lock::default(), "{name}");
        assert!(!lock.holds(Timestamp::now()));
    }
    test.remove().await;
}

#[tokio::test]
async fn a_retention_period_holds_until_its_end() {
    let test = TestStore::with_object_lock().await;
    let key = key("a");
    put(&test, &key).await;
    assert_eq!(test.store.lock(&key).await.unwrap(), Lock::default());
    let until = Timestamp::from_second(Timestamp::now().as_second() + 3600).unwrap();
    let retention = ObjectLockRetention::builder()
        .mode(ObjectLockRetentionMode::Governance)
        .retain_until_date(DateTime::from_secs(until.as_second()))
        .build();
    let request = test
        .client
        .put_object_retention()
        .bucket(&test.bucket)
        .key(format!("{}/{key}", test.prefix));
    request.retention(retention).send().await.unwrap();
    let lock = test.store.lock(&key).await.unwrap();
    assert_eq!(
        lock,
        Lock {
            retained_until: Some(until),
            legal_hold: false
        }
    );
    assert!(lock.holds(Timestamp::now()));
    assert!(!lock.holds(until + Duration::from_secs(1)));
}

#[tokio::test]
async fn a_legal_hold_holds_until_it_is_lifted() {
    let test = TestStore::with_object_lock().await;
    let key = key("a");
    put(&test, &key).await;
    hold(&test, &key, ObjectLockLegalHoldStatus::On).await;
    let lock = test.store.lock(&key).await.unwrap();
    assert!(lock.legal_hold && lock.holds(Timestamp::MAX), "{lock:?}");
    hold(&test, &key, ObjectLockLegalHoldStatus::Off).await;
    assert!(!test.store.lock(&key).await.unwrap().holds(Timestamp::now()));
}
