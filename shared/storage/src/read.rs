//! Readers of a store's stream: a blocking `Read`, or a complete small object. A failed or dropped
//! stream is an error for the reader, never an early end.

use std::io::{self, Read};

use bytes::{Buf, Bytes, BytesMut};
use futures_util::{StreamExt, TryStreamExt};
use holdfast_domain::ObjectKey;
use tokio::{sync::mpsc, task::JoinHandle};

use crate::{ByteStream, Store, StoreError};

/// Chunks that wait for the reader. Each has at most the bytes of one read from the connection
/// (some 100 KiB).
const WAITING_CHUNKS: usize = 4;

enum Message {
    Chunk(Bytes),
    Failed(StoreError),
    End,
}

/// A [`ByteStream`] as [`Read`], for a blocking thread. A [`StoreError`] arrives inside an
/// [`io::Error`].
pub struct ByteReader {
    messages: mpsc::Receiver<Message>,
    chunk: Bytes,
    ended: bool,
    pump: JoinHandle<()>,
}

impl ByteReader {
    /// Starts reading ahead of the reader. Must be called inside a tokio runtime, and read outside
    /// of its tasks.
    #[must_use]
    pub fn new(stream: ByteStream) -> Self {
        let (sender, messages) = mpsc::channel(WAITING_CHUNKS);
        Self {
            messages,
            chunk: Bytes::new(),
            ended: false,
            pump: tokio::spawn(pump(stream, sender)),
        }
    }

    fn next_chunk(&mut self) -> io::Result<()> {
        match self.messages.blocking_recv() {
            Some(Message::Chunk(chunk)) => self.chunk = chunk,
            Some(Message::End) => self.ended = true,
            Some(Message::Failed(error)) => return Err(io::Error::other(error)),
            None => {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the read from the store was cancelled",
                ));
            }
        }
        Ok(())
    }
}

impl Read for ByteReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.chunk.is_empty() && !self.ended {
            self.next_chunk()?;
        }
        let count = self.chunk.len().min(buffer.len());
        self.chunk.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}

impl Drop for ByteReader {
    fn drop(&mut self) {
        self.pump.abort();
    }
}

async fn pump(mut stream: ByteStream, sender: mpsc::Sender<Message>) {
    loop {
        let message = match stream.next().await {
            Some(Ok(chunk)) => Message::Chunk(chunk),
            Some(Err(error)) => Message::Failed(error),
            None => Message::End,
        };
        let last = !matches!(message, Message::Chunk(_));
        // A dropped reader needs no more chunks.
        if sender.send(message).await.is_err() || last {
            return;
        }
    }
}

/// Reads a complete small object.
///
/// # Errors
/// [`StoreError::Limit`] for more than `limit_bytes`. Otherwise those of [`Store::get`].
pub async fn read_all(
    store: &dyn Store,
    key: &ObjectKey,
    limit_bytes: usize,
) -> Result<Bytes, StoreError> {
    let mut stream = store.get(key, None).await?;
    let mut whole = BytesMut::new();
    while let Some(chunk) = stream.try_next().await? {
        if whole.len() + chunk.len() > limit_bytes {
            let cause = format!("more than {limit_bytes} bytes, the limit for such an object");
            return Err(StoreError::Limit {
                key: key.to_string(),
                cause,
            });
        }
        whole.extend_from_slice(&chunk);
    }
    Ok(whole.freeze())
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    fn read(chunks: Vec<Result<Bytes, StoreError>>) -> io::Result<Vec<u8>> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .build()
            .unwrap();
        let mut reader = runtime.block_on(async { ByteReader::new(stream::iter(chunks).boxed()) });
        let mut all = Vec::new();
        reader.read_to_end(&mut all).map(|_| all)
    }

    #[test]
    fn the_reader_gives_the_streams_bytes_in_order() {
        let chunks = ["ab", "", "cde", "f"].map(|text| Ok(Bytes::from_static(text.as_bytes())));
        assert_eq!(read(chunks.into()).unwrap(), b"abcdef");
        assert_eq!(read(vec![]).unwrap(), b"");
    }

    #[test]
    fn a_failed_stream_is_an_error_and_not_an_end() {
        let gone = StoreError::Unavailable {
            key: "k".to_owned(),
            cause: "reset".to_owned(),
        };
        let error = read(vec![Ok(Bytes::from_static(b"ab")), Err(gone)]).unwrap_err();
        let inner = error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<StoreError>());
        assert!(inner.is_some_and(StoreError::is_transient), "{error}");
    }

    #[test]
    fn a_stream_that_died_is_an_error_and_not_an_end() {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .build()
            .unwrap();
        let mut reader = runtime.block_on(async { ByteReader::new(stream::pending().boxed()) });
        runtime.shutdown_background();
        assert_eq!(
            reader.read(&mut [0; 8]).unwrap_err().kind(),
            io::ErrorKind::UnexpectedEof
        );
    }
}
