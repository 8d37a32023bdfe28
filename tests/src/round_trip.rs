//! A backup that the API was asked for comes back in another database, equal to the last byte, however it was stored.

use std::process::Command;

use serde_json::Value;

use crate::stage::{Deployment, Variant, collections_of, fill_from_golden};

const KEY: &str = "8f3c1d5e7a9b2c4d6e8f0a1b3c5d7e9f1a2b4c6d8e0f1a3b5c7d9e0f2a4b6c8d";

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_backup_comes_back_equal() {
    let (variant, job) = backed_up(Deployment::named("plain")).await;
    assert_stored(&job, ".archive.gz", [true, false]);
    comes_back_equal(&variant, &job).await;
    variant.finish(id(&job)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_uncompressed_backup_comes_back_equal() {
    let (variant, job) = backed_up(Deployment::named("uncompressed").with("DatabaseCompression", "false")).await;
    assert_stored(&job, ".archive", [false, false]);
    assert!(job["size"].as_u64() >= job["originalSize"].as_u64(), "{job}");
    comes_back_equal(&variant, &job).await;
    variant.finish(id(&job)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encrypted_backup_comes_back_equal_and_opens_by_its_own_guide() {
    let (variant, job) = backed_up(Deployment::named("encrypted").encrypted_under(KEY).talkative()).await;
    assert_stored(&job, ".archive.gz.enc", [true, true]);
    comes_back_equal(&variant, &job).await;
    opens_by_its_guide(&variant, &job).await;
    variant.finish(id(&job)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_encrypted_by_kms_comes_back_equal() {
    let (variant, job) = backed_up(Deployment::named("kms").encrypted_by_kms().talkative()).await;
    assert_stored(&job, ".archive.gz.enc", [true, true]);
    comes_back_equal(&variant, &job).await;
    variant.finish(id(&job)).await;
}

async fn backed_up(deployment: Deployment) -> (Variant, Value) {
    let variant = deployment.deploy().await;
    fill_from_golden(&variant.source).await;
    let job = variant.api.back_up().await;
    assert_eq!((&job["trigger"]["kind"], &job["trigger"]["by"]), (&"manual".into(), &"admin@local".into()), "{job}");
    (variant, job)
}

fn assert_stored(job: &Value, suffix: &str, [compressed, encrypted]: [bool; 2]) {
    assert_eq!(job["key"], format!("database/{}/dump.1{suffix}", id(job)), "{job}");
    assert_eq!((&job["compressed"], &job["encrypted"]), (&compressed.into(), &encrypted.into()), "{job}");
}

fn id(job: &Value) -> &str {
    job["backupId"].as_str().unwrap()
}

async fn comes_back_equal(variant: &Variant, job: &Value) {
    variant.operator(&["verify", id(job), "--level", "structure"]).await.expect(0);
    let restored = variant.restored(&["database", id(job)]).await;
    assert_same(variant, &restored).await;
}

/// That two databases have the same collections, each with the same documents, options and indexes.
async fn assert_same(variant: &Variant, restored: &str) {
    let original = collections_of(&variant.server, &variant.source).await;
    let copy = collections_of(&variant.server, restored).await;
    assert!(original.len() > 20, "the source was not filled: {:?}", original.keys());
    assert_eq!(original.keys().collect::<Vec<_>>(), copy.keys().collect::<Vec<_>>());
    for (name, collection) in &original {
        assert_eq!(collection, &copy[name], "{name}");
    }
    variant.server.drop(&[restored]).await;
}

/// Follows RESTORE.md in an empty folder with nothing but a shell, and restores the archive that comes out.
async fn opens_by_its_guide(variant: &Variant, job: &Value) {
    let folder = tempfile::tempdir().unwrap();
    let key = job["key"].as_str().unwrap();
    let file = key.rsplit('/').next().unwrap();
    std::fs::write(folder.path().join(file), variant.object(key).await).unwrap();
    let guide = variant.object(&format!("database/{}/RESTORE.md", id(job))).await;
    let repository: Value = serde_json::from_slice(&variant.object("repository.json").await).unwrap();
    let wrapped = repository["epochs"][0]["keys"][0]["wrapped"].as_str().unwrap();
    let script = script(std::str::from_utf8(&guide).unwrap(), wrapped);
    let followed = Command::new("bash").arg("-c").arg(&script).current_dir(folder.path()).output().unwrap();
    assert!(followed.status.success(), "{}\n{}", script, String::from_utf8_lossy(&followed.stderr));
    let archive = folder.path().join(file.trim_end_matches(".enc"));
    let restored = variant.restored(&["archive", archive.to_str().unwrap()]).await;
    assert_same(variant, &restored).await;
}

/// The guide's own commands, with the two values filled in that a person would paste; what needs AWS is done already.
fn script(guide: &str, wrapped: &str) -> String {
    let blocks = guide.split("```").skip(1).step_by(2);
    let shell = blocks.filter_map(|block| block.strip_prefix("sh\n").or_else(|| block.strip_prefix("bash\n")));
    let lines = shell.filter(|block| !block.starts_with("aws ")).flat_map(str::lines);
    let filled = lines.map(|line| match line.split_once('=') {
        Some(("KEY", _)) if line.contains('#') => format!("KEY={KEY}"),
        Some(("WRAPPED", _)) if line.contains('#') => format!("WRAPPED={wrapped}"),
        _ => line.to_owned(),
    });
    ["set -eu".to_owned()].into_iter().chain(filled).collect::<Vec<_>>().join("\n")
}
