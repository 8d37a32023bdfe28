//! Objects with a stored size different from their row, because they were stored again at another
//! compression level.

use std::{io::Write as _, num::NonZeroUsize};

use holdfast_codec::GzipWriter;
use holdfast_domain::{ItemStatus, VerificationLevel, VerificationStatus};
use holdfast_recovery::{restore_content, verify};

use crate::support::{
    content::finalized::{files_in, folder},
    content::{Fixture, noise},
};

fn text() -> Vec<u8> {
    (0_u64..)
        .flat_map(|n| format!("{} of {n}; ", n.wrapping_mul(0x9e37_79b9) % 977).into_bytes())
        .take(400_000)
        .collect()
}

/// The same file as stored at another compression level.
fn at_level(level: u8) -> Vec<u8> {
    gzip(&text(), level)
}

fn gzip(file: &[u8], level: u8) -> Vec<u8> {
    let mut writer = GzipWriter::new(Vec::new(), level, NonZeroUsize::MIN).unwrap();
    writer.write_all(file).unwrap();
    writer.finish().unwrap().0
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_was_stored_again_before_the_backup_is_finalized_fails_no_item() {
    let f = Fixture::new(&[]).await;
    f.fill(2).await;
    f.add_gaia(3, text()).await;
    let id = f.up_to_finalize().await;
    let file = f.item(&id, "3").await.file.unwrap();
    let again = at_level(12);
    assert_ne!(again.len() as u64, file.object.artifact.size);
    f.replace(&file.object.artifact.key, again).await;
    let job = f.finish(&id).await;
    let items = job.items.unwrap();
    assert_eq!((items.done, items.failed), (3, 0), "{items:?}");
    for level in [
        VerificationLevel::Exists,
        VerificationLevel::Checksum,
        VerificationLevel::Structure,
    ] {
        let found = verify(
            &f.holdfast.repository,
            &id,
            level,
            holdfast_domain::Timestamp::now(),
            |_, _| (),
        )
        .await
        .unwrap();
        assert_eq!(
            (found.status, found.problems),
            (VerificationStatus::Passed, Vec::new()),
            "{level:?}"
        );
        assert_eq!(found.notes.len(), 1, "{:?}", found.notes);
    }
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_of_another_size_and_another_file_fails_its_item() {
    let f = Fixture::new(&[("BACKUP_CONTENT_MAX_FAILURE_PERCENT", "100")]).await;
    f.fill(2).await;
    f.add_gaia(3, text()).await;
    let id = f.up_to_finalize().await;
    let file = f.item(&id, "3").await.file.unwrap();
    let mut again = at_level(12);
    again[3000] ^= 1;
    f.replace(&file.object.artifact.key, again).await;
    let items = f.finish(&id).await.items.unwrap();
    assert_eq!((items.done, items.failed), (2, 1), "{items:?}");
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_whose_source_is_gone_is_held_in_the_form_that_the_store_has() {
    let f = Fixture::new(&[]).await;
    f.add_ipfs(1, text()).await;
    let before = f.back_up().await.backup_id;
    let key = f.item(&before, "1").await.file.unwrap().object.artifact.key;
    let again = at_level(12);
    f.replace(&key, again.clone()).await;
    f.node.reset_requests().await;
    let id = f.back_up().await.backup_id;
    assert_eq!(f.by_status(&id, ItemStatus::Unchanged).await, ["1"]);
    let asked = f.node.requests().await.gateway;
    assert_eq!(
        asked.car + asked.raw + asked.plain,
        0,
        "it was not fetched again: {asked:?}"
    );
    let stored = f.item(&id, "1").await.file.unwrap().object.artifact;
    assert_eq!(
        stored.size,
        again.len() as u64,
        "the new list has the digests of today"
    );
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_begins_like_the_recorded_one_is_restored_without_a_seam() {
    let f = Fixture::new(&[]).await;
    let file = hex::encode(noise(9 << 20)).into_bytes();
    f.add_gaia(1, &file).await;
    let id = f.back_up().await.backup_id;
    let key = f.item(&id, "1").await.file.unwrap().object.artifact.key;
    let before = f.object(&key).await;
    // The first segment of 8 MiB is the same, so its content is released before the next one
    // differs.
    let (same, other) = file.split_at(16 << 20);
    let again = [gzip(same, 6), gzip(other, 12)].concat();
    assert!(again[..8 << 20] == before[..8 << 20] && again != before);
    f.replace(&key, again).await;
    let to = folder("seam");
    let report = restore_content(&f.holdfast.repository, &id, &to, None, &|_| {})
        .await
        .unwrap();
    assert!(report.is_faithful(), "{report:?}");
    assert!(files_in(&to)["1_Item_1.bin"] == file);
    std::fs::remove_dir_all(&to).unwrap();
    f.remove().await;
}
