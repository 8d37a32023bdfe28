//! A read returns one content from its first byte to its last, or an error.

use std::{
    fs::{self, OpenOptions},
    io::Write,
};

use bytes::Bytes;
use futures_util::TryStreamExt;
use holdfast_storage::{ByteStream, PutMode, Store, StoreError};

use super::{Folder, key};

const LENGTH: usize = 3_000_000;

async fn begun(folder: &Folder) -> (ByteStream, Vec<u8>) {
    folder
        .store
        .put(&key("x"), Bytes::from(vec![1; LENGTH]), PutMode::Replace)
        .await
        .unwrap();
    let mut stream = folder.store.get(&key("x"), None).await.unwrap();
    let first = stream.try_next().await.unwrap().unwrap();
    assert!(first.len() < LENGTH / 2);
    (stream, first.to_vec())
}

async fn rest(stream: ByteStream) -> Result<Vec<u8>, StoreError> {
    let chunks: Vec<Bytes> = stream.try_collect().await?;
    Ok(chunks.concat())
}

#[tokio::test]
async fn an_object_that_is_replaced_or_deleted_is_read_to_its_end_as_it_was() {
    let folder = Folder::new().await;
    let (stream, first) = begun(&folder).await;
    folder
        .store
        .put(&key("x"), Bytes::from(vec![2; LENGTH]), PutMode::Replace)
        .await
        .unwrap();
    assert!([first, rest(stream).await.unwrap()].concat() == vec![1; LENGTH]);
    let (stream, first) = begun(&folder).await;
    folder.store.delete(&key("x")).await.unwrap();
    assert!([first, rest(stream).await.unwrap()].concat() == vec![1; LENGTH]);
}

#[tokio::test]
async fn a_file_that_is_cut_while_it_is_read_is_an_error_and_not_an_end() {
    let folder = Folder::new().await;
    let (stream, _) = begun(&folder).await;
    OpenOptions::new()
        .write(true)
        .open(folder.path("root/x"))
        .unwrap()
        .set_len(1_000_000)
        .unwrap();
    let error = rest(stream).await.unwrap_err();
    assert!(
        matches!(error, StoreError::Corrupt { .. }) && error.to_string().contains("1000000"),
        "{error}"
    );
}

#[tokio::test]
async fn a_file_that_is_written_into_while_it_is_read_is_an_error() {
    let folder = Folder::new().await;
    let (stream, _) = begun(&folder).await;
    OpenOptions::new()
        .write(true)
        .open(folder.path("root/x"))
        .unwrap()
        .write_all(b"x")
        .unwrap();
    let error = rest(stream).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
}

#[tokio::test]
async fn every_content_has_a_mark_of_its_own() {
    let folder = Folder::new().await;
    let mut marks = std::collections::HashSet::new();
    for number in 0..200_u8 {
        folder
            .store
            .put(&key("x"), Bytes::from(vec![number]), PutMode::Replace)
            .await
            .unwrap();
        assert!(
            marks.insert(folder.store.head(&key("x")).await.unwrap().etag),
            "{number}"
        );
    }
    let listed = folder.store.list("").try_next().await.unwrap().unwrap();
    assert!(marks.contains(&listed.etag));
    fs::remove_file(folder.path("root/x")).unwrap();
    let error = folder
        .store
        .put(&key("x"), Bytes::new(), PutMode::IfUnchanged(listed.etag))
        .await
        .unwrap_err();
    assert!(error.is_not_found(), "{error}");
}
