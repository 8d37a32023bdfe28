//! Verification of content backups. For each rule, a backup with exactly this fault fails.

use holdfast_domain::{
    BackupId, ItemRecord, ObjectKey, Timestamp, VerificationLevel, VerificationStatus, Verified,
};
use holdfast_operations::{RunLimits, VerifyOutcome, verify_on_request};
use holdfast_recovery::{Verification, verify};
use holdfast_testing::{Origin, origin::Answer};
use jiff::SignedDuration;

use crate::support::{
    content::finalized::{PATIENT, artifact_of},
    content::{Fixture, KEY, item, noise},
};

const PLAIN: (&str, &str) = ("BACKUP_CONTENT_COMPRESSION", "false");
const LEVELS: [VerificationLevel; 3] = [
    VerificationLevel::Exists,
    VerificationLevel::Checksum,
    VerificationLevel::Structure,
];

async fn look(f: &Fixture, id: &BackupId, level: VerificationLevel) -> Verification {
    verify(
        &f.holdfast.repository,
        id,
        level,
        Timestamp::now(),
        |_, _| {},
    )
    .await
    .unwrap()
}

/// Verifies by checksum with time for one step in each run. Returns the number of runs too.
async fn look_in_steps(f: &Fixture, id: &BackupId) -> (Verification, u32) {
    for runs in 1..100 {
        let limits = RunLimits {
            deadline: Some(Timestamp::now() + SignedDuration::from_secs(5)),
        };
        let level = VerificationLevel::Checksum;
        match verify_on_request(&f.holdfast, id, level, limits, Timestamp::now())
            .await
            .unwrap()
        {
            VerifyOutcome::Done(verification) => return (*verification, runs),
            VerifyOutcome::Continue => {}
            other => panic!("{other:?}"),
        }
    }
    panic!("100 runs were not enough");
}

/// A change of an artifact's bytes.
type Alteration = fn(&mut Vec<u8>);

/// Asserts that `from` is the first level with this problem, and that all deeper levels report it
/// too.
async fn found_from(f: &Fixture, id: &BackupId, from: VerificationLevel, problem: &str) {
    for level in LEVELS {
        let verification = look(f, id, level).await;
        let expected = if level < from {
            VerificationStatus::Passed
        } else {
            VerificationStatus::Failed
        };
        assert_eq!(
            verification.status, expected,
            "{level:?}: {:?}",
            verification.problems
        );
        let told = verification
            .problems
            .iter()
            .any(|found| found.contains(problem));
        assert_eq!(
            told,
            level >= from,
            "{level:?}: {:?}",
            verification.problems
        );
    }
}

async fn key_of(f: &Fixture, id: &BackupId, content_id: &str) -> ObjectKey {
    f.item(id, content_id)
        .await
        .file
        .unwrap()
        .object
        .artifact
        .key
}

/// Changes the items of the list, and adapts the manifest to the new list.
async fn relist(f: &Fixture, id: &BackupId, alter: impl FnOnce(&mut Vec<ItemRecord>)) {
    let list = f.manifest(id).await.content.unwrap().item_list;
    f.forge(id, &list, |bytes| {
        let text = String::from_utf8(bytes).unwrap();
        let mut items: Vec<ItemRecord> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        alter(&mut items);
        items
            .iter()
            .map(|item| serde_json::to_string(item).unwrap() + "\n")
            .collect::<String>()
            .into_bytes()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_backup_passes_at_every_level() {
    for settings in [
        vec![],
        vec![PLAIN],
        vec![
            ("BACKUP_CONTENT_ENCRYPTION", "true"),
            ("BACKUP_ENCRYPTION_KEY", KEY),
        ],
    ] {
        let f = Fixture::new(&[settings, vec![PATIENT]].concat()).await;
        f.fill(4).await;
        f.add_ipfs(5, noise(3 << 20)).await;
        f.insert([item(6, "ipfs", "nothing")]).await;
        let id = f.up_to_finalize().await;
        f.finalize_in_short_runs(&id).await;
        for level in LEVELS {
            let verification = look(&f, &id, level).await;
            assert_eq!(verification.problems, [] as [&str; 0], "{level:?}");
            assert_eq!(verification.items.unwrap().failed, 1);
        }
        f.remove().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_or_shortened_artifact_is_found_by_looking() {
    let f = Fixture::new(&[PLAIN]).await;
    f.fill(2).await;
    let id = f.back_up().await.backup_id;
    let archive = f.manifest(&id).await.content.unwrap().archive.remove(0);
    let whole = f.object(&archive).await;
    f.replace(&archive, whole[..whole.len() - 1].to_vec()).await;
    found_from(&f, &id, VerificationLevel::Exists, "bytes").await;
    f.store.store.delete(&archive).await.unwrap();
    found_from(
        &f,
        &id,
        VerificationLevel::Exists,
        &format!("{archive} is missing"),
    )
    .await;
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_or_shortened_object_is_found_by_looking() {
    let f = Fixture::new(&[]).await;
    f.fill(3).await;
    let id = f.back_up().await.backup_id;
    let file = f.item(&id, "1").await.file.unwrap();
    f.store
        .store
        .delete(&file.dag.unwrap().artifact.key)
        .await
        .unwrap();
    found_from(&f, &id, VerificationLevel::Exists, "item 1: ").await;
    let key = key_of(&f, &id, "2").await;
    f.replace(&key, b"short".to_vec()).await;
    let report = look(&f, &id, VerificationLevel::Exists).await;
    assert!(
        report
            .problems
            .iter()
            .any(|problem| problem.starts_with("item 2: ") && problem.contains("5 bytes"))
    );
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_altered_volume_is_found_by_reading() {
    let f = Fixture::new(&[]).await;
    f.fill(2).await;
    let id = f.up_to_finalize().await;
    f.finalize_in_short_runs(&id).await;
    let second = f.manifest(&id).await.content.unwrap().archive.remove(1);
    f.damage(&second, 30).await;
    found_from(&f, &id, VerificationLevel::Checksum, "segment").await;
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_altered_list_is_found_by_every_level() {
    let f = Fixture::new(&[]).await;
    f.fill(2).await;
    let id = f.back_up().await.backup_id;
    let list = f.manifest(&id).await.content.unwrap().item_list;
    f.damage(&list, 30).await;
    found_from(&f, &id, VerificationLevel::Exists, list.as_str()).await;
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_altered_object_is_found_by_reading() {
    let f = Fixture::new(&[]).await;
    f.fill(3).await;
    let id = f.back_up().await.backup_id;
    let file = f.item(&id, "1").await.file.unwrap();
    f.damage(&file.dag.unwrap().artifact.key, 10).await;
    found_from(&f, &id, VerificationLevel::Checksum, "item 1: ").await;
    f.damage(&key_of(&f, &id, "2").await, 10).await;
    found_from(&f, &id, VerificationLevel::Checksum, "item 2: ").await;
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_is_another_file_is_found_by_its_hash() {
    let f = Fixture::new(&[PLAIN, ("BACKUP_CONTENT_ARCHIVE", "false")]).await;
    f.fill(2).await;
    let id = f.back_up().await.backup_id;
    let key = key_of(&f, &id, "2").await;
    let mut other = f.object(&key).await;
    other[0] ^= 1;
    f.replace(&key, other.clone()).await;
    relist(&f, &id, |items| {
        items[1].file.as_mut().unwrap().object.artifact = artifact_of(&key, &other);
    })
    .await;
    found_from(&f, &id, VerificationLevel::Structure, "the SHA-256 differs").await;
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_not_its_cids_is_found_by_rebuilding_it() {
    let f = Fixture::new(&[PLAIN, ("BACKUP_CONTENT_ARCHIVE", "false")]).await;
    f.add_ipfs(1, noise(700_000)).await;
    f.add_ipfs(2, noise(700_000)).await;
    let id = f.back_up().await.backup_id;
    relist(&f, &id, |items| {
        let (cid, dag) = (
            items[1].file.as_ref().unwrap().cid.clone(),
            items[1].file.as_ref().unwrap().dag.clone(),
        );
        let one = items[0].file.as_mut().unwrap();
        (one.cid, one.dag) = (cid, dag);
    })
    .await;
    found_from(&f, &id, VerificationLevel::Structure, "does not match").await;
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_of_other_blocks_than_the_items_is_found() {
    let f = Fixture::new(&[PLAIN, ("BACKUP_CONTENT_ARCHIVE", "false")]).await;
    f.fill(3).await;
    let id = f.back_up().await.backup_id;
    relist(&f, &id, |items| {
        let dag = items[2].file.as_ref().unwrap().dag.clone();
        items[0].file.as_mut().unwrap().dag = dag;
    })
    .await;
    found_from(&f, &id, VerificationLevel::Structure, "another file's").await;
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_not_the_manifests_is_found_by_its_counts() {
    let f = Fixture::new(&[PLAIN, ("BACKUP_CONTENT_ARCHIVE", "false")]).await;
    f.fill(3).await;
    let id = f.back_up().await.backup_id;
    relist(&f, &id, |items| drop(items.pop())).await;
    found_from(&f, &id, VerificationLevel::Exists, "the list has 2 items").await;
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_with_a_name_that_is_a_path_is_found() {
    let f = Fixture::new(&[PLAIN, ("BACKUP_CONTENT_ARCHIVE", "false")]).await;
    f.fill(2).await;
    let id = f.back_up().await.backup_id;
    relist(&f, &id, |items| {
        items[0].file_name = Some("../x".to_owned());
    })
    .await;
    found_from(&f, &id, VerificationLevel::Structure, "is not a file name").await;
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_that_is_not_the_lists_is_found_by_walking_both() {
    let f = Fixture::new(&[PLAIN]).await;
    f.fill(3).await;
    let id = f.back_up().await.backup_id;
    let good = f.manifest(&id).await;
    let archive = good.content.clone().unwrap().archive.remove(0);
    let bytes = f.object(&archive).await;
    let alter = |change: Alteration| {
        let mut altered = bytes.clone();
        change(&mut altered);
        altered
    };
    let cases: [(Alteration, &str); 4] = [
        // A bit of the first file.
        (|tar| tar[600] ^= 1, "the archive holds another"),
        // The first entry is missing: a header, and one or two blocks of content.
        (
            |tar| drop(tar.drain(..1024 + 512 * usize::from(tar[124..135].ends_with(b"1020")))),
            "instead of",
        ),
        // Only the end is left.
        (
            |tar| drop(tar.drain(..tar.len() - 1024)),
            "in the list but not in the archive",
        ),
        // The document of all items, near the archive's end.
        (
            |tar| {
                let at = tar.len() - 1024 - 700;
                tar[at] ^= 1;
            },
            "manifest.json",
        ),
    ];
    for (change, problem) in cases {
        let altered = alter(change);
        f.forge(&id, &archive, |_| altered).await;
        found_from(&f, &id, VerificationLevel::Structure, problem).await;
    }
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_no_item_has_is_found() {
    let f = Fixture::new(&[PLAIN]).await;
    f.fill(3).await;
    let id = f.back_up().await.backup_id;
    let archive = f.manifest(&id).await.content.unwrap().archive.remove(0);
    // The first entry once more before the end.
    f.forge(&id, &archive, |mut tar| {
        let end = tar.split_off(tar.len() - 1024);
        let first = tar[..1024].to_vec();
        [tar, first, end].concat()
    })
    .await;
    found_from(
        &f,
        &id,
        VerificationLevel::Structure,
        "after the last entry of its list",
    )
    .await;
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_names_what_it_does_not_describe_is_found() {
    let f = Fixture::new(&[PLAIN]).await;
    f.fill(1).await;
    let id = f.back_up().await.backup_id;
    let mut manifest = f.manifest(&id).await;
    manifest.artifacts.pop();
    f.forge_manifest(&manifest).await;
    found_from(&f, &id, VerificationLevel::Exists, "does not describe it").await;
    let mut manifest = f.manifest(&id).await;
    manifest.artifacts[0].key = "content/content_1_aa/items.1.ndjson".parse().unwrap();
    f.forge_manifest(&manifest).await;
    found_from(&f, &id, VerificationLevel::Exists, "outside the folder").await;
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_no_cid_proved_are_counted_and_are_no_problem() {
    let gateway = Origin::start().await;
    let address = format!("plain+{}", gateway.address());
    let f = Fixture::new(&[("BACKUP_IPFS_GATEWAYS", address.as_str())]).await;
    let (small, large) = (noise(1000), noise(600_000));
    for (number, file) in [(1, &small), (2, &large), (3, &large)] {
        let cid = f.add_ipfs(number, file).await;
        gateway.answer(&format!("/ipfs/{cid}"), [Answer::ok(file.clone())]);
    }
    f.add_gaia(4, "gaia").await;
    let id = f.up_to_finalize().await;
    f.finish(&id).await;
    assert_eq!(
        f.item(&id, "1").await.file.unwrap().verified,
        Verified::Cid,
        "its CID proves it"
    );
    for level in LEVELS {
        let verification = look(&f, &id, level).await;
        assert_eq!(
            (verification.status, verification.notes.len()),
            (VerificationStatus::Passed, 1),
            "{level:?}"
        );
        assert!(
            verification.notes[0].starts_with("2 of 3 IPFS files are unproved"),
            "{:?}",
            verification.notes
        );
    }
    let at_once = look(&f, &id, VerificationLevel::Checksum).await;
    let (in_steps, runs) = look_in_steps(&f, &id).await;
    assert!(runs > 1, "it took several runs");
    assert_eq!(
        (in_steps.status, in_steps.notes),
        (at_once.status, at_once.notes)
    );
    f.remove().await;
}
