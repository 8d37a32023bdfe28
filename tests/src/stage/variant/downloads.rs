//! The queue of files to fetch, as its owner may handle it.

use std::time::Duration;

use mongodb::bson::doc;
use serde_json::{Value, json};

use super::Variant;
use crate::stage::until;

impl Variant {
    /// Has messages wait in the queue.
    pub(crate) async fn hold_downloads(&self) {
        self.change_downloads(&json!({ "Enabled": false })).await;
    }

    /// Has them be worked off again.
    pub(crate) async fn release_downloads(&self) {
        self.change_downloads(&json!({ "Enabled": true })).await;
    }

    /// Has so many workers be at it at a time.
    pub(crate) async fn download_by(&self, workers: u32) {
        self.change_downloads(&json!({ "ScalingConfig": { "MaximumConcurrency": workers } }))
            .await;
    }

    /// Begins a content backup with all its messages waiting in the queue, and returns its id.
    pub(crate) async fn queued(&self) -> String {
        self.hold_downloads().await;
        let id = self.api.triggered_of("content").await;
        until("the end of discovery", Duration::from_mins(1), || async {
            let found = doc! { "_id": &id, "work.discoveredAt": { "$ne": null } };
            self.rows("backup_jobs")
                .find_one(found)
                .await
                .unwrap()
                .map(drop)
        })
        .await;
        id
    }

    /// Number of waiting messages in the queue.
    pub(crate) async fn messages(&self) -> usize {
        let input = json!({ "QueueUrl": self.content_queue(), "AttributeNames": ["ApproximateNumberOfMessages"] });
        let reported = self
            .aws
            .json("sqs", "AmazonSQS.GetQueueAttributes", &input)
            .await;
        reported["Attributes"]["ApproximateNumberOfMessages"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap()
    }

    /// Deletes every waiting message of the queue.
    pub(crate) async fn lose_messages(&self) {
        self.aws
            .json(
                "sqs",
                "AmazonSQS.PurgeQueue",
                &json!({ "QueueUrl": self.content_queue() }),
            )
            .await;
        until("an empty queue", Duration::from_secs(10), || async {
            (self.messages().await == 0).then_some(())
        })
        .await;
    }

    /// Sets the time until the redelivery of a received but unanswered message.
    pub(crate) async fn show_messages_again_after(&self, seconds: u32) {
        let attributes = json!({ "VisibilityTimeout": seconds.to_string() });
        let input = json!({ "QueueUrl": self.content_queue(), "Attributes": attributes });
        self.aws
            .json("sqs", "AmazonSQS.SetQueueAttributes", &input)
            .await;
    }

    /// Sends messages of a backup's items, in this order.
    pub(crate) async fn send_downloads(&self, id: &str, content_ids: &[String]) {
        self.aws
            .send_messages(&self.content_queue(), &bodies(id, content_ids))
            .await;
    }

    /// Sends these as undelivered messages to their queue.
    pub(crate) async fn send_dead_letters(&self, id: &str, content_ids: &[String]) {
        let queues = self.aws.resources(&self.name, "AWS::SQS::Queue").await;
        self.aws
            .send_messages(&queues["ContentDeadLetters"], &bodies(id, content_ids))
            .await;
    }

    fn content_queue(&self) -> String {
        self.outputs["ContentQueueUrl"].clone()
    }

    async fn change_downloads(&self, change: &Value) {
        let sources = self
            .aws
            .resources(&self.name, "AWS::Lambda::EventSourceMapping")
            .await;
        self.aws
            .change_event_source(&sources["ContentDownloads"], change)
            .await;
    }
}

fn bodies(id: &str, content_ids: &[String]) -> Vec<String> {
    let body =
        |content_id: &String| -> Value { json!({ "backupId": id, "contentId": content_id }) };
    content_ids
        .iter()
        .map(|content_id| body(content_id).to_string())
        .collect()
}
