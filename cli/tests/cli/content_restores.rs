//! Files on IPFS and Gaia, restored as files and as blocks.

use std::{fs, io::Read as _, path::Path};

use holdfast_codec::GunzipReader;
use holdfast_testing::IpfsNode;
use serde_json::json;

use super::{
    content::{id_of, text},
    files::Files,
};

#[tokio::test(flavor = "multi_thread")]
async fn the_blocks_come_back_under_the_cids_they_had() {
    let files = Files::new().await;
    let place = &files.place;
    let id = id_of(&files.back_up());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("blocks.car");
    let report = place
        .json(&["restore", "content", &id, "--to-car", text(&file)])
        .remove(0);
    assert_eq!(
        (&report["items"], &report["withoutBlocks"]),
        (&json!(7), &json!(3)),
        "{report}"
    );
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        1,
        "nothing half-written is left"
    );

    let fresh = IpfsNode::start();
    let imported = fresh.import(fs::read(&file).unwrap()).await.unwrap();
    assert_eq!(json!(imported.roots), report["roots"]);
    assert_eq!(json!(imported.blocks), report["blocks"]);
    for (content_id, path) in &files.paths {
        assert!(fresh.file(path).await == files.held[content_id], "{path}");
    }
    let piped = place
        .holdfast(&["restore", "content", &id, "--to-car", "-"])
        .expect(0)
        .saying(&["3 items without"]);
    assert!(
        piped.stdout == fs::read(&file).unwrap(),
        "stdout takes the same"
    );
    let reported = place
        .holdfast(&["restore", "content", &id, "--to-car", text(&file)])
        .expect(0)
        .text();
    assert!(
        reported.contains("ipfs dag import") && reported.contains(&imported.roots[0]),
        "{reported}"
    );
    files.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_item_is_restored_by_itself() {
    let files = Files::new().await;
    let place = &files.place;
    let id = id_of(&files.back_up());
    let folder = tempfile::tempdir().unwrap();
    let (to, car) = (folder.path().join("to"), folder.path().join("car"));
    place
        .holdfast(&[
            "restore",
            "content",
            &id,
            "--to",
            text(&to),
            "--content-id",
            "3",
        ])
        .expect(0);
    let names: Vec<_> = fs::read_dir(&to)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(names.len(), 1, "{names:?}");
    assert_eq!(fs::read(&names[0]).unwrap(), files.held["3"]);

    let one = |content_id| {
        [
            "restore",
            "content",
            &id,
            "--to-car",
            text(&car),
            "--content-id",
            content_id,
        ]
    };
    place.holdfast(&one("3")).expect(0);
    let fresh = IpfsNode::start();
    assert_eq!(
        fresh.import(fs::read(&car).unwrap()).await.unwrap().roots,
        [files.paths["3"].clone()]
    );
    assert!(fresh.file(&files.paths["3"]).await == files.held["3"]);

    fs::remove_file(&car).unwrap();
    place
        .holdfast(&one("8"))
        .expect(4)
        .saying(&["blocks", "--to"]);
    place
        .holdfast(&one("no such item"))
        .expect(4)
        .saying(&["no such item"]);
    place
        .holdfast(&[
            "restore",
            "content",
            &id,
            "--to",
            text(&to),
            "--content-id",
            "99",
        ])
        .expect(4)
        .saying(&["99"]);
    assert!(!car.exists(), "what failed leaves nothing");
    files.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn existing_files_are_never_overwritten_by_a_restore() {
    let files = Files::new().await;
    let place = &files.place;
    let id = id_of(&files.back_up());
    let folder = tempfile::tempdir().unwrap();
    let (file, to) = (folder.path().join("file"), folder.path().join("to"));
    fs::write(&file, "mine").unwrap();
    place
        .holdfast(&["restore", "content", &id, "--to", text(&file)])
        .expect(5)
        .saying(&["--to", "directory"]);
    place
        .holdfast(&["restore", "content", &id, "--to-car", text(folder.path())])
        .expect(1)
        .saying(&["regular file"]);
    assert_eq!(fs::read(&file).unwrap(), b"mine");

    place
        .holdfast(&["restore", "content", &id, "--to", text(&to)])
        .expect(0);
    let other = fs::read_dir(&to)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| starts(path, "3_"))
        .unwrap();
    fs::write(&other, "mine").unwrap();
    let gone = fs::read_dir(&to)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| starts(path, "4_"))
        .unwrap();
    fs::remove_file(&gone).unwrap();
    let again = place
        .holdfast(&["restore", "content", &id, "--to", text(&to)])
        .expect(8)
        .saying(&["1 file not restored"]);
    assert!(
        again.text().contains("1 file was NOT restored"),
        "{}",
        again.text()
    );
    assert_eq!(fs::read(&other).unwrap(), b"mine");
    assert!(gone.is_file(), "what can be restored is");
    files.remove().await;
}

fn starts(path: &Path, with: &str) -> bool {
    path.file_name()
        .unwrap()
        .to_str()
        .unwrap()
        .starts_with(with)
}

#[tokio::test(flavor = "multi_thread")]
async fn encrypted_content_opens_with_its_key_and_shows_no_name_without_it() {
    let mut files = Files::none().await;
    files
        .place
        .env
        .insert("BACKUP_CONTENT_ENCRYPTION", "true".to_owned());
    files
        .place
        .env
        .insert("BACKUP_ENCRYPTION_KEY", "07".repeat(32));
    let reported = files.place.holdfast(&["init"]).expect(0).text();
    assert!(
        reported.contains("epoch 1"),
        "content alone is reason enough for a key: {reported}"
    );
    let url = files.node.put_gaia("hub/secret-name.txt", "a secret").await;
    files
        .add("gaia", &url, "A Secret Title", b"a secret".to_vec())
        .await;
    let place = &files.place;
    let id = id_of(&files.back_up());

    let keys = place.keys().await;
    let list = keys.iter().find(|key| key.contains("/items.")).unwrap();
    let mut lines = String::new();
    let decrypted = place.holdfast(&["decrypt", list]).expect(0).stdout;
    GunzipReader::new(&decrypted[..])
        .read_to_string(&mut lines)
        .unwrap();
    assert!(lines.contains("A Secret Title"), "{lines}");
    let object = keys
        .iter()
        .find(|key| key.starts_with("content/objects/"))
        .unwrap();
    assert_eq!(object.rsplit('.').next(), Some("enc"), "{object}");
    for key in &keys {
        let stored = place.object(key).await;
        let readable = String::from_utf8_lossy(&stored);
        assert!(
            !readable.contains("Secret Title") && !readable.contains("secret-name"),
            "{key}"
        );
    }
    let folder = tempfile::tempdir().unwrap();
    place
        .holdfast(&["restore", "content", &id, "--to", text(folder.path())])
        .expect(0);
    files.assert_restored_in(folder.path());

    files
        .place
        .env
        .insert("BACKUP_ENCRYPTION_KEY", "ab".repeat(32));
    let to = folder.path().join("other");
    files
        .place
        .holdfast(&["restore", "content", &id, "--to", text(&to)])
        .expect(3)
        .saying(&["epoch 1"]);
    assert!(!to.exists() || fs::read_dir(&to).unwrap().next().is_none());
    files.remove().await;
}
