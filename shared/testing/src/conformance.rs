//! The common rules of every store, on any medium: one suite for all.
#![expect(clippy::unwrap_used, reason = "a suite fails by panicking")]

use bytes::Bytes;
use futures_util::TryStreamExt;
use holdfast_domain::ObjectKey;
use holdfast_storage::{PutMode, Store, StoreError, UploadId, UploadedPart, read_all};

const MIB: usize = 1024 * 1024;

/// Tests an empty store against every rule. It is empty again afterwards.
///
/// # Panics
/// If the store breaks a rule.
pub async fn store(store: &dyn Store) {
    what_is_put_is_read(store).await;
    ranges_are_cut_exactly(store).await;
    what_is_absent_is_not_found(store).await;
    a_put_replaces_or_leaves_as_requested(store).await;
    lists_are_complete_and_in_order(store).await;
    odd_names_are_kept(store).await;
    deleting_twice_is_fine(store).await;
    an_upload_is_nothing_until_completed(store).await;
    an_aborted_upload_leaves_nothing(store).await;
    parts_of_other_content_are_refused(store).await;
    a_copy_is_the_object_again(store).await;
    a_copy_never_replaces(store).await;
    a_copy_of_nothing_is_not_found(store).await;
    a_copy_of_other_parts_is_refused(store).await;
    assert!(keys(store, "").await.is_empty());
    assert_eq!(store.list_unfinished_uploads("").await.unwrap(), []);
}

async fn what_is_put_is_read(store: &dyn Store) {
    for length in [0, 1, 70_000, 3 * MIB] {
        let (name, body) = (key("put/one"), content(length));
        let stored = store
            .put(&name, body.clone(), PutMode::Replace)
            .await
            .unwrap();
        assert_eq!(stored.size_bytes, length as u64);
        assert_eq!(read_all(store, &name, length).await.unwrap(), body);
        let info = store.head(&name).await.unwrap();
        assert_eq!((info.size_bytes, &info.key), (length as u64, &name));
        let age = holdfast_domain::Timestamp::now().duration_since(info.last_modified_at);
        assert!(
            age.as_secs().abs() < 60,
            "written just now, it reports {}",
            info.last_modified_at
        );
    }
    let error = read_all(store, &key("put/one"), 3 * MIB - 1)
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Limit { .. }), "{error}");
    store.delete(&key("put/one")).await.unwrap();
}

async fn ranges_are_cut_exactly(store: &dyn Store) {
    let (name, body) = (key("range"), content(1000));
    store
        .put(&name, body.clone(), PutMode::Replace)
        .await
        .unwrap();
    for range in [0..1, 0..1000, 10..20, 999..1000, 500..500] {
        let expected = body.slice(range.start..range.end);
        assert_eq!(
            read_range(store, &name, range.start as u64..range.end as u64).await,
            expected
        );
    }
    assert_eq!(
        read_range(store, &name, 990..5000).await,
        body.slice(990..),
        "a range ends at the end of the object"
    );
    let error = store
        .get(&name, Some(1000..1001))
        .await
        .map(drop)
        .unwrap_err();
    assert!(matches!(error, StoreError::Invalid { .. }), "{error}");
    store.delete(&name).await.unwrap();
}

async fn what_is_absent_is_not_found(store: &dyn Store) {
    let name = key("absent");
    assert!(store.head(&name).await.unwrap_err().is_not_found());
    assert!(
        store
            .get(&name, None)
            .await
            .map(drop)
            .unwrap_err()
            .is_not_found()
    );
    assert!(
        store
            .get(&name, Some(0..5))
            .await
            .map(drop)
            .unwrap_err()
            .is_not_found()
    );
}

async fn a_put_replaces_or_leaves_as_requested(store: &dyn Store) {
    let name = key("mode");
    let (first, second) = (Bytes::from_static(b"first"), Bytes::from_static(b"second"));
    store
        .put(&name, first.clone(), PutMode::IfAbsent)
        .await
        .unwrap();
    let error = store
        .put(&name, second.clone(), PutMode::IfAbsent)
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::AlreadyExists { .. }), "{error}");
    assert_eq!(
        read_all(store, &name, 100).await.unwrap(),
        first,
        "the earlier object stays"
    );
    store.put(&name, first, PutMode::IfAbsent).await.unwrap();
    let seen = store.head(&name).await.unwrap().etag;
    store
        .put(&name, second.clone(), PutMode::Replace)
        .await
        .unwrap();
    assert_eq!(read_all(store, &name, 100).await.unwrap(), second);
    let third = Bytes::from_static(b"third");
    let error = store
        .put(&name, third.clone(), PutMode::IfUnchanged(seen))
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::AlreadyExists { .. }), "{error}");
    assert_eq!(
        read_all(store, &name, 100).await.unwrap(),
        second,
        "it changed in the meantime, and is left"
    );
    let seen = store.head(&name).await.unwrap().etag;
    store
        .put(&name, third.clone(), PutMode::IfUnchanged(seen))
        .await
        .unwrap();
    assert_eq!(read_all(store, &name, 100).await.unwrap(), third);
    store.delete(&name).await.unwrap();
}

async fn lists_are_complete_and_in_order(store: &dyn Store) {
    let mut expected: Vec<ObjectKey> = (0..25)
        .map(|number| key(&format!("list/{number}")))
        .collect();
    for name in &expected {
        store
            .put(name, Bytes::from_static(b"abc"), PutMode::Replace)
            .await
            .unwrap();
    }
    store
        .put(&key("listed-not"), Bytes::new(), PutMode::Replace)
        .await
        .unwrap();
    expected.sort();
    assert_eq!(keys(store, "list/").await, expected);
    let infos: Vec<_> = store.list("list/1").try_collect().await.unwrap();
    assert_eq!(infos.len(), 11, "a prefix need not end at a `/`");
    assert!(infos.iter().all(|info| info.size_bytes == 3));
    assert_eq!(keys(store, "nothing/").await, []);
    expected.push(key("listed-not"));
    for name in &expected {
        store.delete(name).await.unwrap();
    }
}

async fn odd_names_are_kept(store: &dyn Store) {
    for text in [
        "a b",
        "odd/100% +plus&and=is?what#hash",
        "odd/~!@$^*()_-{}[]|:;\"'<>,",
        "odd/back\\slash",
        "odd/%2F",
        "odd/.a",
        "odd/...",
    ] {
        let name = key(text);
        let body = Bytes::from(text.to_owned());
        match store.put(&name, body.clone(), PutMode::Replace).await {
            // An object that would get another name must not be stored.
            Err(StoreError::Invalid { .. }) if text.contains('\\') || text.ends_with('.') => {
                assert_eq!(keys(store, "odd/").await, [], "{text}");
                continue;
            }
            stored => stored.unwrap(),
        };
        assert_eq!(read_all(store, &name, 100).await.unwrap(), body, "{text}");
        assert_eq!(
            keys(store, text).await,
            std::slice::from_ref(&name),
            "{text}"
        );
        store.delete(&name).await.unwrap();
        assert!(
            store.head(&name).await.unwrap_err().is_not_found(),
            "{text}"
        );
    }
}

async fn deleting_twice_is_fine(store: &dyn Store) {
    let name = key("deleted");
    store
        .put(&name, Bytes::from_static(b"x"), PutMode::Replace)
        .await
        .unwrap();
    store.delete(&name).await.unwrap();
    store.delete(&name).await.unwrap();
    assert!(store.head(&name).await.unwrap_err().is_not_found());
}

async fn an_upload_is_nothing_until_completed(store: &dyn Store) {
    let (name, body) = (key("upload/whole"), content(5 * MIB + 77));
    let upload = store.begin_upload(&name).await.unwrap();
    // In any order: the numbers count.
    let last = store
        .upload_part(&name, &upload, 2, body.slice(5 * MIB..))
        .await
        .unwrap();
    let first = store
        .upload_part(&name, &upload, 1, body.slice(..5 * MIB))
        .await
        .unwrap();
    assert!(store.head(&name).await.unwrap_err().is_not_found());
    assert_eq!(keys(store, "upload/").await, []);
    let unfinished = store.list_unfinished_uploads("upload/").await.unwrap();
    assert_eq!(
        unfinished
            .iter()
            .map(|one| (&one.key, &one.upload_id))
            .collect::<Vec<_>>(),
        [(&name, &upload)]
    );
    assert_eq!(
        store.list_unfinished_uploads("elsewhere/").await.unwrap(),
        []
    );
    let stored = store
        .complete_upload(&name, &upload, &[first.clone(), last.clone()])
        .await
        .unwrap();
    assert_eq!(stored.size_bytes, body.len() as u64);
    assert_eq!(store.list_unfinished_uploads("").await.unwrap(), []);
    assert_eq!(read_all(store, &name, body.len()).await.unwrap(), body);
    assert_eq!(
        store
            .complete_upload(&name, &upload, &[first, last])
            .await
            .unwrap(),
        stored,
        "done twice is done"
    );
    store.delete(&name).await.unwrap();
}

async fn an_aborted_upload_leaves_nothing(store: &dyn Store) {
    let name = key("upload/aborted");
    let upload = store.begin_upload(&name).await.unwrap();
    let part = store
        .upload_part(&name, &upload, 1, content(100))
        .await
        .unwrap();
    store.abort_upload(&name, &upload).await.unwrap();
    store.abort_upload(&name, &upload).await.unwrap();
    store
        .abort_upload(&name, &UploadId("never-was".to_owned()))
        .await
        .unwrap();
    assert_eq!(store.list_unfinished_uploads("").await.unwrap(), []);
    let error = store
        .complete_upload(&name, &upload, &[part])
        .await
        .unwrap_err();
    assert!(error.is_not_found(), "{error}");
    assert!(store.head(&name).await.unwrap_err().is_not_found());
}

async fn parts_of_other_content_are_refused(store: &dyn Store) {
    let name = key("upload/altered");
    let upload = store.begin_upload(&name).await.unwrap();
    let mut part = store
        .upload_part(&name, &upload, 1, content(100))
        .await
        .unwrap();
    part.sha256 = [7; 32].into();
    let error = store
        .complete_upload(&name, &upload, &[part])
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    store.abort_upload(&name, &upload).await.unwrap();
    store.delete(&name).await.unwrap();
}

async fn a_copy_is_the_object_again(store: &dyn Store) {
    for (to, body) in [
        ("copy/of parts+100%?", content(10 * MIB + 77)),
        ("copy/of/one", content(100)),
    ] {
        let (from, to) = (key("copied/100% +plus&and=is?what#hash"), key(to));
        let parts = upload(store, &from, &body).await;
        let stored = store.copy(&from, &to, &parts).await.unwrap();
        assert_eq!(stored.size_bytes, body.len() as u64);
        assert_eq!(read_all(store, &to, body.len()).await.unwrap(), body);
        assert_eq!(
            store.copy(&from, &to, &parts).await.unwrap(),
            stored,
            "done twice is done"
        );
        store.delete(&from).await.unwrap();
        assert_eq!(
            read_all(store, &to, body.len()).await.unwrap(),
            body,
            "it is a separate object"
        );
        store.delete(&to).await.unwrap();
    }
}

async fn a_copy_never_replaces(store: &dyn Store) {
    let (from, to, body) = (key("copied"), key("copy"), content(5 * MIB + 1));
    let parts = upload(store, &from, &body).await;
    // Of the same length, and of another.
    for held in [
        content(5 * MIB + 1).slice(1..),
        Bytes::from(vec![0; 5 * MIB + 1]),
    ] {
        store
            .put(&to, held.clone(), PutMode::Replace)
            .await
            .unwrap();
        let error = store.copy(&from, &to, &parts).await.unwrap_err();
        assert!(matches!(error, StoreError::AlreadyExists { .. }), "{error}");
        assert_eq!(
            read_all(store, &to, held.len()).await.unwrap(),
            held,
            "the earlier object stays"
        );
    }
    assert_eq!(
        read_all(store, &from, body.len()).await.unwrap(),
        body,
        "the source of the copy stays too"
    );
    store.delete(&from).await.unwrap();
    store.delete(&to).await.unwrap();
}

async fn a_copy_of_nothing_is_not_found(store: &dyn Store) {
    let (from, to) = (key("copied"), key("copy"));
    let parts = upload(store, &from, &content(100)).await;
    store.delete(&from).await.unwrap();
    assert!(
        store
            .copy(&from, &to, &parts)
            .await
            .unwrap_err()
            .is_not_found()
    );
    assert!(store.head(&to).await.unwrap_err().is_not_found());
}

async fn a_copy_of_other_parts_is_refused(store: &dyn Store) {
    let (from, to, body) = (key("copied"), key("copy"), content(5 * MIB + 100));
    let parts = upload(store, &from, &body).await;
    let altered = |alter: fn(&mut Vec<UploadedPart>)| {
        let mut parts = parts.clone();
        alter(&mut parts);
        parts
    };
    for other in [
        altered(|parts| parts[1].sha256 = [7; 32].into()),
        altered(|parts| parts[1].size_bytes -= 1),
        altered(|parts| parts.swap(0, 1)),
        altered(|parts| parts.truncate(1)),
        altered(Vec::clear),
    ] {
        let error = store.copy(&from, &to, &other).await.unwrap_err();
        assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
        assert!(store.head(&to).await.unwrap_err().is_not_found());
    }
    store.delete(&from).await.unwrap();
}

/// An object in parts of 5 MiB.
async fn upload(store: &dyn Store, key: &ObjectKey, body: &Bytes) -> Vec<UploadedPart> {
    let upload = store.begin_upload(key).await.unwrap();
    let mut parts = Vec::new();
    for (number, piece) in (1..).zip(body.chunks(5 * MIB)) {
        parts.push(
            store
                .upload_part(key, &upload, number, Bytes::copy_from_slice(piece))
                .await
                .unwrap(),
        );
    }
    store.complete_upload(key, &upload, &parts).await.unwrap();
    parts
}

fn key(text: &str) -> ObjectKey {
    text.parse().unwrap()
}

/// Bytes that differ from place to place, so that a shifted range is detected.
fn content(length: usize) -> Bytes {
    (0..length)
        .map(|index| u8::try_from((index % 251) ^ ((index >> 16) % 251)).unwrap())
        .collect()
}

async fn keys(store: &dyn Store, prefix: &str) -> Vec<ObjectKey> {
    store
        .list(prefix)
        .map_ok(|info| info.key)
        .try_collect()
        .await
        .unwrap()
}

async fn read_range(store: &dyn Store, key: &ObjectKey, range: std::ops::Range<u64>) -> Vec<u8> {
    let chunks: Vec<Bytes> = store
        .get(key, Some(range))
        .await
        .unwrap()
        .try_collect()
        .await
        .unwrap();
    chunks.concat()
}
