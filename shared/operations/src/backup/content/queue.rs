//! The queue between discovery and downloads: SQS, or a bounded channel inside one process.
//!
//! A queue may lose or repeat a message. Only the items' rows show their state.

use async_trait::async_trait;
use holdfast_domain::DownloadMessage;
use tokio::sync::{Mutex, mpsc};

/// The queue did not accept the messages.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the download queue: {message}")]
pub struct QueueError {
    /// The failure and its reason.
    pub message: String,
    /// Whether a later call may succeed.
    pub is_transient: bool,
}

/// A message that the queue refuses because of its content. A retry cannot help. The other messages
/// were accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedMessage {
    /// The item of the message.
    pub content_id: String,
    /// The queue's reason.
    pub reason: String,
}

/// Takes messages to the workers.
#[async_trait]
pub trait DownloadQueue: Send + Sync {
    /// Sends any number of messages, and returns the refused ones. Messages that one call of the
    /// queue did not accept are sent again inside.
    ///
    /// # Errors
    /// [`QueueError`] if the queue failed, or refuses all messages. Some may have been accepted.
    async fn send(&self, messages: &[DownloadMessage]) -> Result<Vec<RefusedMessage>, QueueError>;
}

/// A queue in this process. Sending waits while it is full, so that discovery is no faster than the
/// downloads.
pub struct LocalQueue {
    sender: Mutex<Option<mpsc::Sender<DownloadMessage>>>,
    receiver: Mutex<mpsc::Receiver<DownloadMessage>>,
}

impl LocalQueue {
    /// A queue with room for this many messages.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let (sender, receiver) = mpsc::channel(capacity.max(1));
        Self {
            sender: Mutex::new(Some(sender)),
            receiver: Mutex::new(receiver),
        }
    }

    /// The next message, or `None` if the queue is closed and empty.
    pub async fn recv(&self) -> Option<DownloadMessage> {
        self.receiver.lock().await.recv().await
    }

    /// Closes the queue for new messages.
    pub async fn close(&self) {
        self.sender.lock().await.take();
    }
}

#[async_trait]
impl DownloadQueue for LocalQueue {
    async fn send(&self, messages: &[DownloadMessage]) -> Result<Vec<RefusedMessage>, QueueError> {
        let closed = || QueueError {
            message: "it was closed".to_owned(),
            is_transient: false,
        };
        let sender = self.sender.lock().await.clone().ok_or_else(closed)?;
        for message in messages {
            sender.send(message.clone()).await.map_err(|_| closed())?;
        }
        Ok(Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::*;

    fn message(content_id: usize) -> DownloadMessage {
        DownloadMessage {
            backup_id: "content_1_a".parse().unwrap(),
            content_id: content_id.to_string(),
        }
    }

    #[tokio::test]
    async fn sending_waits_while_the_queue_is_full() {
        let queue = Arc::new(LocalQueue::new(2));
        let messages: Vec<_> = (0..5).map(message).collect();
        let sending = tokio::spawn({
            let (queue, messages) = (Arc::clone(&queue), messages.clone());
            async move { queue.send(&messages).await }
        });
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(!sending.is_finished());
        for expected in &messages {
            assert_eq!(queue.recv().await.as_ref(), Some(expected));
        }
        sending.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_closed_queue_gives_what_it_has_and_takes_nothing() {
        let queue = LocalQueue::new(2);
        queue.send(&[message(1)]).await.unwrap();
        queue.close().await;
        assert!(queue.send(&[message(2)]).await.is_err());
        assert_eq!(queue.recv().await, Some(message(1)));
        assert_eq!(queue.recv().await, None);
    }
}
