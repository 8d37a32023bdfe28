//! From a batch of messages to downloads, one after another. Their outcomes decide the messages to
//! retry.
//!
//! An error would redeliver the complete batch at once, so each message has its own result.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use holdfast_domain::{DownloadMessage, Timestamp};
use holdfast_lambda::{
    Function, InvocationError, SqsQueue, dispatch_if_settled, message_in, redeliver,
};
use holdfast_operations::{DownloadOutcome, Downloader, OperationError, RunLimits, download_item};
use tokio::sync::OnceCell;

/// After a fault of our own side, a message is seen again this much later.
const AFTER_A_FAULT: Duration = Duration::from_secs(30);

/// The state of a worker between batches: connections to gateways and origins, and their recent
/// results.
pub(crate) struct Worker {
    function: Arc<Function>,
    downloader: Arc<OnceCell<Downloader>>,
}

impl Worker {
    pub(crate) fn new(function: impl Into<Arc<Function>>) -> Self {
        Self {
            function: function.into(),
            downloader: Arc::default(),
        }
    }

    /// The same connections to gateways and origins, with this function.
    pub(crate) fn with(&self, function: Arc<Function>) -> Self {
        Self {
            function,
            downloader: Arc::clone(&self.downloader),
        }
    }

    /// Downloads the files of a batch. The response names the messages to retry.
    pub(crate) async fn handle(
        &self,
        batch: SqsEvent,
        deadline: Timestamp,
    ) -> Result<SqsBatchResponse, InvocationError> {
        let holdfast = self.function.holdfast().await?;
        let queue = self.function.queue().await?;
        let downloader = self
            .downloader
            .get_or_try_init(|| async { Downloader::new(&holdfast.settings) })
            .await?;
        let limits = RunLimits {
            deadline: Some(deadline),
        };
        let mut again = Vec::new();
        let mut backups = BTreeSet::new();
        for record in batch.records {
            let Some(message) = message_in(&record) else {
                continue;
            };
            let outcome = Box::pin(download_item(holdfast, downloader, &message, limits)).await;
            if outcome
                .as_ref()
                .is_err_and(OperationError::is_login_refused)
            {
                self.function.suspect_secrets();
            }
            if let Some(wait) = wait_of(&message, outcome) {
                show_again(&queue, &record, wait).await;
                again.push(record);
            }
            backups.insert(message.backup_id);
        }
        for backup_id in backups {
            dispatch_if_settled(&self.function, holdfast, &backup_id).await;
        }
        let mut response = SqsBatchResponse::default();
        response.batch_item_failures = again.into_iter().map(redeliver).collect();
        Ok(response)
    }
}

/// Time until the redelivery of the message. `None` if it is done.
fn wait_of(
    message: &DownloadMessage,
    outcome: Result<DownloadOutcome, OperationError>,
) -> Option<Duration> {
    match outcome {
        Ok(DownloadOutcome::Settled | DownloadOutcome::AlreadySettled) => None,
        Ok(DownloadOutcome::Retry { after, .. }) => Some(after),
        Ok(DownloadOutcome::NoTime) => Some(Duration::ZERO),
        Err(error) => {
            let DownloadMessage {
                backup_id,
                content_id,
            } = message;
            tracing::error!(backupId = %backup_id, contentId = content_id, %error, code = %error.code(), "a download could not be settled");
            Some(AFTER_A_FAULT)
        }
    }
}

async fn show_again(queue: &SqsQueue, record: &SqsMessage, wait: Duration) {
    let receipt = record.receipt_handle.as_deref().unwrap_or_default();
    if let Err(error) = queue.show_again(receipt, wait).await {
        tracing::warn!(
            error = error.message,
            "a message keeps its visibility timeout, because the queue was unreachable"
        );
    }
}

#[cfg(test)]
mod tests {
    use holdfast_database::Connection;
    use holdfast_domain::{BackupId, BackupType, JobStatus, Secret, settings::ReadPreference};
    use holdfast_operations::{
        BackupRequest, DiscoveryOutcome, LocalQueue, discover_content, trigger,
    };
    use holdfast_setup::Clients;
    use holdfast_testing::{
        FileShape, IpfsNode, Origin, TestStore, aws_config, origin::Answer, parts, unique,
    };
    use mongodb::bson::doc;

    use super::*;

    /// The messages of `events/sqs-content-download.json`, of this backup.
    fn batch(backup: &BackupId) -> SqsEvent {
        let path = format!(
            "{}/../../events/sqs-content-download.json",
            env!("CARGO_MANIFEST_DIR")
        );
        let mut batch: SqsEvent =
            serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        for record in &mut batch.records {
            let body = record.body.as_mut().unwrap();
            *body = body.replace("content_1777604400000_0a1b2c3d", backup.as_str());
        }
        batch
    }

    fn failed(response: &SqsBatchResponse) -> Vec<&str> {
        response
            .batch_item_failures
            .iter()
            .map(|failure| failure.item_identifier.as_str())
            .collect()
    }

    /// One test's own platform, catalogue and store, and a running backup of two items.
    struct Stage {
        worker: Worker,
        store: TestStore,
        databases: [String; 2],
        node: IpfsNode,
        origin: Origin,
    }

    impl Stage {
        async fn new() -> Self {
            let (store, node, origin) = (
                TestStore::new().await,
                parts().ipfs_node(),
                Origin::start().await,
            );
            let databases = [unique("platform"), unique("catalog")];
            let uri = |database: &str| parts().mongodb_uri.replace("/?", &format!("/{database}?"));
            let variables = [
                ("MONGODB_URI", uri(&databases[0])),
                ("BACKUP_CATALOG_URI", uri(&databases[1])),
                (
                    "BACKUP_STORE",
                    format!("s3://{}/{}", store.bucket, store.prefix),
                ),
                (
                    "BACKUP_CONTENT_QUEUE",
                    format!("{}/000000000000/nobodys", parts().aws_endpoint),
                ),
                ("BACKUP_IPFS_GATEWAYS", node.address().to_owned()),
                (
                    "BACKUP_CONTENT_ALLOWED_ORIGINS",
                    origin.address().to_owned(),
                ),
            ];
            let variables = variables
                .map(|(name, value)| (name.to_owned(), value))
                .to_vec();
            let worker = Worker::new(Function::new(variables, Clients::new(aws_config())));
            Self {
                worker,
                store,
                databases,
                node,
                origin,
            }
        }

        /// Begins a backup of an IPFS item and a Gaia item. The Gaia origin sends these responses.
        async fn begun(&self, answers: impl IntoIterator<Item = Answer>) -> BackupId {
            self.origin.answer("/2", answers);
            let client = mongodb::Client::with_uri_str(&parts().mongodb_uri)
                .await
                .unwrap();
            let cid = self.node.add("a file", &FileShape::v1()).await;
            let item = |id: i32, storage_type: &str, url: &str| {
                doc! { "contentId": id, "title": "x", "url": url, "storageType": storage_type, "isRemoved": false }
            };
            let items = [
                item(1, "ipfs", &cid),
                item(2, "gaia", &self.origin.url("/2")),
            ];
            client
                .database(&self.databases[0])
                .collection("contents")
                .insert_many(items)
                .await
                .unwrap();
            let holdfast = self.worker.function.holdfast().await.unwrap();
            let backup_id = trigger(holdfast, BackupType::Content, None, Timestamp::now())
                .await
                .unwrap()
                .backup_id;
            let request = BackupRequest::Triggered {
                backup_id: backup_id.clone(),
            };
            let queue = LocalQueue::new(10);
            let discovered = discover_content(holdfast, &queue, request, RunLimits::none())
                .await
                .unwrap();
            assert!(
                matches!(discovered, DiscoveryOutcome::Queued { .. }),
                "{discovered:?}"
            );
            backup_id
        }

        async fn handle(&self, batch: SqsEvent) -> SqsBatchResponse {
            self.worker
                .handle(batch, Timestamp::now() + Duration::from_mins(5))
                .await
                .unwrap()
        }

        async fn status(&self, id: &BackupId) -> JobStatus {
            self.worker
                .function
                .holdfast()
                .await
                .unwrap()
                .catalog
                .get(id)
                .await
                .unwrap()
                .status
        }

        async fn remove(self) {
            let uri = Secret::new(&parts().mongodb_uri);
            let server = Connection::open(&uri, ReadPreference::Primary, "tests")
                .await
                .unwrap();
            for database in &self.databases {
                server.drop_database(database).await.unwrap();
            }
            self.store.remove().await;
        }
    }

    #[tokio::test]
    async fn the_worker_of_the_last_item_hands_the_backup_on() {
        let stage = Stage::new().await;
        let id = stage.begun([Answer::ok("another file")]).await;
        let (mut first, mut second) = (batch(&id), batch(&id));
        first.records.truncate(1);
        second.records.remove(0);
        assert_eq!(failed(&stage.handle(first).await), [""; 0]);
        assert_eq!(
            stage.status(&id).await,
            JobStatus::Running,
            "one of two is settled"
        );
        assert_eq!(failed(&stage.handle(second.clone()).await), [""; 0]);
        assert_eq!(stage.status(&id).await, JobStatus::Finalizing);
        assert_eq!(
            failed(&stage.handle(second).await),
            [""; 0],
            "a message that comes late is done with"
        );
        stage.remove().await;
    }

    #[tokio::test]
    async fn only_what_may_succeed_later_comes_again() {
        let stage = Stage::new().await;
        let id = stage
            .begun([Answer::status(503), Answer::status(410)])
            .await;
        let mut again = batch(&id);
        let record = again.records.remove(1);
        assert_eq!(
            failed(&stage.handle(batch(&id)).await),
            [record.message_id.as_deref().unwrap()]
        );
        assert_eq!(stage.status(&id).await, JobStatus::Running);
        again.records = vec![record];
        assert_eq!(failed(&stage.handle(again).await), [""; 0], "gone for good");
        assert_eq!(stage.status(&id).await, JobStatus::Finalizing);
        stage.remove().await;
    }

    #[tokio::test]
    async fn what_is_no_message_or_of_no_backup_is_dropped() {
        let stage = Stage::new().await;
        let mut batch = batch(&"content_1_a".parse().unwrap());
        batch.records[0].body = Some("{".to_owned());
        assert_eq!(failed(&stage.handle(batch).await), [""; 0]);
        stage.remove().await;
    }

    #[tokio::test]
    async fn with_too_little_time_left_every_message_comes_again() {
        let stage = Stage::new().await;
        let id = stage.begun([Answer::ok("another file")]).await;
        let soon = Timestamp::now() + Duration::from_secs(20);
        let response = stage.worker.handle(batch(&id), soon).await.unwrap();
        assert_eq!(failed(&response).len(), 2);
        assert_eq!(stage.origin.count("/2"), 0);
        stage.remove().await;
    }

    #[tokio::test]
    async fn a_batch_that_cannot_be_settled_is_redelivered() {
        let variables = [
            (
                "MONGODB_URI",
                "mongodb://127.0.0.1:9/x?serverSelectionTimeoutMS=100",
            ),
            ("BACKUP_STORE", "s3://x"),
        ];
        let variables = variables
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec();
        let worker = Worker::new(Function::new(variables, Clients::new(aws_config())));
        let in_time = Timestamp::now() + Duration::from_mins(5);
        assert!(
            worker
                .handle(batch(&"content_1_a".parse().unwrap()), in_time)
                .await
                .is_err()
        );
    }
}
