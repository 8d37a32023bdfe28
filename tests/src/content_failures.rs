//! Failed files: a few are reported and the backup completes. Many fail the backup.

use holdfast_testing::{FileShape, IpfsNode, Origin, origin::Answer};
use serde_json::{Value, json};

use crate::{
    alarms,
    stage::{Deployment, Piece, Variant, restored_items, small_file, small_pieces},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_few_missing_files_are_reported_one_by_one_and_the_backup_is_partial() {
    let (node, origin) = (IpfsNode::start(), Origin::start().await);
    let deployment = Deployment::named("partial")
        .fetching_from(&node)
        .and_from(&origin);
    let variant = deployment
        .with("MaxFileSize", "1000000")
        .with("ContentTimeoutMs", "1000")
        .deploy()
        .await;
    let (mut pieces, failing) = (
        small_pieces(&node, 100).await,
        failing(&node, &origin).await,
    );
    variant.publish(&pieces).await;
    variant
        .publish(
            &failing
                .iter()
                .map(|(piece, _)| piece.clone())
                .collect::<Vec<_>>(),
        )
        .await;
    let mends = Piece::on_gaia(500, origin.url("/mends"), small_file(500));
    origin.answer("/mends", [Answer::status(503), Answer::ok(small_file(500))]);
    variant.publish(std::slice::from_ref(&mends)).await;
    pieces.push(mends);

    let job = variant.api.back_up_of("content").await;
    let id = job["backupId"].as_str().unwrap();
    assert_eq!(job["items"]["failed"], failing.len(), "{job}");
    assert_eq!(job["items"]["done"], pieces.len(), "{job}");
    let folder = variant.content_comes_back(id, &pieces).await;
    let items = restored_items(&folder);
    for (piece, code) in &failing {
        let id = piece.id.to_string();
        let item = items
            .iter()
            .find(|item| item["contentId"] == id.as_str())
            .unwrap();
        assert_eq!(
            (&item["status"], &item["error"]["code"]),
            (&json!("failed"), &json!(code)),
            "{item}"
        );
        assert!(
            !item["error"]["message"].as_str().unwrap().is_empty(),
            "{item}"
        );
    }
    assert_eq!(
        origin.count("/gone"),
        1,
        "what cannot help is not tried again"
    );
    assert_eq!(origin.count("/mends"), 2);
    variant.sweep().await;
    alarms::raised_by_what_was_emitted(&variant, &["ContentPartialAlarm"]).await;
    variant.finish(id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_fifth_of_failed_items_the_backup_fails() {
    let node = IpfsNode::start();
    let variant = Deployment::named("too-many")
        .fetching_from(&node)
        .deploy()
        .await;
    variant.publish(&small_pieces(&node, 40).await).await;
    let absent =
        (900..910).map(|id| Piece::on_gaia(id, format!("{}/gaia/absent/{id}", node.address()), ""));
    variant.publish(&absent.collect::<Vec<_>>()).await;

    let job = variant
        .api
        .settled(&variant.api.triggered_of("content").await)
        .await;
    let id = job["backupId"].as_str().unwrap();
    assert_eq!(
        (&job["status"], &job["error"]["code"]),
        (&json!("failed"), &json!("too-many-failures")),
        "{job}"
    );
    assert_eq!(
        (&job["items"]["expected"], &job["items"]["failed"]),
        (&json!(50), &json!(10)),
        "{job}"
    );
    let of_it: Vec<String> = variant
        .keys()
        .await
        .into_iter()
        .filter(|key| key.contains(id))
        .collect();
    assert_eq!(of_it, [""; 0], "neither a manifest nor anything else of it");
    assert_eq!(variant.leases().await, 0);
    variant.sweep().await;
    // Until the first good backup one is overdue.
    alarms::raised_by_what_was_emitted(&variant, &["ContentFailedAlarm", "ContentOverdueAlarm"])
        .await;

    what_was_fetched_serves_the_next(&variant, &node).await;
    variant.finish(id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_content_the_backup_is_complete_and_reports_it() {
    let variant = Deployment::named("nothing").deploy().await;
    let job = variant.api.back_up_of("content").await;
    let id = job["backupId"].as_str().unwrap();
    assert_eq!(job["items"]["expected"], 0, "{job}");
    assert!(
        job["message"]
            .as_str()
            .unwrap()
            .contains("nothing to back up"),
        "{job}"
    );
    variant.content_comes_back(id, &[]).await;
    let status = variant
        .api
        .get("/api/backups/status")
        .await
        .expect(200)
        .data()["status"]
        .clone();
    assert_eq!(status["content"]["lastBackup"]["backupId"], id, "{status}");
    assert_eq!(variant.leases().await, 0);
    variant.finish(id).await;
}

/// A piece for each quick failure of a file, with its code.
async fn failing(node: &IpfsNode, origin: &Origin) -> Vec<(Piece, &'static str)> {
    origin.answer("/gone", [Answer::status(410)]);
    origin.answer("/secret", [Answer::status(403)]);
    origin.answer(
        "/metadata",
        [Answer::redirect(
            "http://169.254.169.254/latest/meta-data/iam",
        )],
    );
    origin.answer("/large", [Answer::ok(vec![7; 1_000_001])]);
    let mut id = 600..;
    let mut gaia = |url: String, code| (Piece::on_gaia(id.next().unwrap(), url, ""), code);
    let mut failing = vec![
        gaia(format!("{}/gaia/absent", node.address()), "not-found"),
        gaia(origin.url("/gone"), "gone"),
        gaia(origin.url("/secret"), "refused"),
        gaia(origin.url("/large"), "too-large"),
        gaia(origin.url("/metadata"), "blocked"),
        gaia("https://127.0.0.1/".to_owned(), "blocked"),
        gaia("ftp://hub.example/x".to_owned(), "unsupported"),
    ];
    let absent = IpfsNode::start()
        .add("of another node", &FileShape::v1())
        .await;
    failing.push((Piece::on_ipfs(700, absent, ""), "not-found"));
    failing.push((Piece::on_ipfs(701, "ipfs://nothing", ""), "bad-cid"));
    failing
}

/// After the repair of the items, the next backup downloads nothing that the failed one had.
async fn what_was_fetched_serves_the_next(variant: &Variant, node: &IpfsNode) {
    for id in 900..910 {
        node.put_gaia(&format!("absent/{id}"), small_file(id)).await;
    }
    node.reset_requests().await;
    let job: Value = variant.api.back_up_of("content").await;
    assert_eq!(
        (&job["items"]["done"], &job["items"]["unchanged"]),
        (&json!(10), &json!(40)),
        "{job}"
    );
    assert_eq!(node.requests().await.gateway.car, 0, "{job}");
}
