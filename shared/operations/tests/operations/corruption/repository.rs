//! The repository's own files, broken in every way. Each verification names them, and no backup
//! fails because of them.

use holdfast_domain::{ObjectKey, RepositoryFile, VerificationLevel};

use super::{
    breaking::{Way, is_of_the_repository, object, passes, put},
    database::ENCRYPTED,
};
use crate::support::database::Fixture;

const LEVEL: VerificationLevel = VerificationLevel::Exists;

async fn either_file(settings: &[(&str, &str)]) {
    let f = Fixture::new(settings).await;
    f.fill(10).await;
    let id = f.back_up().await.backup_id;
    let stranger = Fixture::new(settings).await;
    stranger.fill(10).await;
    stranger.back_up().await;
    let another = object(
        stranger.holdfast.repository.store(),
        &ObjectKey::repository(),
    )
    .await;
    for key in [ObjectKey::repository(), ObjectKey::repository_copy()] {
        let whole = object(f.holdfast.repository.store(), &key).await;
        let ways = [
            Way::Flip(0),
            Way::Cut(0),
            Way::Cut(whole.len() / 2),
            Way::Cut(whole.len() - 2),
            Way::Append,
            Way::SwapHalves,
            Way::Another(another.clone()),
            Way::Delete,
        ];
        for way in &ways {
            match way.applied(&whole) {
                Some(bytes) => put(f.holdfast.repository.store(), &key, bytes).await,
                None => f.holdfast.repository.store().delete(&key).await.unwrap(),
            }
            let names = ["repository.json", "repository.copy.json"];
            is_of_the_repository(&f.holdfast, &id, LEVEL, &names, &format!("{key}: {way:?}")).await;
        }
        put(f.holdfast.repository.store(), &key, whole).await;
        passes(&f.holdfast, &id, LEVEL).await;
    }
    stranger.remove().await;
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_repository_file_beside_plain_backups_is_named() {
    either_file(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_repository_file_beside_encrypted_backups_is_named() {
    either_file(ENCRYPTED).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrapped_key_that_was_altered_is_named() {
    let f = Fixture::new(ENCRYPTED).await;
    f.fill(10).await;
    let id = f.back_up().await.backup_id;
    let store = f.holdfast.repository.store();
    for key in [ObjectKey::repository(), ObjectKey::repository_copy()] {
        let whole = object(store, &key).await;
        let file: RepositoryFile = serde_json::from_slice(&whole).unwrap();
        let text = String::from_utf8(whole.clone()).unwrap();
        let wrapped = serde_json::to_value(&file.epochs[0].keys[0]).unwrap();
        let wrapped = longest_text(&wrapped);
        let first = if wrapped.starts_with('a') { "b" } else { "a" };
        let altered = text.replacen(&wrapped, &format!("{first}{}", &wrapped[1..]), 1);
        assert_ne!(altered, text);
        put(store, &key, altered.into_bytes()).await;
        // A process that has not opened it yet.
        let fresh = f.with(|_| {});
        let names = ["repository.json and repository.copy.json contradict each other"];
        is_of_the_repository(&fresh, &id, LEVEL, &names, key.as_str()).await;
        put(store, &key, whole).await;
    }
    passes(&f.with(|_| {}), &id, LEVEL).await;
    f.remove().await;
}

/// The wrapped key itself.
fn longest_text(value: &serde_json::Value) -> String {
    let texts = value
        .as_object()
        .unwrap()
        .values()
        .filter_map(|value| value.as_str());
    texts.max_by_key(|text| text.len()).unwrap().to_owned()
}
