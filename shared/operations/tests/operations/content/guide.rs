//! Runs the commands of a content backup's RESTORE.md unchanged in a shell.

use std::{fs, path::Path, process::Command};

use holdfast_domain::{BackupId, ObjectKey, WrappedKey};
use holdfast_recovery::restore_content;

use crate::support::{
    content::finalized::{PATIENT, files_in, folder},
    content::{Fixture, KEY, item, noise},
};

const ENCRYPTED: [(&str, &str); 2] = [
    ("BACKUP_CONTENT_ENCRYPTION", "true"),
    ("BACKUP_ENCRYPTION_KEY", KEY),
];

/// Replaces the AWS command line: `aws s3 cp s3://bucket/prefix/key place` copies from a folder of
/// objects.
const AWS: &str = r#"aws() {
  [ "$1 $2" = 's3 cp' ] || { echo "aws $*" >&2; return 1; }
  KEY_OF_OBJECT=${3#"$STORE"}
  if [ "$4" = . ]; then cp "$OBJECTS/$KEY_OF_OBJECT" "./${KEY_OF_OBJECT##*/}"; else cp "$OBJECTS/$KEY_OF_OBJECT" "$4"; fi
}
"#;

/// Copies the entire repository into a folder, for [`AWS`].
async fn mirror(f: &Fixture, to: &Path) {
    for key in f.keys().await {
        let path = to.join(&key);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, f.object(&key.parse().unwrap()).await).unwrap();
    }
}

/// Follows the guide in an empty folder. `pasted` has the values for a person to paste. Returns the
/// folder.
async fn follow(
    f: &Fixture,
    id: &BackupId,
    pasted: &[(&str, String)],
) -> Result<std::path::PathBuf, String> {
    let (objects, here) = (folder("objects"), folder("guide"));
    mirror(f, &objects).await;
    let guide = String::from_utf8(f.object(&ObjectKey::restore_guide(id)).await).unwrap();
    let blocks = guide.split("```").skip(1).step_by(2);
    let commands: Vec<&str> = blocks
        .filter_map(|block| block.strip_prefix("bash\n"))
        .collect();
    let mut script = format!("set -eu\n{AWS}{}", commands.join("\n"));
    for (name, value) in pasted {
        let line = script
            .lines()
            .find(|line| line.starts_with(&format!("{name}=")))
            .unwrap()
            .to_owned();
        script = script.replace(&line, &format!("{name}='{value}'"));
    }
    let store = f.holdfast.repository.location().to_string();
    let mut shell = Command::new("bash");
    shell
        .arg("-c")
        .arg(&script)
        .current_dir(&here)
        .env("OBJECTS", &objects)
        .env("STORE", store);
    let output = shell.output().unwrap();
    fs::remove_dir_all(&objects).unwrap();
    if output.status.success() {
        return Ok(here);
    }
    fs::remove_dir_all(&here).unwrap();
    Err(String::from_utf8_lossy(&output.stderr).into_owned()
        + &String::from_utf8_lossy(&output.stdout))
}

/// Asserts that the result of the guide equals the restore of Holdfast.
async fn assert_restored(f: &Fixture, id: &BackupId, here: &Path, with_document: bool) {
    let to = folder("restored");
    let report = restore_content(&f.holdfast.repository, id, &to, None, &|_| {})
        .await
        .unwrap();
    assert!(report.is_faithful() && report.restored > 0);
    if !with_document {
        fs::remove_file(to.join("manifest.json")).unwrap();
    }
    assert_eq!(files_in(&here.join(id.as_str())), files_in(&to));
    fs::remove_dir_all(&to).unwrap();
    fs::remove_dir_all(here).unwrap();
}

async fn pasted(f: &Fixture) -> [(&'static str, String); 2] {
    let WrappedKey::Key { wrapped } =
        f.holdfast.repository.open().await.unwrap().epochs[0].keys[0].clone()
    else {
        panic!("wrapped by another method")
    };
    [("KEY", KEY.to_owned()), ("WRAPPED", wrapped)]
}

/// Titles and URLs that break readers of JSON by patterns.
async fn awkward(f: &Fixture, content_id: i64) {
    let url = f
        .node
        .put_gaia(&format!("{content_id}.bin"), noise(500))
        .await;
    let mut item = item(content_id, "gaia", &url);
    item.insert(
        "title",
        r#"a "fileName":"../x","file":{"fileSha256":"00"},"object":{"key":"y"#,
    );
    f.insert([item]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stock_tools_open_an_archive_and_check_every_file() {
    let f = Fixture::new(&[PATIENT]).await;
    f.fill(6).await;
    awkward(&f, 7).await;
    f.insert([item(8, "ipfs", "nothing")]).await;
    let job = f.back_up().await;
    let here = follow(&f, &job.backup_id, &[]).await.unwrap();
    assert_restored(&f, &job.backup_id, &here, true).await;
    let key = job.key.unwrap();
    f.damage(&key, 100).await;
    assert!(
        follow(&f, &job.backup_id, &[])
            .await
            .unwrap_err()
            .contains("FAILED")
    );
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn openssl_alone_opens_encrypted_volumes() {
    let f = Fixture::new(&ENCRYPTED).await;
    f.fill(2).await;
    f.add_gaia(3, noise(3 << 20)).await;
    let id = f.up_to_finalize().await;
    f.finalize_in_short_runs(&id).await;
    let volumes = f.manifest(&id).await.content.unwrap().archive;
    assert!(volumes.len() >= 2, "{volumes:?}");
    let here = follow(&f, &id, &pasted(&f).await).await.unwrap();
    assert_restored(&f, &id, &here, true).await;
    let wrong = follow(
        &f,
        &id,
        &[("KEY", "f".repeat(64)), pasted(&f).await[1].clone()],
    )
    .await;
    assert!(wrong.is_err());
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_archive_each_file_is_fetched_by_the_list() {
    for encrypted in [false, true] {
        let mut settings = vec![("BACKUP_CONTENT_ARCHIVE", "false")];
        settings.extend(if encrypted {
            ENCRYPTED.to_vec()
        } else {
            Vec::new()
        });
        let f = Fixture::new(&settings).await;
        f.fill(4).await;
        awkward(&f, 5).await;
        let job = f.back_up().await;
        let keys = if encrypted {
            pasted(&f).await.to_vec()
        } else {
            Vec::new()
        };
        let here = follow(&f, &job.backup_id, &keys).await.unwrap();
        assert_restored(&f, &job.backup_id, &here, false).await;
        f.remove().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_without_files_has_a_guide_that_works() {
    let f = Fixture::new(&[("BACKUP_CONTENT_COMPRESSION", "false")]).await;
    let job = f.back_up().await;
    let here = follow(&f, &job.backup_id, &[]).await.unwrap();
    assert_eq!(
        files_in(&here.join(job.backup_id.as_str()))
            .into_keys()
            .collect::<Vec<_>>(),
        ["manifest.json"]
    );
    fs::remove_dir_all(here).unwrap();
    f.remove().await;
}
