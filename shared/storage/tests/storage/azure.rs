//! Faults possible only in Azure: keys, uncommitted blocks under a blob's name, remains of an
//! abort, links.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use futures_util::TryStreamExt;
use holdfast_domain::{ObjectKey, Timestamp};
use holdfast_storage::{Lock, PutMode, Store, StoreError, UploadId, UploadedPart, read_all};
use holdfast_testing::{
    SecondStore, azure_store_with, parts,
    proxy::{FaultProxy, WireFault},
    quick_retry, unique,
};

const PART: usize = 5 * 1024 * 1024;

#[tokio::test]
async fn a_wrong_key_is_a_denial_and_is_not_shown() {
    let wrong = STANDARD.encode("the key of another account");
    let store = azure_store_with(
        &parts().azure_endpoint(),
        &unique("holdfast-none"),
        &wrong,
        quick_retry(),
    );
    for error in [
        store
            .put(&key("x"), body(1), PutMode::Replace)
            .await
            .unwrap_err(),
        store.head(&key("x")).await.unwrap_err(),
        store.list("").try_next().await.unwrap_err(),
    ] {
        assert!(matches!(error, StoreError::Denied { .. }), "{error}");
        assert!(!format!("{error:?}").contains(&wrong), "{error:?}");
    }
}

#[tokio::test]
async fn more_unfinished_uploads_than_a_page_are_all_found() {
    let second = SecondStore::azure().await;
    let (container, _) = names(&second);
    let store = azure_store_with(
        &parts().azure_endpoint(),
        &container,
        holdfast_testing::AZURE_KEY,
        quick_retry(),
    )
    .with_page_size(2);
    let began_at = Timestamp::now();
    for number in 0..5 {
        let name = key(&format!("u/{}", number / 2));
        let upload = store.begin_upload(&name).await.unwrap();
        store
            .upload_part(&name, &upload, 1, body(10))
            .await
            .unwrap();
    }
    // Complete objects are not among them.
    store
        .put(&key("u/empty"), Bytes::new(), PutMode::Replace)
        .await
        .unwrap();
    let found = store.list_unfinished_uploads("u/").await.unwrap();
    assert_eq!(found.len(), 5);
    for upload in found {
        let since = upload.initiated_at.duration_since(began_at);
        assert!(
            (-1..120).contains(&since.as_secs()),
            "{}",
            upload.initiated_at
        );
    }
}

#[tokio::test]
async fn an_upload_that_may_be_running_survives_the_abort_of_another_of_its_name() {
    let second = SecondStore::azure().await;
    let (given_up, _) = upload(&second, &key("x"), 1).await;
    let (running, parts) = upload(&second, &key("x"), 2).await;
    second
        .store
        .abort_upload(&key("x"), &given_up)
        .await
        .unwrap();
    let stored = second
        .store
        .complete_upload(&key("x"), &running, &parts)
        .await
        .unwrap();
    assert_eq!(stored.size_bytes, (PART + 9) as u64);
    assert_eq!(second.store.list_unfinished_uploads("").await.unwrap(), []);
    assert_eq!(second.all_keys().await, ["x"]);
}

#[tokio::test]
async fn of_two_uploads_of_one_name_one_becomes_the_object() {
    let second = SecondStore::azure().await;
    let (one, its_parts) = upload(&second, &key("x"), 1).await;
    let (other, other_parts) = upload(&second, &key("x"), 2).await;
    second
        .store
        .complete_upload(&key("x"), &one, &its_parts)
        .await
        .unwrap();
    let error = second
        .store
        .complete_upload(&key("x"), &other, &other_parts)
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::AlreadyExists { .. } | StoreError::NotFound { .. }
        ),
        "{error}"
    );
    let (again, same_parts) = upload(&second, &key("x"), 1).await;
    second
        .store
        .complete_upload(&key("x"), &again, &same_parts)
        .await
        .unwrap();
    assert_eq!(
        read_all(&*second.store, &key("x"), 2 * PART).await.unwrap(),
        content(1)
    );
}

#[tokio::test]
async fn what_an_abort_leaves_when_it_is_killed_is_nothing_and_is_in_nobodys_way() {
    let proxy = FaultProxy::before(&parts().azure_endpoint()).await;
    let second = SecondStore::azure_at(proxy.endpoint()).await;
    for name in ["put", "upload"] {
        let (given_up, _) = upload(&second, &key(name), 1).await;
        proxy.fail(
            "DELETE",
            name,
            1,
            WireFault::error(403, "AuthorizationFailure"),
        );
        second
            .store
            .abort_upload(&key(name), &given_up)
            .await
            .unwrap_err();
        assert!(
            second
                .store
                .head(&key(name))
                .await
                .unwrap_err()
                .is_not_found()
        );
        assert!(
            second
                .store
                .get(&key(name), None)
                .await
                .map(drop)
                .unwrap_err()
                .is_not_found()
        );
    }
    second.assert_empty().await;
    second
        .store
        .put(&key("put"), body(10), PutMode::IfAbsent)
        .await
        .unwrap();
    let (again, parts) = upload(&second, &key("upload"), 2).await;
    second
        .store
        .complete_upload(&key("upload"), &again, &parts)
        .await
        .unwrap();
    assert_eq!(
        read_all(&*second.store, &key("put"), 10).await.unwrap(),
        body(10)
    );
    assert_eq!(
        read_all(&*second.store, &key("upload"), 2 * PART)
            .await
            .unwrap(),
        content(2)
    );
}

#[tokio::test]
async fn an_abort_whose_first_answer_was_lost_leaves_nothing() {
    let proxy = FaultProxy::before(&parts().azure_endpoint()).await;
    let second = SecondStore::azure_at(proxy.endpoint()).await;
    let (given_up, _) = upload(&second, &key("x"), 1).await;
    proxy.fail("PUT", "comp=blocklist", 1, WireFault::LoseAnswer);
    second
        .store
        .abort_upload(&key("x"), &given_up)
        .await
        .unwrap();
    second.assert_empty().await;
}

#[tokio::test]
async fn a_missing_or_empty_upload_is_no_success() {
    let second = SecondStore::azure().await;
    let (gone, parts) = upload(&second, &key("x"), 1).await;
    second.store.abort_upload(&key("x"), &gone).await.unwrap();
    assert!(
        second
            .store
            .complete_upload(&key("x"), &gone, &parts)
            .await
            .unwrap_err()
            .is_not_found()
    );
    let unknown = UploadId("never-was".to_owned());
    assert!(
        second
            .store
            .upload_part(&key("x"), &unknown, 1, body(1))
            .await
            .unwrap_err()
            .is_not_found()
    );
    let empty = second.store.begin_upload(&key("x")).await.unwrap();
    let error = second
        .store
        .complete_upload(&key("x"), &empty, &[])
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Invalid { .. }), "{error}");
    second.assert_empty().await;
}

#[tokio::test]
async fn a_name_that_azure_would_change_is_refused() {
    let second = SecondStore::azure().await;
    for name in ["a\\b", "a./b", "a/b."] {
        let error = second
            .store
            .put(&key(name), body(1), PutMode::Replace)
            .await
            .unwrap_err();
        assert!(matches!(error, StoreError::Invalid { .. }), "{error}");
        assert!(second.store.begin_upload(&key(name)).await.is_err());
    }
    second.assert_empty().await;
}

#[tokio::test]
async fn a_link_reads_one_object_without_credentials_until_it_ends() {
    let second = SecondStore::azure().await;
    for name in ["exports/a b+%.json", "other"] {
        second
            .store
            .put(&key(name), Bytes::from_static(b"x"), PutMode::Replace)
            .await
            .unwrap();
    }
    let link = second
        .store
        .link(&key("exports/a b+%.json"), Duration::from_hours(1))
        .await
        .unwrap()
        .unwrap();
    let left = link.expires_at.duration_since(Timestamp::now()).as_secs();
    assert!((3_500..=3_600).contains(&left), "{left}");
    let answer = reqwest::get(link.url.expose()).await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), answer.bytes().await.unwrap()),
        (200, Bytes::from_static(b"x"))
    );
    let of_another = link
        .url
        .expose()
        .replace("exports/a%20b%2B%25.json", "other");
    assert_ne!(of_another, link.url.expose());
    assert_eq!(
        reqwest::get(of_another).await.unwrap().status().as_u16(),
        403
    );
}

#[tokio::test]
async fn an_ordinary_container_locks_nothing() {
    let second = SecondStore::azure().await;
    second
        .store
        .put(&key("a"), body(1), PutMode::Replace)
        .await
        .unwrap();
    for name in ["a", "not/there"] {
        assert_eq!(
            second.store.lock(&key(name)).await.unwrap(),
            Lock::default(),
            "{name}"
        );
    }
}

/// Two parts of the content of this number, not yet completed.
async fn upload(
    second: &SecondStore,
    key: &ObjectKey,
    number: u8,
) -> (UploadId, Vec<UploadedPart>) {
    let whole = content(number);
    let upload = second.store.begin_upload(key).await.unwrap();
    let first = second
        .store
        .upload_part(key, &upload, 1, whole.slice(..PART))
        .await
        .unwrap();
    let last = second
        .store
        .upload_part(key, &upload, 2, whole.slice(PART..))
        .await
        .unwrap();
    (upload, vec![first, last])
}

/// Container and prefix.
fn names(second: &SecondStore) -> (String, String) {
    let holdfast_domain::settings::StoreLocation::Azure {
        container, prefix, ..
    } = second.location.clone()
    else {
        panic!("{} is not in Azure", second.location)
    };
    (container, prefix)
}

fn content(number: u8) -> Bytes {
    vec![number; PART + 9].into()
}

fn key(text: &str) -> ObjectKey {
    text.parse().unwrap()
}

fn body(length: usize) -> Bytes {
    (0..length)
        .map(|index| u8::try_from(index % 253).unwrap())
        .collect()
}
