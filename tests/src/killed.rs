//! The function's process is killed in the middle of a dump.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    alarms,
    stage::{Deployment, Process, Variant, event, fill_with_noise, until},
};

const PASSPHRASE: &str = "passphrase:correct horse battery staple";
/// Long enough under way to be caught there.
const MEBIBYTES: i32 = 96;

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_backup_is_taken_over_by_the_next_delivery_of_its_event() {
    is_taken_over_when_killed(Deployment::named("taken-over")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_backup_leaves_no_mongodump_behind_and_is_taken_over_with_another() {
    is_taken_over_when_killed(Deployment::named("mongodump-killed").dumped_by_mongodump()).await;
}

async fn is_taken_over_when_killed(deployment: Deployment) {
    let variant = deployed(deployment).await;
    let id = killed_in_the_middle(&variant).await;
    deliver_again(&variant, &id).await;
    variant.age_lease().await;
    let job = variant.api.settled(&id).await;
    assert_eq!(
        (&job["status"], &job["fence"]),
        (&json!("completed"), &json!(2)),
        "{job}"
    );
    assert_eq!(job["key"], format!("database/{id}/dump.2.archive.gz.enc"));
    assert_eq!(manifests(&variant).await, 1);
    variant
        .operator(&["verify", &id, "--level", "structure"])
        .await
        .expect(0);
    what_was_left_is_swept(&variant, 1).await;
    variant.finish(&id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_backup_without_a_takeover_is_settled_by_the_sweep() {
    let variant = deployed(Deployment::named("swept")).await;
    let id = killed_in_the_middle(&variant).await;
    killed_at_every_delivery(&variant, &id).await;
    let silent = variant.sweep().await;
    assert_eq!(
        silent["stalled"],
        json!([]),
        "a run that may still beat is left alone: {silent}"
    );

    variant.age_lease().await;
    let swept = variant.sweep().await;
    assert_eq!(
        (&swept["stalled"], &swept["uploadsAborted"]),
        (&json!([id]), &json!(1)),
        "{swept}"
    );
    let job = variant.api.job(&id).await;
    assert_eq!(
        (&job["status"], &job["error"]["code"]),
        (&json!("failed"), &json!("stalled")),
        "{job}"
    );
    assert_eq!(manifests(&variant).await, 0);
    what_was_left_is_swept(&variant, 0).await;
    alarms::raised_by_what_was_emitted(
        &variant,
        &[
            "BackupFailedAlarm",
            "BackupOverdueAlarm",
            "BackupStalledAlarm",
        ],
    )
    .await;
    variant.finish(&id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_paused_past_its_lease_gives_way_to_the_run_that_took_over() {
    gives_way_when_paused(Deployment::named("paused")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_backup_that_gives_way_leaves_no_mongodump_behind() {
    gives_way_when_paused(Deployment::named("mongodump-paused").dumped_by_mongodump()).await;
}

async fn gives_way_when_paused(deployment: Deployment) {
    let variant = deployed(deployment).await;
    let id = in_the_middle(&variant).await;
    let paused = worker(&variant).await;
    let tools = tools_of(&paused, &variant);
    paused.signal("STOP");
    assert_eq!(
        variant.api.job(&id).await["status"],
        "running",
        "it was paused too late"
    );
    variant.age_lease().await;
    deliver_again(&variant, &id).await;
    let job = variant.api.settled(&id).await;
    assert_eq!(
        (&job["status"], &job["fence"]),
        (&json!("completed"), &json!(2)),
        "{job}"
    );

    paused.signal("CONT");
    until("the first run's end", Duration::from_mins(1), || async {
        let log = variant.log("database-backup").await;
        log.iter()
            .any(|line| line.contains(&id) && line.contains("without its own result"))
            .then_some(())
    })
    .await;
    are_gone(&tools).await;
    assert_eq!(
        variant.api.job(&id).await,
        job,
        "it changes nothing any more"
    );
    let dumps: Vec<String> = variant
        .keys()
        .await
        .into_iter()
        .filter(|key| key.contains("/dump."))
        .collect();
    assert_eq!(dumps, [job["key"].as_str().unwrap()], "and leaves nothing");
    assert_eq!(
        (
            manifests(&variant).await,
            variant.unfinished_uploads().await
        ),
        (1, Vec::new())
    );
    variant
        .operator(&["verify", &id, "--level", "structure"])
        .await
        .expect(0);
    variant.finish(&id).await;
}

async fn deployed(deployment: Deployment) -> Variant {
    let variant = deployment.encrypted_under(PASSPHRASE).deploy().await;
    fill_with_noise(&variant.server, &variant.source, MEBIBYTES).await;
    variant.mongodump_sees_the_source().await;
    variant
}

/// Begins a backup, and waits until its first part is stored.
async fn in_the_middle(variant: &Variant) -> String {
    let id = variant.api.triggered().await;
    until("a stored part", Duration::from_secs(30), || async {
        variant
            .unfinished_uploads()
            .await
            .first()
            .filter(|parts| **parts > 0)
            .copied()
    })
    .await;
    id
}

async fn killed_in_the_middle(variant: &Variant) -> String {
    let id = in_the_middle(variant).await;
    let tools = tools_of(&worker(variant).await, variant);
    kill(variant).await;
    are_gone(&tools).await;
    assert_eq!(
        variant.api.job(&id).await["status"],
        "running",
        "it was killed too late"
    );
    id
}

/// The local EventBridge delivers once. The real one invokes asynchronously, and redelivers after
/// the death of a function.
async fn deliver_again(variant: &Variant, id: &str) {
    let mut request = event("manual-database");
    request["detail"]["backupId"] = id.into();
    variant
        .aws
        .deliver(&variant.function("database-backup"), &request)
        .await;
}

/// Each delivery's process dies while it waits for the end of the first run's lease. Then the event
/// is a dead letter.
async fn killed_at_every_delivery(variant: &Variant, id: &str) {
    deliver_again(variant, id).await;
    for _ in 0..3 {
        kill(variant).await;
    }
    let queue =
        json!({ "QueueUrl": variant.outputs["InvocationDeadLettersUrl"], "WaitTimeSeconds": 10 });
    let received = variant
        .aws
        .json("sqs", "AmazonSQS.ReceiveMessage", &queue)
        .await;
    let letter: Value =
        serde_json::from_str(received["Messages"][0]["Body"].as_str().unwrap()).unwrap();
    assert_eq!(
        letter["requestPayload"]["detail"]["backupId"], id,
        "{letter}"
    );
}

/// Waits for the worker's process, and kills it.
async fn kill(variant: &Variant) {
    let process = worker(variant).await;
    process.kill();
    until("its death", Duration::from_secs(10), || async {
        (!process.is_there()).then_some(())
    })
    .await;
}

async fn worker(variant: &Variant) -> Process {
    let function = variant.function("database-backup");
    let found = || async { Process::all_of(&function).into_iter().next() };
    until("the worker's process", Duration::from_secs(30), found).await
}

/// The mongodump of a worker: one, or none if the engine is the native one.
fn tools_of(worker: &Process, variant: &Variant) -> Vec<Process> {
    let tools = worker.children();
    let reported: Vec<String> = tools
        .iter()
        .flat_map(|tool| [tool.arguments(), tool.environment()].concat())
        .collect();
    assert_eq!(
        tools.len(),
        usize::from(variant.mongodump.is_some()),
        "{reported:?}"
    );
    assert!(
        tools.is_empty() || reported.contains(&"--archive".to_owned()),
        "{reported:?}"
    );
    assert!(tools.iter().all(Process::group_is_there), "{reported:?}");
    variant.assert_no_secret_in("the process of mongodump", &reported);
    tools
}

/// Asserts that these processes and their children have ended.
async fn are_gone(tools: &[Process]) {
    let gone = || async { (!tools.iter().any(Process::group_is_there)).then_some(()) };
    until("the end of mongodump", Duration::from_secs(10), gone).await;
}

async fn manifests(variant: &Variant) -> usize {
    variant
        .keys()
        .await
        .iter()
        .filter(|key| key.ends_with("/manifest.json"))
        .count()
}

/// No upload and no lease is left after a sweep, and the next backup is made as ever.
async fn what_was_left_is_swept(variant: &Variant, uploads: u64) {
    assert_eq!(variant.sweep().await["uploadsAborted"], uploads);
    assert_eq!(variant.unfinished_uploads().await, [0_usize; 0]);
    assert_eq!(variant.leases().await, 0);
    let source = variant.server.client.database(&variant.source);
    source
        .collection::<mongodb::bson::Document>("noise")
        .drop()
        .await
        .unwrap();
    variant.mongodump_sees_the_source().await;
    variant.api.back_up().await;
}
