//! Every part of a content backup, broken in every way.

use holdfast_domain::{ObjectKey, VerificationLevel};

use super::breaking::{Way, each_way_is_named, object};
use crate::support::content::{Fixture, KEY, noise};

const ENCRYPTED: &[(&str, &str)] = &[
    ("BACKUP_CONTENT_ENCRYPTION", "true"),
    ("BACKUP_ENCRYPTION_KEY", KEY),
];

async fn every_part(settings: &[(&str, &str)]) {
    let f = Fixture::new(settings).await;
    f.fill(4).await;
    f.add_ipfs(5, noise(700_000)).await;
    f.add_ipfs(6, noise(700_000)).await;
    let id = f.back_up().await.backup_id;
    let store = f.holdfast.repository.store();
    let content = f.manifest(&id).await.content.unwrap();
    let kept = |content_id: &'static str| {
        let f = &f;
        let id = &id;
        async move { f.item(id, content_id).await.file.unwrap() }
    };
    let (five, six) = (kept("5").await, kept("6").await);
    let parts: [(ObjectKey, ObjectKey, &str); 4] = [
        (
            content.item_list.clone(),
            content.archive[0].clone(),
            "items.",
        ),
        (
            content.archive[0].clone(),
            content.item_list.clone(),
            ".tar",
        ),
        (
            five.object.artifact.key,
            six.object.artifact.key,
            "item 5: ",
        ),
        (
            five.dag.unwrap().artifact.key,
            six.dag.unwrap().artifact.key,
            "item 5: ",
        ),
    ];
    for (key, another, name) in parts {
        let whole = object(store, &key).await;
        let ways = Way::all(&whole, &[16, 500, 1024], object(store, &another).await);
        let names = [name, key.as_str()];
        each_way_is_named(
            &f.holdfast,
            &id,
            VerificationLevel::Checksum,
            &key,
            &ways,
            &names,
        )
        .await;
    }
    let key = ObjectKey::manifest(&id);
    let ways = [
        Way::Flip(0),
        Way::Cut(0),
        Way::Cut(600),
        Way::SwapHalves,
        Way::Append,
        Way::Delete,
    ];
    each_way_is_named(
        &f.holdfast,
        &id,
        VerificationLevel::Exists,
        &key,
        &ways,
        &["manifest"],
    )
    .await;
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_part_of_a_plain_content_backup_is_named_however_it_is_broken() {
    every_part(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_part_of_an_encrypted_content_backup_is_named_however_it_is_broken() {
    every_part(ENCRYPTED).await;
}
