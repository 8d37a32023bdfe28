//! Encryption: the key, the backups that it opens, and opening without the settings.

use std::{io::Read, time::Duration};

use holdfast_codec::GunzipReader;
use holdfast_domain::Timestamp;
use holdfast_testing::proxy::{FaultProxy, WireFault};

use super::place::{Place, UNREACHABLE, uri_of};

const KEY: &str = "0707070707070707070707070707070707070707070707070707070707070707";

async fn encrypting() -> Place {
    let mut place = Place::new().await;
    place
        .env
        .insert("BACKUP_DATABASE_ENCRYPTION", "true".to_owned());
    place.env.insert("BACKUP_ENCRYPTION_KEY", KEY.to_owned());
    let reported = place.holdfast(&["init"]).expect(0).text();
    assert!(
        reported.contains("epoch 1") && reported.contains("holdfast key export"),
        "{reported}"
    );
    place
}

fn unzip(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    GunzipReader::new(bytes).read_to_end(&mut plain).unwrap();
    plain
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encrypted_backup_opens_by_store_key_and_as_a_file_that_knows_its_place() {
    let place = encrypting().await;
    let id = place.back_up();
    let key = place
        .keys()
        .await
        .into_iter()
        .find(|key| key.ends_with(".archive.gz.enc"))
        .unwrap();
    let archive = unzip(&place.holdfast(&["decrypt", &key]).expect(0).stdout);
    assert_eq!(archive[..4], 0x8199_e26d_u32.to_le_bytes());

    let folder = tempfile::tempdir().unwrap();
    let (copy, opened) = (folder.path().join("copy"), folder.path().join("opened"));
    std::fs::write(&copy, place.object(&key).await).unwrap();
    let (copy, out) = (copy.to_str().unwrap(), opened.to_str().unwrap());
    place
        .holdfast(&["decrypt", copy])
        .expect(2)
        .saying(&["--key-of"]);
    place
        .holdfast(&["decrypt", copy, "--key-of", &key, "-o", out])
        .expect(0);
    assert_eq!(unzip(&std::fs::read(&opened).unwrap()), archive);

    let elsewhere = key.replace("dump.", "dump.9");
    place
        .holdfast(&["decrypt", copy, "--key-of", &elsewhere, "-o", out])
        .expect(6);
    assert_eq!(
        unzip(&std::fs::read(&opened).unwrap()),
        archive,
        "what failed replaces nothing"
    );
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        2,
        "what failed leaves nothing"
    );

    let target = holdfast_testing::unique("copy");
    let (from, to) = (format!("{}.*", place.database), format!("{target}.*"));
    place
        .holdfast(&[
            "restore",
            "database",
            &id,
            "--ns-from",
            &from,
            "--ns-to",
            &to,
            "--yes",
        ])
        .expect(0);
    place.assert_same_in(&target).await;
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn master_keys_are_exported_only_when_that_is_confirmed() {
    let place = encrypting().await;
    let refused = place
        .holdfast(&["key", "export"])
        .expect(5)
        .saying(&["--yes"]);
    assert_eq!(refused.text(), "");
    let exported = &place.json(&["key", "export", "--yes"])[0];
    assert_eq!(
        exported["epochs"][0]["masterKey"].as_str().unwrap().len(),
        64
    );
    assert_eq!(exported["epochs"][0]["wrapped"][0]["method"], "key");
    let printed = place
        .holdfast(&["key", "export", "--yes"])
        .expect(0)
        .saying(&["offline"]);
    assert!(
        printed
            .text()
            .contains(exported["epochs"][0]["masterKey"].as_str().unwrap())
    );
    assert!(
        printed
            .text()
            .contains(exported["repository"].as_str().unwrap())
    );
    assert!(
        !printed.text().contains(KEY),
        "the settings' own key is not what is exported"
    );
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_or_wrong_key_is_a_settings_error_that_names_the_epoch() {
    let mut place = encrypting().await;
    let id = place.back_up();
    let copy = holdfast_testing::unique("copy");
    let (from, to) = (format!("{}.*", place.database), format!("{copy}.*"));
    let restore = [
        "restore",
        "database",
        &id,
        "--ns-from",
        &from,
        "--ns-to",
        &to,
        "--yes",
    ];
    place.env.insert("BACKUP_ENCRYPTION_KEY", "ab".repeat(32));
    for words in [&["verify", &id][..], &restore] {
        let ended = place.holdfast(words).expect(3).saying(&["epoch 1"]);
        assert!(!ended.stderr.contains("abab"), "{}", ended.stderr);
    }
    place.env.remove("BACKUP_ENCRYPTION_KEY");
    place
        .holdfast(&["run", "database"])
        .expect(3)
        .saying(&["BACKUP_ENCRYPTION_KEY"]);
    place.env.remove("BACKUP_DATABASE_ENCRYPTION");
    place.holdfast(&restore).expect(3).saying(&["epoch 1"]);
    assert!(place.content(&copy).await.is_empty());
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_byte_is_found_and_never_restored() {
    let place = encrypting().await;
    let id = place.back_up();
    let key = place
        .keys()
        .await
        .into_iter()
        .find(|key| key.ends_with(".archive.gz.enc"))
        .unwrap();
    let mut bytes = place.object(&key).await;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    place.put_object(&key, bytes).await;
    let found = place.holdfast(&["verify", &id, "--json"]).expect(6);
    assert!(
        found.text().contains(r#""status":"failed""#),
        "{}",
        found.text()
    );
    place
        .holdfast(&["verify", &id, "--level", "exists"])
        .expect(0);
    let copy = holdfast_testing::unique("copy");
    let (from, to) = (format!("{}.*", place.database), format!("{copy}.*"));
    place
        .holdfast(&[
            "restore",
            "database",
            &id,
            "--ns-from",
            &from,
            "--ns-to",
            &to,
            "--yes",
        ])
        .expect(6);
    assert!(place.content(&copy).await.is_empty());
    let out = tempfile::tempdir().unwrap();
    let file = out.path().join("out");
    place
        .holdfast(&["decrypt", &key, "-o", file.to_str().unwrap()])
        .expect(6);
    assert_eq!(std::fs::read_dir(out.path()).unwrap().count(), 0);
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_has_a_lease_while_it_is_decrypted() {
    let mut place = encrypting().await;
    let id = place.back_up();
    let key = place
        .keys()
        .await
        .into_iter()
        .find(|key| key.ends_with(".archive.gz.enc"))
        .unwrap();
    let proxy = FaultProxy::start().await;
    place
        .env
        .insert("AWS_ENDPOINT_URL", proxy.endpoint().to_owned());
    proxy.fail("GET", "/dump.", u32::MAX, WireFault::Hang);
    let mut child = place.command(&["decrypt", &key]).spawn().unwrap();
    let catalog = place.catalog().await;
    let backup = id.parse().unwrap();
    let mut purposes = Vec::new();
    for _ in 0..400 {
        let living = Timestamp::now() - Duration::from_mins(1);
        purposes = catalog
            .readers(&backup, living)
            .await
            .unwrap()
            .into_iter()
            .map(|row| row.purpose)
            .collect();
        if !purposes.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(purposes, ["decrypt"]);
    child.kill().unwrap();
    child.wait().unwrap();
    place.env.insert(
        "AWS_ENDPOINT_URL",
        holdfast_testing::parts().aws_endpoint.clone(),
    );
    place.holdfast(&["decrypt", &key]).expect(0);
    let living = Timestamp::now() - Duration::from_mins(1);
    let left = catalog.readers(&backup, living).await.unwrap();
    assert_eq!(left.len(), 1, "that of the killed process: {left:?}");
    // Without a catalogue it decrypts, and reports that nothing protects the backup.
    place
        .env
        .insert("BACKUP_CATALOG_URI", UNREACHABLE.to_owned());
    place
        .holdfast(&["decrypt", &key])
        .expect(0)
        .saying(&["nothing protects backup", &id]);
    place.env.insert("BACKUP_CATALOG_URI", uri_of("unused"));
    place.remove().await;
}
