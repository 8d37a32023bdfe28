//! JSON in transit from the catalogue to the store: produced in async code, written on a blocking
//! thread. The end is a message of its own, so an interrupted text never counts as complete.

use std::io;

use serde::Serialize;
use tokio::sync::mpsc;

use crate::OperationError;

/// Approximate size of a chunk.
const CHUNK_BYTES: usize = 256 * 1024;
/// Maximum number of waiting chunks.
const WAITING: usize = 2;

enum Message {
    More(Vec<u8>),
    End,
}

/// The producing end.
pub(super) struct Text {
    chunks: mpsc::Sender<Message>,
    filling: Vec<u8>,
}

/// The writing end.
pub(super) struct Chunks(mpsc::Receiver<Message>);

pub(super) fn channel() -> (Text, Chunks) {
    let (chunks, received) = mpsc::channel(WAITING);
    (
        Text {
            chunks,
            filling: Vec::new(),
        },
        Chunks(received),
    )
}

impl Text {
    /// Text between values.
    pub(super) fn plain(&mut self, text: &str) {
        self.filling.extend_from_slice(text.as_bytes());
    }

    /// `"name":`, after a comma unless it is the first.
    pub(super) fn name(&mut self, name: &str) {
        let comma = if self.filling.ends_with(b"{") {
            ""
        } else {
            ","
        };
        self.plain(&format!("{comma}\n\"{name}\":"));
    }

    /// One value. One of many gets its own line.
    pub(super) async fn value(&mut self, value: &impl Serialize) -> Result<(), OperationError> {
        serde_json::to_writer(&mut self.filling, value)
            .map_err(|error| OperationError::internal("encode the export", &error))?;
        if self.filling.len() >= CHUNK_BYTES {
            self.flush().await?;
        }
        Ok(())
    }

    /// Marks the end.
    pub(super) async fn end(mut self) -> Result<(), OperationError> {
        self.flush().await?;
        self.send(Message::End).await
    }

    async fn flush(&mut self) -> Result<(), OperationError> {
        let chunk = std::mem::replace(
            &mut self.filling,
            Vec::with_capacity(CHUNK_BYTES + CHUNK_BYTES / 4),
        );
        self.send(Message::More(chunk)).await
    }

    async fn send(&self, message: Message) -> Result<(), OperationError> {
        let sent = self.chunks.send(message).await;
        sent.map_err(|_| OperationError::internal("write the export", &"the upload has ended"))
    }
}

impl Chunks {
    /// The next chunk, or `None` after the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        match self.0.blocking_recv() {
            Some(Message::More(chunk)) => Ok(Some(chunk)),
            Some(Message::End) => Ok(None),
            None => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the export was interrupted",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(mut chunks: Chunks) -> io::Result<Vec<u8>> {
        let mut read = Vec::new();
        while let Some(chunk) = chunks.next()? {
            read.extend(chunk);
        }
        Ok(read)
    }

    #[tokio::test]
    async fn values_are_written_in_their_order() {
        let (mut text, chunks) = channel();
        let writing = tokio::task::spawn_blocking(move || all(chunks));
        text.plain("{");
        text.name("first");
        text.value(&1).await.unwrap();
        text.name("second");
        text.value(&"x".repeat(2 * CHUNK_BYTES)).await.unwrap();
        text.plain("}");
        text.end().await.unwrap();
        let written: serde_json::Value =
            serde_json::from_slice(&writing.await.unwrap().unwrap()).unwrap();
        assert_eq!(
            (&written["first"], written["second"].as_str().unwrap().len()),
            (&1.into(), 2 * CHUNK_BYTES)
        );
    }

    #[tokio::test]
    async fn a_text_without_its_end_is_an_error() {
        let (mut text, chunks) = channel();
        let writing = tokio::task::spawn_blocking(move || all(chunks));
        text.value(&"x".repeat(CHUNK_BYTES)).await.unwrap();
        drop(text);
        assert_eq!(
            writing.await.unwrap().unwrap_err().kind(),
            io::ErrorKind::UnexpectedEof
        );
    }
}
