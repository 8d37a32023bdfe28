//! A backup requested by the API is restored into another database, equal to the last byte, in
//! every stored form.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::stage::{Deployment, Variant, collections_of, fill_from_golden, follow};

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
    let (variant, job) =
        backed_up(Deployment::named("uncompressed").with("DatabaseCompression", "false")).await;
    assert_stored(&job, ".archive", [false, false]);
    assert!(
        job["size"].as_u64() >= job["originalSize"].as_u64(),
        "{job}"
    );
    comes_back_equal(&variant, &job).await;
    variant.finish(id(&job)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encrypted_backup_comes_back_equal_and_opens_by_its_own_guide() {
    let (variant, job) = backed_up(
        Deployment::named("encrypted")
            .encrypted_under(KEY)
            .talkative(),
    )
    .await;
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

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_by_mongodump_comes_back_equal() {
    let (variant, job) = backed_up(Deployment::named("mongodump").dumped_by_mongodump()).await;
    assert_stored(&job, ".archive.gz", [true, false]);
    names_mongodump(&variant, &job).await;
    comes_back_equal(&variant, &job).await;
    variant.finish(id(&job)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encrypted_backup_by_mongodump_comes_back_equal_and_opens_by_its_own_guide() {
    let deployment = Deployment::named("mongodump-encrypted")
        .dumped_by_mongodump()
        .encrypted_under(KEY)
        .talkative();
    let (variant, job) = backed_up(deployment).await;
    assert_stored(&job, ".archive.gz.enc", [true, true]);
    names_mongodump(&variant, &job).await;
    comes_back_equal(&variant, &job).await;
    opens_by_its_guide(&variant, &job).await;
    variant.finish(id(&job)).await;
}

async fn backed_up(deployment: Deployment) -> (Variant, Value) {
    let variant = deployment.deploy().await;
    fill_from_golden(&variant.source).await;
    variant.mongodump_sees_the_source().await;
    let job = variant.api.back_up().await;
    assert_eq!(
        (&job["trigger"]["kind"], &job["trigger"]["by"]),
        (&"manual".into(), &"admin@local".into()),
        "{job}"
    );
    (variant, job)
}

fn assert_stored(job: &Value, suffix: &str, [compressed, encrypted]: [bool; 2]) {
    assert_eq!(
        job["key"],
        format!("database/{}/dump.1{suffix}", id(job)),
        "{job}"
    );
    assert_eq!(
        (&job["compressed"], &job["encrypted"]),
        (&compressed.into(), &encrypted.into()),
        "{job}"
    );
}

fn id(job: &Value) -> &str {
    job["backupId"].as_str().unwrap()
}

/// Asserts that job and manifest name the dumping tool. The tool must have its share of the
/// function's memory, and no other part of its environment.
async fn names_mongodump(variant: &Variant, job: &Value) {
    let mongodump = variant.mongodump.as_ref().unwrap();
    assert_eq!(
        job["engine"],
        json!({ "name": "mongodump", "version": mongodump.version() }),
        "{job}"
    );
    assert_eq!(job["message"], Value::Null, "{job}");
    let manifest = variant
        .object(&format!("database/{}/manifest.json", id(job)))
        .await;
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    assert_eq!(manifest["manifest"]["engine"], job["engine"], "{manifest}");
    if let [arguments, environment] = mongodump.found().as_slice() {
        assert!(
            arguments
                .lines()
                .any(|word| *word == format!("--db={}", variant.source)),
            "{arguments}"
        );
        let names = environment
            .lines()
            .filter_map(|line| Some(line.split_once('=')?.0));
        let names: BTreeSet<&str> = names
            .filter(|name| !["HOME", "PATH", "PWD"].contains(name))
            .collect();
        assert_eq!(names, BTreeSet::from(["GOMEMLIMIT"]), "{environment}");
    }
}

async fn comes_back_equal(variant: &Variant, job: &Value) {
    variant
        .operator(&["verify", id(job), "--level", "structure"])
        .await
        .expect(0);
    let restored = variant.restored(&["database", id(job)]).await;
    assert_same(variant, &restored).await;
}

/// Asserts that two databases have the same collections, each with the same documents, options and
/// indexes.
async fn assert_same(variant: &Variant, restored: &str) {
    let original = collections_of(&variant.server, &variant.source).await;
    let copy = collections_of(&variant.server, restored).await;
    assert!(
        original.len() > 20,
        "the source was not filled: {:?}",
        original.keys()
    );
    assert_eq!(
        original.keys().collect::<Vec<_>>(),
        copy.keys().collect::<Vec<_>>()
    );
    for (name, collection) in &original {
        assert_eq!(collection, &copy[name], "{name}");
    }
    variant.server.drop(&[restored]).await;
}

/// Follows RESTORE.md with only a shell, and restores the resulting archive.
async fn opens_by_its_guide(variant: &Variant, job: &Value) {
    let key = job["key"].as_str().unwrap();
    let folder = follow(variant, id(job), &[key.to_owned()], KEY).await;
    let archive = folder
        .path()
        .join(key.rsplit('/').next().unwrap().trim_end_matches(".enc"));
    let restored = variant
        .restored(&["archive", archive.to_str().unwrap()])
        .await;
    assert_same(variant, &restored).await;
}
