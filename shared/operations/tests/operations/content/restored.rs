//! Restored directories, and CARs imported by another node.

use std::{fs, path::Path, sync::Mutex};

use holdfast_domain::{BackupId, ItemRecord};
use holdfast_recovery::{ContentRestoreReport, export_car, restore_content};
use holdfast_repository::{RepositoryError, decrypt_artifact, decrypt_file};
use holdfast_testing::{DirectoryShape, FileShape, IpfsNode};

use crate::support::{
    content::finalized::{PATIENT, completed, files_in, finalize, folder, gunzip},
    content::{Fixture, file_of, item, noise},
    holdfast::KEY,
};

async fn restore(f: &Fixture, id: &BackupId, to: &Path) -> ContentRestoreReport {
    restore_content(&f.holdfast.repository, id, to, None, &|_| {})
        .await
        .unwrap()
}

async fn restore_one(
    f: &Fixture,
    id: &BackupId,
    to: &Path,
    item: &str,
) -> Result<ContentRestoreReport, RepositoryError> {
    restore_content(&f.holdfast.repository, id, to, Some(item), &|_| {}).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_directory_equals_the_archive() {
    let f = Fixture::new(&[]).await;
    f.fill(10).await;
    f.add_gaia(11, noise(3 << 20)).await;
    f.insert([item(12, "gaia", "ftp://nowhere/x")]).await;
    let job = f.back_up().await;
    let to = folder("restored");
    let reported = Mutex::new(Vec::new());
    let note = |progress: &holdfast_recovery::ContentRestoreProgress| {
        reported.lock().unwrap().push(*progress);
    };
    let report = restore_content(&f.holdfast.repository, &job.backup_id, &to, None, &note)
        .await
        .unwrap();
    assert!(report.is_faithful());
    assert_eq!(
        (report.restored, report.kept, report.not_backed_up),
        (11, 0, 1)
    );
    assert_eq!(
        files_in(&to),
        f.archived(&f.manifest(&job.backup_id).await).await
    );
    let last = *reported.lock().unwrap().last().unwrap();
    assert_eq!(
        (last.items, last.expected, last.bytes),
        (12, 12, report.bytes)
    );
    fs::remove_dir_all(&to).unwrap();
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_restore_resumes_and_overwrites_nothing() {
    let f = Fixture::new(&[
        ("BACKUP_CONTENT_ENCRYPTION", "true"),
        ("BACKUP_ENCRYPTION_KEY", KEY),
    ])
    .await;
    f.fill(4).await;
    let job = f.back_up().await;
    let to = folder("restored");
    fs::write(to.join("1_Item_1"), file_of(1)).unwrap();
    fs::write(to.join(".2_Item_2.txt.part"), b"half of").unwrap();
    fs::write(to.join("3_Item_3"), b"somebody else's").unwrap();
    let report = restore(&f, &job.backup_id, &to).await;
    assert_eq!((report.restored, report.kept), (2, 1));
    let [failed] = report.failed.as_slice() else {
        panic!("{report:?}")
    };
    assert_eq!(failed.content_id.as_deref(), Some("3"));
    assert!(
        failed
            .reason
            .contains("3_Item_3 already exists with other content"),
        "{}",
        failed.reason
    );
    let files = files_in(&to);
    assert_eq!(files["3_Item_3"], b"somebody else's");
    assert_eq!(
        (files["2_Item_2.txt"].as_slice(), files.len()),
        (file_of(2).as_slice(), 5)
    );
    fs::remove_dir_all(&to).unwrap();
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_item_is_restored_by_its_content_id() {
    let f = Fixture::new(&[PATIENT]).await;
    f.fill(3).await;
    f.insert([item(4, "ipfs", "nothing")]).await;
    let job = f.back_up().await;
    let to = folder("restored");
    assert_eq!(
        restore_one(&f, &job.backup_id, &to, "2")
            .await
            .unwrap()
            .restored,
        1
    );
    assert_eq!(
        files_in(&to).into_keys().collect::<Vec<_>>(),
        ["2_Item_2.txt"]
    );
    let unknown = restore_one(&f, &job.backup_id, &to, "9")
        .await
        .unwrap_err()
        .to_string();
    assert!(unknown.ends_with("has no item 9"), "{unknown}");
    let failed = restore_one(&f, &job.backup_id, &to, "4")
        .await
        .unwrap_err()
        .to_string();
    assert!(failed.contains("holds no file of item 4: "), "{failed}");
    fs::remove_dir_all(&to).unwrap();
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_file_is_named_and_gets_no_name_in_the_directory() {
    let f = Fixture::new(&[]).await;
    f.fill(3).await;
    let job = f.back_up().await;
    f.damage(
        &f.item(&job.backup_id, "2")
            .await
            .file
            .unwrap()
            .object
            .artifact
            .key,
        3,
    )
    .await;
    f.store
        .store
        .delete(
            &f.item(&job.backup_id, "3")
                .await
                .file
                .unwrap()
                .object
                .artifact
                .key,
        )
        .await
        .unwrap();
    let to = folder("restored");
    let report = restore(&f, &job.backup_id, &to).await;
    let mut failed: Vec<_> = report
        .failed
        .iter()
        .map(|failed| failed.content_id.clone().unwrap())
        .collect();
    failed.sort();
    assert_eq!(
        (failed, report.restored),
        (vec!["2".to_owned(), "3".to_owned()], 1)
    );
    assert_eq!(
        files_in(&to).into_keys().collect::<Vec<_>>(),
        ["1_Item_1", "manifest.json"]
    );
    fs::remove_dir_all(&to).unwrap();
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_cannot_lead_out_of_the_directory() {
    let f = Fixture::new(&[("BACKUP_CONTENT_COMPRESSION", "false")]).await;
    f.fill(2).await;
    let job = f.back_up().await;
    let list = f.manifest(&job.backup_id).await.content.unwrap().item_list;
    f.forge(&job.backup_id, &list, |bytes| {
        String::from_utf8(bytes)
            .unwrap()
            .replace("\"1_Item_1\"", "\"../1_Item_1\"")
            .into_bytes()
    })
    .await;
    let outer = folder("outer");
    let report = restore(&f, &job.backup_id, &outer.join("inner")).await;
    assert_eq!(report.failed.len(), 1);
    assert!(
        report.failed[0].reason.contains("is not a file name"),
        "{report:?}"
    );
    assert_eq!(fs::read_dir(&outer).unwrap().count(), 1);
    fs::remove_dir_all(&outer).unwrap();
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn exported_blocks_make_another_node_answer_for_the_same_cids() {
    let f = Fixture::new(&[
        ("BACKUP_CONTENT_ENCRYPTION", "true"),
        ("BACKUP_ENCRYPTION_KEY", KEY),
    ])
    .await;
    let (flat, deep, inside) = (noise(1_000), noise(700_000), noise(90_000));
    let flat_cid = f.node.add(flat.clone(), &FileShape::v1()).await;
    let deep_cid = f
        .node
        .add(deep.clone(), &FileShape::v0().chunk(3_000).max_links(4))
        .await;
    let inside_cid = f
        .node
        .add(
            inside.clone(),
            &FileShape::v1().wrapped_leaves().chunk(20_000),
        )
        .await;
    let entries = [("song.bin".to_owned(), inside_cid.clone())];
    let directory = f
        .node
        .add_directory(entries, &DirectoryShape::plain())
        .await;
    f.insert([
        item(1, "ipfs", &format!("ipfs://{flat_cid}")),
        item(2, "ipfs", &deep_cid),
        item(3, "ipfs", &format!("ipfs://{directory}/song.bin")),
        item(4, "ipfs", &format!("ipfs://{flat_cid}")),
    ])
    .await;
    f.add_gaia(5, b"no blocks").await;
    let id = f.up_to_finalize().await;
    completed(finalize(&f.holdfast, &id).await);

    let path = folder("car").join("blocks.car");
    let out = fs::File::create(&path).unwrap();
    let report = export_car(&f.holdfast.repository, &id, None, out)
        .await
        .unwrap();
    assert_eq!((report.items, report.without_blocks), (4, 1));
    assert_eq!(
        report.roots,
        [flat_cid.clone(), deep_cid.clone(), inside_cid.clone()]
    );
    let car = fs::read(&path).unwrap();
    assert_eq!(car.len() as u64, report.bytes);

    let other = IpfsNode::start();
    let imported = other.import(car).await.unwrap();
    assert_eq!(imported.roots, report.roots);
    for (cid, file) in [
        (&flat_cid, &flat),
        (&deep_cid, &deep),
        (&inside_cid, &inside),
    ] {
        assert_eq!(other.file(cid).await, *file, "{cid}");
    }
    let one = fs::File::create(&path).unwrap();
    let one = export_car(&f.holdfast.repository, &id, Some("2"), one)
        .await
        .unwrap();
    assert_eq!(one.roots, [deep_cid]);
    let none = export_car(&f.holdfast.repository, &id, Some("5"), Vec::new())
        .await
        .unwrap_err()
        .to_string();
    assert!(
        none.contains("item 5") && none.contains("has no record of blocks"),
        "{none}"
    );
    fs::remove_dir_all(path.parent().unwrap()).unwrap();
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_not_its_blocks_ends_the_export() {
    let f = Fixture::new(&[("BACKUP_CONTENT_COMPRESSION", "false")]).await;
    f.add_ipfs(1, noise(600_000)).await;
    f.add_ipfs(2, noise(600_000)).await;
    let job = f.back_up().await;
    // The records of blocks of the two items are swapped.
    let list = f.manifest(&job.backup_id).await.content.unwrap().item_list;
    f.forge(&job.backup_id, &list, |bytes| {
        let text = String::from_utf8(bytes).unwrap();
        let mut items: Vec<ItemRecord> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let [one, two] = items.as_mut_slice() else {
            panic!("{text}")
        };
        let (one, two) = (one.file.as_mut().unwrap(), two.file.as_mut().unwrap());
        std::mem::swap(&mut one.dag, &mut two.dag);
        std::mem::swap(&mut one.cid, &mut two.cid);
        items
            .iter()
            .map(|item| serde_json::to_string(item).unwrap() + "\n")
            .collect::<String>()
            .into_bytes()
    })
    .await;
    let error = export_car(&f.holdfast.repository, &job.backup_id, None, Vec::new())
        .await
        .unwrap_err();
    assert!(matches!(error, RepositoryError::Corrupt { .. }), "{error}");
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn any_artifact_can_be_decrypted_for_other_tools() {
    let f = Fixture::new(&[
        ("BACKUP_CONTENT_ENCRYPTION", "true"),
        ("BACKUP_ENCRYPTION_KEY", KEY),
    ])
    .await;
    f.fill(2).await;
    let job = f.back_up().await;
    let list = f.manifest(&job.backup_id).await.content.unwrap().item_list;
    let path = folder("decrypted").join("items.ndjson.gz");
    let out = fs::File::create(&path).unwrap();
    let bytes = decrypt_artifact(&f.holdfast.repository, &list, out)
        .await
        .unwrap();
    let found = fs::read(&path).unwrap();
    assert_eq!(found.len() as u64, bytes);
    assert_eq!(
        String::from_utf8(gunzip(&found)).unwrap().lines().count(),
        2
    );
    let object = f
        .item(&job.backup_id, "1")
        .await
        .file
        .unwrap()
        .object
        .artifact
        .key;
    let (sealed, out) = (
        path.with_file_name("object.enc"),
        fs::File::create(&path).unwrap(),
    );
    fs::write(&sealed, f.object(&object).await).unwrap();
    let opened = decrypt_file(
        &f.holdfast.repository,
        fs::File::open(&sealed).unwrap(),
        &object,
        out,
    )
    .await;
    assert!(opened.is_ok(), "{opened:?}");
    assert_eq!(gunzip(&fs::read(&path).unwrap()), file_of(1));
    fs::remove_dir_all(path.parent().unwrap()).unwrap();
    f.remove().await;
}
