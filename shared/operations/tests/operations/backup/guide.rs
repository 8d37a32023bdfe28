//! Runs the commands of RESTORE.md unchanged in a shell.

use std::{fs, path::Path, process::Command};

use holdfast_domain::{Job, ObjectKey, WrappedKey};
use holdfast_storage::read_all;

use holdfast_testing::age_program;

use super::keys_offline::{IDENTITY, RECIPIENT};
use crate::support::database::{Fixture, KEY};

/// The shell commands of a guide, in order. Commands of the AWS command line, and commands with
/// unavailable values, are omitted.
fn commands(guide: &str, pasted: &[(&str, String)]) -> String {
    let blocks = guide.split("```").skip(1).step_by(2);
    let shell = blocks.filter_map(|block| {
        block
            .strip_prefix("sh\n")
            .or_else(|| block.strip_prefix("bash\n"))
    });
    let is_followed = |block: &&str| {
        let mut asked = block
            .lines()
            .filter_map(|line| line.split_once("=   "))
            .map(|(name, _)| name);
        !block.starts_with("aws ")
            && asked.all(|name| pasted.iter().any(|(given, _)| *given == name))
    };
    shell.filter(is_followed).collect::<Vec<_>>().join("\n")
}

async fn download(f: &Fixture, key: &ObjectKey, to: &Path) {
    let bytes = read_all(f.store.store.as_ref(), key, 64 << 20)
        .await
        .unwrap();
    fs::write(to.join(key.file_name()), bytes).unwrap();
}

/// Follows the guide in an empty folder. `pasted` has the values for a person to paste.
async fn follow(f: &Fixture, job: &Job, pasted: &[(&str, String)]) -> Result<Vec<u8>, String> {
    let folder = std::env::temp_dir().join(holdfast_testing::unique("guide"));
    fs::create_dir_all(&folder).unwrap();
    let key = job.key.clone().unwrap();
    download(f, &key, &folder).await;
    let guide = read_all(
        f.store.store.as_ref(),
        &ObjectKey::restore_guide(&job.backup_id),
        1 << 20,
    )
    .await
    .unwrap();
    let mut script = format!(
        "set -eu\n{}",
        commands(std::str::from_utf8(&guide).unwrap(), pasted)
    );
    for (name, value) in pasted {
        let line = script
            .lines()
            .find(|line| line.starts_with(&format!("{name}=")))
            .unwrap()
            .to_owned();
        script = script.replace(&line, &format!("{name}='{value}'"));
    }
    let mut shell = Command::new("bash");
    shell.arg("-c").arg(&script).current_dir(&folder);
    if pasted.iter().any(|(name, _)| *name == "IDENTITY") {
        fs::write(
            folder.join("identity"),
            format!("# kept offline\n{IDENTITY}\n"),
        )
        .unwrap();
        shell.env("PATH", path_with(&age_program()));
    }
    let output = shell.output().unwrap();
    let result = if output.status.success() {
        Ok(fs::read(folder.join(key.file_name().trim_end_matches(".enc"))).unwrap())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned()
            + &String::from_utf8_lossy(&output.stdout))
    };
    fs::remove_dir_all(&folder).unwrap();
    result
}

/// The PATH of a machine with this program.
fn path_with(program: &Path) -> std::ffi::OsString {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let first = program.parent().unwrap().to_path_buf();
    std::env::join_paths(std::iter::once(first).chain(std::env::split_paths(&folders))).unwrap()
}

async fn wrapped(f: &Fixture) -> WrappedKey {
    f.holdfast.repository.open().await.unwrap().epochs[0].keys[0].clone()
}

fn documents(archive: &[u8]) -> u64 {
    let mut plain = Vec::new();
    std::io::Read::read_to_end(&mut holdfast_codec::GunzipReader::new(archive), &mut plain)
        .unwrap();
    let mut walker = holdfast_archive::Walker::new(());
    walker.feed(&plain).unwrap();
    walker.finish().unwrap().0.documents()
}

#[tokio::test(flavor = "multi_thread")]
async fn openssl_alone_opens_a_backup_under_a_key() {
    let f = Fixture::new(&[
        ("BACKUP_DATABASE_ENCRYPTION", "true"),
        ("BACKUP_ENCRYPTION_KEY", KEY),
    ])
    .await;
    f.fill(1000).await;
    let job = f.back_up().await;
    let WrappedKey::Key { wrapped } = wrapped(&f).await else {
        panic!("wrapped by another method")
    };
    let archive = follow(
        &f,
        &job,
        &[("KEY", KEY.to_owned()), ("WRAPPED", wrapped.clone())],
    )
    .await
    .unwrap();
    assert_eq!(documents(&archive), 1002);
    let wrong = follow(&f, &job, &[("KEY", "f".repeat(64)), ("WRAPPED", wrapped)]).await;
    assert!(wrong.is_err());
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn openssl_alone_opens_a_backup_under_a_passphrase() {
    let phrase = "correct horse battery staple";
    let setting = format!("passphrase:{phrase}");
    let f = Fixture::new(&[
        ("BACKUP_DATABASE_ENCRYPTION", "true"),
        ("BACKUP_ENCRYPTION_KEY", &setting),
    ])
    .await;
    f.fill(100).await;
    let job = f.back_up().await;
    let WrappedKey::Passphrase { salt, wrapped, .. } = wrapped(&f).await else {
        panic!("wrapped by another method")
    };
    let pasted = [
        ("PASSPHRASE", phrase.to_owned()),
        ("KDFSALT", salt),
        ("WRAPPED", wrapped),
    ];
    let archive = follow(&f, &job, &pasted).await.unwrap();
    assert_eq!(documents(&archive), 102);
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn age_and_openssl_alone_open_a_backup_by_the_identity_that_is_kept_offline() {
    let f = Fixture::new(&[
        ("BACKUP_DATABASE_ENCRYPTION", "true"),
        ("BACKUP_ENCRYPTION_KEY", KEY),
        ("BACKUP_BREAK_GLASS_RECIPIENT", RECIPIENT),
    ])
    .await;
    f.fill(100).await;
    let job = f.back_up().await;
    let keys = f
        .holdfast
        .repository
        .open()
        .await
        .unwrap()
        .epochs
        .remove(0)
        .keys;
    let [_, WrappedKey::Age { file, .. }] = &keys[..] else {
        panic!("wrapped otherwise")
    };
    let pasted = [("IDENTITY", "identity".to_owned()), ("FILE", file.clone())];
    assert_eq!(documents(&follow(&f, &job, &pasted).await.unwrap()), 102);
    let mut damaged = file.clone();
    damaged.replace_range(460.., "0000");
    assert_ne!(damaged, *file);
    assert!(
        follow(&f, &job, &[pasted[0].clone(), ("FILE", damaged)])
            .await
            .is_err()
    );
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_stranger_wrote_as_a_recipient_gets_into_no_guide() {
    let f = Fixture::new(&[
        ("BACKUP_DATABASE_ENCRYPTION", "true"),
        ("BACKUP_ENCRYPTION_KEY", KEY),
    ])
    .await;
    f.fill(10).await;
    f.holdfast
        .repository
        .init(
            holdfast_repository::EncryptionMode::On,
            holdfast_domain::Timestamp::now(),
        )
        .await
        .unwrap();
    let mut planted = super::keys::files(&f.store.store).await;
    let recipient = "x`\n```bash\ntouch planted\n```".to_owned();
    planted.epochs[0].keys.push(WrappedKey::Age {
        recipient,
        file: "00".to_owned(),
    });
    for name in [ObjectKey::repository(), ObjectKey::repository_copy()] {
        super::keys::put(&f.store.store, &name, &planted).await;
    }
    let job = f.back_up().await;
    let guide = read_all(
        f.store.store.as_ref(),
        &ObjectKey::restore_guide(&job.backup_id),
        1 << 20,
    )
    .await
    .unwrap();
    let guide = std::str::from_utf8(&guide).unwrap();
    assert!(
        guide.contains("age -d") && !guide.contains("planted"),
        "{guide}"
    );
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_backup_is_checked_by_its_guide() {
    let f = Fixture::new(&[]).await;
    f.fill(100).await;
    let job = f.back_up().await;
    assert_eq!(documents(&follow(&f, &job, &[]).await.unwrap()), 102);
    let key = job.key.clone().unwrap();
    let mut bytes = read_all(f.store.store.as_ref(), &key, 64 << 20)
        .await
        .unwrap()
        .to_vec();
    bytes.truncate(bytes.len() - 1);
    f.store
        .store
        .put(&key, bytes.into(), holdfast_storage::PutMode::Replace)
        .await
        .unwrap();
    assert!(follow(&f, &job, &[]).await.unwrap_err().contains("FAILED"));
    f.remove().await;
}
