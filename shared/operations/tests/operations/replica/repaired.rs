//! Verification names a corrupted copy, and the first store repairs it. A damaged object in the
//! first store repairs nothing, and no repair goes the other way.

use holdfast_domain::{
    BackupId, CopyStatus, ObjectKey, Timestamp, VerificationLevel, VerificationStatus,
};
use holdfast_operations::{CopyFault, Holdfast, OperationError, copies_due};
use holdfast_storage::Store as _;
use holdfast_testing::{Fault, FaultStore, Operation};
use jiff::SignedDuration;

use super::fixture::{Second, copied, over, read, repaired, step, told};
use crate::support::content::{Fixture, KEY, noise};

/// A copy of a content backup with a file of two parts, and the keys of all its objects.
async fn copy(settings: &[(&str, &str)]) -> (Fixture, Second, BackupId, Vec<ObjectKey>) {
    let f = Fixture::new(settings).await;
    f.fill(2).await;
    f.add_gaia(3, noise(9 << 20)).await;
    let (id, second) = (f.back_up().await.backup_id, Second::new());
    copied(&f.holdfast, &second.repository, &id).await;
    let files = [ObjectKey::repository(), ObjectKey::repository_copy()];
    let keys = second
        .memory
        .keys()
        .into_iter()
        .filter(|key| !files.contains(key))
        .collect();
    (f, second, id, keys)
}

/// Asserts that verification names the object. Returns the result of the repair.
async fn is_named_and_mended(h: &Holdfast, second: &Second, id: &BackupId, key: &ObjectKey) {
    // The guide has no digest, so verification does not check it.
    if *key != ObjectKey::restore_guide(id) {
        let found = second.verified(id, VerificationLevel::Checksum).await;
        let told = found.problems.join("\n");
        let name = if key.manifest_of().is_some() {
            "manifest"
        } else {
            key.as_str()
        };
        assert!(
            found.status == VerificationStatus::Failed && told.contains(name),
            "{key}: {told}"
        );
    }
    let report = repaired(h, &second.repository, id).await.unwrap();
    assert_eq!(
        (report.copied, report.mended.len()),
        (1, 1),
        "{key}: {report:?}"
    );
    assert!(report.mended[0].contains(key.as_str()), "{report:?}");
    second.assert_good(id).await;
}

async fn every_object_is_mended(settings: &[(&str, &str)]) {
    let (f, second, id, keys) = copy(settings).await;
    for key in &keys {
        second.damage(key).await;
        is_named_and_mended(&f.holdfast, &second, &id, key).await;
        let mut cut = second.object(key).await;
        cut.truncate(cut.len() / 2);
        second.replace(key, cut).await;
        is_named_and_mended(&f.holdfast, &second, &id, key).await;
    }
    second.assert_equals(f.store.store.as_ref()).await;
    let again = repaired(&f.holdfast, &second.repository, &id)
        .await
        .unwrap();
    assert_eq!(
        (again.copied, again.mended.len()),
        (0, 0),
        "intact objects are not sent"
    );
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_object_of_a_copy_is_mended() {
    every_object_is_mended(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_object_of_an_encrypted_copy_is_mended() {
    every_object_is_mended(&[
        ("BACKUP_CONTENT_ENCRYPTION", "true"),
        ("BACKUP_ENCRYPTION_KEY", KEY),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_mended_and_said() {
    let (f, second, id, keys) = copy(&[]).await;
    for key in keys
        .iter()
        .filter(|key| key.manifest_of().is_none() && **key != ObjectKey::restore_guide(&id))
    {
        second.memory.delete(key).await.unwrap();
        is_named_and_mended(&f.holdfast, &second, &id, key).await;
    }
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_repair_what_is_altered_is_named_and_left_as_it_is() {
    let (f, second, id, _) = copy(&[]).await;
    let archive = f.manifest(&id).await.content.unwrap().archive[0].clone();
    let mut cut = second.object(&archive).await;
    cut.pop();
    for (key, bad) in [
        (archive, cut),
        (ObjectKey::restore_guide(&id), b"nonsense".to_vec()),
    ] {
        let good = second.object(&key).await;
        second.replace(&key, bad.clone()).await;
        let refused = step(&f.holdfast, &second.repository, &id)
            .await
            .unwrap_err();
        assert!(
            matches!(refused, OperationError::Copy(CopyFault::Differs { .. })),
            "{refused}"
        );
        assert!(
            refused.to_string().contains(key.as_str()) && refused.to_string().contains("--repair"),
            "{refused}"
        );
        assert!(second.object(&key).await == bad);
        second.replace(&key, good).await;
    }
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_in_both_stores_is_left_in_both() {
    let (f, second, id, _) = copy(&[]).await;
    for content_id in ["1", "3"] {
        let key = f
            .item(&id, content_id)
            .await
            .file
            .unwrap()
            .object
            .artifact
            .key;
        let good = f.object(&key).await;
        second.damage(&key).await;
        f.damage(&key, 5).await;
        let (here, there) = (second.object(&key).await, f.object(&key).await);
        let refused = repaired(&f.holdfast, &second.repository, &id)
            .await
            .unwrap_err();
        assert!(
            matches!(refused, OperationError::Corrupt { .. }),
            "{refused}"
        );
        assert!(refused.to_string().contains(key.as_str()), "{refused}");
        assert!(
            second.object(&key).await == here && f.object(&key).await == there,
            "nothing was touched"
        );
        // Its size is right. A run that only compares sizes does not call the copy complete.
        assert!(matches!(
            step(&f.holdfast, &second.repository, &id).await,
            Err(OperationError::Corrupt { .. })
        ));
        assert_eq!(told(&f.holdfast, &id).await.0, CopyStatus::Failed);
        let in_days = Timestamp::now() + SignedDuration::from_hours(48);
        let due = copies_due(&f.holdfast, &second.repository, in_days)
            .await
            .unwrap();
        assert_eq!(
            (due.due, due.overdue),
            (Vec::new(), vec![id.clone()]),
            "it waits for a repair"
        );
        f.replace(&key, good).await;
        repaired(&f.holdfast, &second.repository, &id)
            .await
            .unwrap();
    }
    second.assert_good(&id).await;
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_store_is_never_mended_from_the_copy() {
    let (f, second, id, _) = copy(&[]).await;
    let key = f.item(&id, "1").await.file.unwrap().object.artifact.key;
    f.damage(&key, 5).await;
    let damaged = f.object(&key).await;
    // The copy is complete, so there is nothing to do.
    assert_eq!(
        repaired(&f.holdfast, &second.repository, &id)
            .await
            .unwrap()
            .copied,
        0
    );
    assert!(f.object(&key).await == damaged);
    second.assert_good(&id).await;
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_repair_is_resumed() {
    let (f, second, id, _) = copy(&[]).await;
    let key = f.item(&id, "3").await.file.unwrap().object.artifact.key;
    for operation in [
        Operation::Delete,
        Operation::BeginUpload,
        Operation::UploadPart,
        Operation::CompleteUpload,
    ] {
        second.damage(&key).await;
        let faults = FaultStore::new(second.memory.clone());
        faults.on(operation, 1, Fault::LostAnswer);
        assert!(
            repaired(&f.holdfast, &over(faults.clone()), &id)
                .await
                .is_err(),
            "{operation:?}"
        );
        repaired(&f.holdfast, &over(faults), &id).await.unwrap();
        assert!(second.object(&key).await == read(f.store.store.as_ref(), &key).await);
    }
    second.assert_good(&id).await;
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repair_reads_what_an_earlier_run_only_looked_at() {
    let (f, second, id, _) = copy(&[]).await;
    let key = f.item(&id, "1").await.file.unwrap().object.artifact.key;
    second.damage(&key).await;
    // A run that ended after the list and before the manifest.
    let faults = FaultStore::new(second.memory.clone());
    second
        .memory
        .delete(&ObjectKey::manifest(&id))
        .await
        .unwrap();
    faults.on_every(Operation::Put, Fault::Unavailable);
    assert!(step(&f.holdfast, &over(faults), &id).await.is_err());
    let report = repaired(&f.holdfast, &second.repository, &id)
        .await
        .unwrap();
    assert!(
        report.mended.iter().any(|what| what.contains(key.as_str())),
        "{report:?}"
    );
    second.assert_good(&id).await;
    f.remove().await;
}
