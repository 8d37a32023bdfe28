//! Objects that were stored again with another salt or compression level. Every backup with such an
//! object is verified and restored from both stores, in each order of copies and repairs.

use std::{collections::BTreeMap, fs};

use holdfast_domain::{BackupId, ObjectKey, Timestamp, VerificationLevel, VerificationStatus};
use holdfast_operations::OperationError;
use holdfast_recovery::{export_car, restore_content, verify};
use holdfast_repository::Repository;

use super::fixture::{Second, copied, read, repaired, step};
use crate::support::{
    content::finalized::{files_in, folder},
    content::{Fixture, KEY, noise},
};

const ENCRYPTED: &[(&str, &str)] = &[
    ("BACKUP_CONTENT_ENCRYPTION", "true"),
    ("BACKUP_ENCRYPTION_KEY", KEY),
];
/// Three members of gzip.
const TEXT_BYTES: usize = 600_000;
const LEVELS: [VerificationLevel; 3] = [
    VerificationLevel::Exists,
    VerificationLevel::Checksum,
    VerificationLevel::Structure,
];

/// Two backups of the same files. Between them every object was deleted in the first store and
/// stored again.
struct Twice {
    f: Fixture,
    second: Second,
    old: BackupId,
    /// The objects, with their bytes in the old backup.
    before: BTreeMap<ObjectKey, Vec<u8>>,
}

impl Twice {
    async fn new(settings: &[(&str, &str)]) -> Self {
        let f = Fixture::new(settings).await;
        f.fill(3).await;
        f.add_gaia(4, text(TEXT_BYTES)).await;
        f.add_gaia(5, noise(9 << 20)).await;
        let old = f.back_up().await.backup_id;
        let mut before = BTreeMap::new();
        for key in keys(&f).await {
            before.insert(key.clone(), f.object(&key).await);
        }
        Self {
            f,
            second: Second::new(),
            old,
            before,
        }
    }

    /// Deletes every object of the first store and backs up again.
    async fn store_again(&self) -> BackupId {
        for key in self.before.keys() {
            self.f.store.store.delete(key).await.unwrap();
        }
        let new = self.f.back_up().await.backup_id;
        assert_eq!(
            keys(&self.f).await,
            self.before.keys().cloned().collect::<Vec<_>>(),
            "the addresses are the same"
        );
        new
    }

    async fn copy(&self, id: &BackupId) {
        copied(&self.f.holdfast, &self.second.repository, id).await;
    }

    /// Asserts that a repair replaces no intact object.
    async fn repair_changes_nothing(&self, id: &BackupId) {
        let report = repaired(&self.f.holdfast, &self.second.repository, id)
            .await
            .unwrap();
        assert_eq!((report.copied, report.mended.len()), (0, 0), "{report:?}");
    }

    /// Asserts that all these backups are good in this repository, at every level and by every way
    /// to restore.
    async fn good_in(&self, repository: &Repository, ids: &[&BackupId]) {
        for id in ids {
            for level in LEVELS {
                let found = verify(repository, id, level, Timestamp::now(), |_, _| ())
                    .await
                    .unwrap();
                assert_eq!(
                    found.problems,
                    [""; 0],
                    "{id} at {level:?} in {}",
                    repository.location()
                );
            }
            let to = folder("forms");
            let report = restore_content(repository, id, &to, None, &|_| {})
                .await
                .unwrap();
            assert!(report.is_faithful(), "{report:?}");
            let files = files_in(&to);
            assert!(
                files["4_Item_4.bin"] == text(TEXT_BYTES) && files["5_Item_5.bin"].len() == 9 << 20
            );
            fs::remove_dir_all(&to).unwrap();
            let car = export_car(repository, id, None, std::io::sink())
                .await
                .unwrap();
            assert_eq!(car.items, 2);
        }
    }

    async fn good_in_both(&self, ids: &[&BackupId]) {
        self.good_in(&self.f.holdfast.repository, ids).await;
        self.good_in(&self.second.repository, ids).await;
    }

    /// An object with two different forms.
    async fn object(&self, content_id: &str) -> ObjectKey {
        self.f
            .item(&self.old, content_id)
            .await
            .file
            .unwrap()
            .object
            .artifact
            .key
    }
}

async fn keys(f: &Fixture) -> Vec<ObjectKey> {
    let objects = f
        .keys_under("content/objects/")
        .await
        .into_iter()
        .chain(f.keys_under("content/dags/").await);
    let mut keys: Vec<ObjectKey> = objects.map(|key| key.parse().unwrap()).collect();
    keys.sort();
    keys
}

/// A text with a compressed size that depends on the level.
fn text(bytes: usize) -> Vec<u8> {
    (0_u64..)
        .flat_map(|n| format!("{} of {n}; ", n.wrapping_mul(0x9e37_79b9) % 977).into_bytes())
        .take(bytes)
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn encrypted_objects_that_were_stored_twice_serve_both_backups_in_every_order() {
    let twice = Twice::new(ENCRYPTED).await;
    let old = twice.old.clone();
    twice.copy(&old).await;
    let new = twice.store_again().await;
    for (key, before) in &twice.before {
        let now = twice.f.object(key).await;
        assert!(
            now != *before && now.len() == before.len(),
            "{key}: the same size, and other bytes"
        );
    }
    twice
        .good_in(&twice.f.holdfast.repository, &[&old, &new])
        .await;
    twice.copy(&new).await;
    twice.good_in_both(&[&old, &new]).await;
    for repaired in [&new, &old, &new] {
        twice.repair_changes_nothing(repaired).await;
        for id in [&old, &new] {
            twice.second.assert_whole(id).await;
        }
    }
    twice.good_in_both(&[&new, &old]).await;
    for (key, before) in &twice.before {
        assert!(
            twice.second.object(key).await == *before,
            "{key}: the copy's own form stays"
        );
    }
    twice.f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_backup_is_copied_with_the_objects_that_the_first_store_has_now() {
    for settings in [&[][..], ENCRYPTED] {
        let mut twice = Twice::new(settings).await;
        let old = twice.old.clone();
        twice
            .f
            .set(|settings| settings.database.compression_level = 12);
        let new = twice.store_again().await;
        twice.copy(&old).await;
        twice.good_in(&twice.second.repository, &[&old]).await;
        twice.copy(&new).await;
        twice.good_in_both(&[&old, &new]).await;
        twice.repair_changes_nothing(&old).await;
        twice.f.remove().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_level_of_compression_serves_both_backups_in_every_order() {
    for settings in [&[][..], ENCRYPTED] {
        let mut twice = Twice::new(settings).await;
        let old = twice.old.clone();
        twice.copy(&old).await;
        twice
            .f
            .set(|settings| settings.database.compression_level = 12);
        let new = twice.store_again().await;
        let text = twice.object("4").await;
        assert!(
            twice.f.object(&text).await.len() != twice.before[&text].len(),
            "another size"
        );
        twice.copy(&new).await;
        twice.good_in_both(&[&old, &new]).await;
        for repaired in [&new, &old] {
            twice.repair_changes_nothing(repaired).await;
            for id in [&old, &new] {
                twice.second.assert_whole(id).await;
            }
        }
        twice.f.remove().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verification_says_how_many_objects_were_proved_by_their_content() {
    let twice = Twice::new(ENCRYPTED).await;
    let new = twice.store_again().await;
    let level = VerificationLevel::Checksum;
    let look = |id: BackupId| {
        let repository = twice.f.holdfast.repository.clone();
        async move {
            verify(&repository, &id, level, Timestamp::now(), |_, _| ())
                .await
                .unwrap()
                .notes
        }
    };
    let [note] = look(twice.old.clone()).await.try_into().unwrap();
    assert!(
        note.starts_with("7 objects were stored again after this backup"),
        "{note}"
    );
    assert_eq!(look(new).await, [""; 0]);
    twice.f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn any_flipped_byte_of_an_object_that_was_stored_again_is_rejected() {
    for settings in [&[][..], ENCRYPTED] {
        let mut twice = Twice::new(settings).await;
        twice
            .f
            .set(|settings| settings.database.compression_level = 12);
        twice.store_again().await;
        let file = twice.f.item(&twice.old, "1").await.file.unwrap();
        for key in [
            twice.object("4").await,
            twice.object("5").await,
            file.dag.unwrap().artifact.key,
        ] {
            let whole = twice.f.object(&key).await;
            let len = whole.len();
            let places = [
                0,
                4,
                9,
                60,
                200,
                len / 3,
                len / 2,
                len - 33,
                len - 5,
                len - 1,
            ];
            for at in places.into_iter().filter(|at| *at < len) {
                let mut bytes = whole.clone();
                bytes[at] ^= 1;
                twice.f.replace(&key, bytes).await;
                assert!(
                    twice.is_named(&twice.old, &key).await,
                    "byte {at} of {len} of {key}"
                );
            }
            twice.f.replace(&key, whole).await;
        }
        twice.f.remove().await;
    }
}

impl Twice {
    /// Whether verification by checksum names this object in the first store.
    async fn is_named(&self, id: &BackupId, key: &ObjectKey) -> bool {
        let repository = &self.f.holdfast.repository;
        let found = verify(
            repository,
            id,
            VerificationLevel::Checksum,
            Timestamp::now(),
            |_, _| (),
        )
        .await
        .unwrap();
        let is_named = found.problems.len() == 1 && found.problems[0].contains(key.as_str());
        is_named && found.status == VerificationStatus::Failed
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_object_of_a_copy_is_replaced_by_the_form_that_the_first_store_has() {
    for settings in [&[][..], ENCRYPTED] {
        let mut twice = Twice::new(settings).await;
        let old = twice.old.clone();
        twice.copy(&old).await;
        twice
            .f
            .set(|settings| settings.database.compression_level = 12);
        let new = twice.store_again().await;
        twice.copy(&new).await;
        let file = twice.f.item(&old, "1").await.file.unwrap();
        for key in [
            twice.object("4").await,
            twice.object("5").await,
            file.dag.unwrap().artifact.key,
        ] {
            for id in [&old, &new] {
                twice.second.damage(&key).await;
                let report = repaired(&twice.f.holdfast, &twice.second.repository, id)
                    .await
                    .unwrap();
                assert_eq!(
                    (report.copied, report.mended.len()),
                    (1, 1),
                    "{key}: {report:?}"
                );
                assert!(
                    twice.second.object(&key).await
                        == read(twice.f.store.store.as_ref(), &key).await
                );
            }
        }
        twice.good_in_both(&[&old, &new]).await;
        twice.f.remove().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_object_of_the_first_store_is_never_copied_and_never_replaces_a_sound_one() {
    for settings in [&[][..], ENCRYPTED] {
        let mut twice = Twice::new(settings).await;
        let old = twice.old.clone();
        twice.copy(&old).await;
        twice
            .f
            .set(|settings| settings.database.compression_level = 12);
        let new = twice.store_again().await;
        let key = twice.object("4").await;
        let sound = twice.second.object(&key).await;
        twice.f.damage(&key, 1500).await;
        twice.copy(&new).await;
        for id in [&new, &old] {
            twice.repair_changes_nothing(id).await;
        }
        assert!(twice.second.object(&key).await == sound);
        twice.good_in(&twice.second.repository, &[&old, &new]).await;
        // Without an object in the copy, the damaged one is named and not sent.
        let empty = Second::new();
        for id in [&old, &new] {
            let refused = step(&twice.f.holdfast, &empty.repository, id)
                .await
                .unwrap_err();
            assert!(
                matches!(refused, OperationError::Corrupt { .. }),
                "{refused}"
            );
            assert!(
                refused.to_string().contains(key.as_str()) && !empty.has(&key).await,
                "{refused}"
            );
        }
        twice.f.remove().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_with_a_changed_header_or_trailer_is_not_taken_for_another_form() {
    let twice = Twice::new(ENCRYPTED).await;
    let old = twice.old.clone();
    twice.copy(&old).await;
    let key = twice.object("5").await;
    let whole = twice.second.object(&key).await;
    // In the salt, in the initialisation vector, in the trailer.
    for at in [110, 180, whole.len() - 1] {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        twice.second.replace(&key, bytes).await;
        let refused = step(&twice.f.holdfast, &twice.second.repository, &old)
            .await
            .unwrap_err();
        assert!(
            refused.to_string().contains(key.as_str()) && refused.to_string().contains("--repair"),
            "{refused}"
        );
    }
    repaired(&twice.f.holdfast, &twice.second.repository, &old)
        .await
        .unwrap();
    twice.good_in(&twice.second.repository, &[&old]).await;
    twice.f.remove().await;
}
