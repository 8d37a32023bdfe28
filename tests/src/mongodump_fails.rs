//! If mongodump is required, a failed or missing one causes a failed job with its own message, and
//! never a backup.

use crate::{
    alarms,
    stage::{Deployment, Mongodump, fill_with_noise},
    unreachable::fails,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_complete_archive_is_no_backup_if_mongodump_failed() {
    let cut = Mongodump::that_wrote("cut-but-whole", 1);
    let variant = Deployment::named("cut-but-whole")
        .dumped_by(cut)
        .talkative()
        .deploy()
        .await;
    fill_with_noise(&variant.server, &variant.source, 8).await;
    let job = fails(&variant, "source-lost").await;
    let message = job["error"]["message"].as_str().unwrap();
    assert!(
        message.contains("exited with code 1: Failed: error writing data for collection"),
        "{message}"
    );
    variant.sweep().await;
    alarms::raised_by_what_was_emitted(&variant, &["BackupFailedAlarm", "BackupOverdueAlarm"])
        .await;
    variant.finish(job["backupId"].as_str().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_mongodump_is_reported_with_its_path() {
    let path = "/nowhere/bin/mongodump";
    let deployment = Deployment::named("no-mongodump")
        .with("DumpEngine", "mongodump")
        .with("MongodumpPath", path);
    let variant = deployment.deploy().await;
    fill_with_noise(&variant.server, &variant.source, 8).await;
    let job = fails(&variant, "config-invalid").await;
    let (message, hint) = (&job["error"]["message"], &job["error"]["hint"]);
    assert!(message.as_str().unwrap().contains(path), "{job}");
    assert!(hint.as_str().unwrap().contains("MONGODUMP"), "{job}");
    let settings = variant
        .api
        .get("/api/backups/config")
        .await
        .expect(200)
        .data()["config"]
        .clone();
    assert_eq!(
        (&settings["MONGODUMP"], &settings["BACKUP_DUMP_ENGINE"]),
        (&path.into(), &"mongodump".into())
    );
    variant.finish(job["backupId"].as_str().unwrap()).await;
}
