//! Killed workers, lost or useless messages: every backup ends, and completes if possible.

use std::time::Duration;

use holdfast_testing::{IpfsNode, Origin, origin::Answer};
use mongodb::bson::{DateTime, doc};
use serde_json::{Value, json};

use crate::{
    alarms,
    stage::{Deployment, Piece, Process, Variant, noise, restored_items, small_pieces, until},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_in_the_middle_of_a_file_leaves_it_to_the_next() {
    let (node, origin) = (IpfsNode::start(), Origin::start().await);
    let variant = Deployment::named("download-killed")
        .fetching_from(&node)
        .and_from(&origin)
        .deploy()
        .await;
    let mut pieces = small_pieces(&node, 12).await;
    let film = noise(20 << 20);
    let whole = Answer::ok(film.clone()).with_header("etag", "\"1\"");
    origin.answer("/film", [whole.clone().stall_after(18 << 20), whole]);
    pieces.push(Piece::on_gaia(100, origin.url("/film"), film));
    variant.publish(&pieces).await;
    variant.show_messages_again_after(3).await;

    let id = variant.api.triggered_of("content").await;
    until("the film's first part", Duration::from_secs(30), || async {
        variant
            .unfinished_uploads()
            .await
            .first()
            .filter(|parts| **parts > 0)
            .copied()
    })
    .await;
    let workers = Process::all_of(&variant.function("content-download"));
    workers.iter().for_each(Process::kill);
    assert!(!workers.is_empty(), "nobody was at work");

    let job = variant.api.settled(&id).await;
    assert_eq!(
        (&job["status"], &job["items"]["done"]),
        (&json!("completed"), &json!(13)),
        "{job}"
    );
    assert_eq!(origin.count("/film"), 2);
    variant.content_comes_back(&id, &pieces).await;
    remains_are_no_obstacle(&variant, &pieces).await;
    variant.finish(&id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_queue_lost_is_sent_again_by_the_sweep() {
    let node = IpfsNode::start();
    let variant = Deployment::named("lost")
        .fetching_from(&node)
        .deploy()
        .await;
    let pieces = small_pieces(&node, 30).await;
    variant.publish(&pieces).await;
    let id = variant.queued().await;
    assert_eq!(variant.messages().await, 30);
    variant.lose_messages().await;
    variant.release_downloads().await;
    let swept = variant.sweep().await;
    assert_eq!(
        (&swept["itemsResent"], &swept["stalled"]),
        (&json!(0), &json!([])),
        "they may be on their way: {swept}"
    );

    age_messages(&variant, &id).await;
    let swept = variant.sweep().await;
    assert_eq!(
        (&swept["itemsResent"], &swept["stalled"]),
        (&json!(30), &json!([])),
        "{swept}"
    );
    let job = variant.api.settled(&id).await;
    assert_eq!(
        (&job["status"], &job["items"]["done"]),
        (&json!("completed"), &json!(30)),
        "{job}"
    );
    variant.content_comes_back(&id, &pieces).await;
    variant.finish(&id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_is_a_failed_item_and_the_backup_ends() {
    let node = IpfsNode::start();
    let variant = Deployment::named("dead-letter")
        .fetching_from(&node)
        .deploy()
        .await;
    let mut pieces = small_pieces(&node, 30).await;
    variant.publish(&pieces).await;
    let id = variant.queued().await;
    variant.lose_messages().await;
    let (dead, alive) = (
        ["7".to_owned()],
        pieces
            .iter()
            .map(|piece| piece.id.to_string())
            .filter(|id| id != "7"),
    );
    variant.send_dead_letters(&id, &dead).await;
    variant
        .send_downloads(&id, &alive.collect::<Vec<_>>())
        .await;
    until("a settled dead letter", Duration::from_secs(30), || async {
        let failed = doc! { "_id": format!("{id}/7"), "status": "failed" };
        variant.rows("backup_items").find_one(failed).await.unwrap()
    })
    .await;
    variant.release_downloads().await;

    let job = variant.api.settled(&id).await;
    assert_eq!(
        (&job["status"], &job["items"]["failed"]),
        (&json!("completed"), &json!(1)),
        "{job}"
    );
    pieces.retain(|piece| piece.id != 7);
    let folder = variant.content_comes_back(&id, &pieces).await;
    let items = restored_items(&folder);
    let item: &Value = items.iter().find(|item| item["contentId"] == "7").unwrap();
    assert_eq!(item["error"]["code"], "not-delivered", "{item}");
    variant.sweep().await;
    alarms::raised_by_what_was_emitted(
        &variant,
        &["ContentPartialAlarm", "ContentUndeliveredAlarm"],
    )
    .await;
    variant.finish(&id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_whose_last_event_got_lost_is_handed_on_by_the_sweep() {
    let node = IpfsNode::start();
    let variant = Deployment::named("event-lost")
        .fetching_from(&node)
        .deploy()
        .await;
    let pieces = small_pieces(&node, 30).await;
    variant.publish(&pieces).await;
    let id = variant.queued().await;
    switch_finalize_rule(&variant, "DisableRule").await;
    variant.release_downloads().await;
    until("the last item", Duration::from_mins(1), || async {
        (variant.api.job(&id).await["status"] == "finalizing").then_some(())
    })
    .await;
    switch_finalize_rule(&variant, "EnableRule").await;
    assert_eq!(
        variant.sweep().await["handOn"],
        json!([]),
        "it may be on its way"
    );

    let then = DateTime::from_millis(DateTime::now().timestamp_millis() - 1_000);
    let waited = doc! { "$set": { "waitsUntil": then } };
    variant
        .rows("backup_leases")
        .update_one(doc! { "_id": "content" }, waited)
        .await
        .unwrap();
    assert_eq!(
        variant.sweep().await["handOn"],
        json!([{ "backupId": id, "step": "finalize" }])
    );
    assert_eq!(variant.api.settled(&id).await["status"], "completed");
    variant.content_comes_back(&id, &pieces).await;
    variant.finish(&id).await;
}

/// Drops or forwards, on the bus, the event that hands a backup on to its end.
async fn switch_finalize_rule(variant: &Variant, action: &str) {
    let rules = variant
        .aws
        .resources(&variant.name, "AWS::Events::Rule")
        .await;
    let name = rules["ContentFinalizeRule"]
        .rsplit(['|', '/'])
        .next()
        .unwrap();
    let input = json!({ "Name": name, "EventBusName": variant.outputs["EventBusName"] });
    variant
        .aws
        .json("events", &format!("AWSEvents.{action}"), &input)
        .await;
}

/// Moves the sending of a backup's messages hours into the past.
async fn age_messages(variant: &Variant, id: &str) {
    let then = DateTime::from_millis(DateTime::now().timestamp_millis() - 12 * 3_600_000);
    let (of_it, aged) = (doc! { "backupId": id }, doc! { "$set": { "sentAt": then } });
    variant
        .rows("backup_items")
        .update_many(of_it, aged)
        .await
        .unwrap();
}

/// The objects of the killed worker have no owner. They stay until no run can use them any more.
/// The next backup downloads nothing.
async fn remains_are_no_obstacle(variant: &Variant, pieces: &[Piece]) {
    variant.sweep().await;
    assert_eq!(variant.unfinished_uploads().await.len(), 1);
    assert_eq!(variant.leases().await, 0);
    let job = variant.api.back_up_of("content").await;
    assert_eq!(job["items"]["unchanged"], pieces.len(), "{job}");
}
