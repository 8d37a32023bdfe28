//! The body of an object during a read. A broken body is resumed at the same byte, a few times, and
//! only on the same content. A body shorter than promised counts as broken, not as complete.

use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, stream, stream::BoxStream};
use holdfast_domain::ObjectKey;

use crate::{ByteStream, RetryPolicy, StoreError};

/// After this many bytes without a break, the count of breaks restarts: a long read has more breaks
/// than a short one.
const BREAKS_FORGIVEN_AFTER_BYTES: u64 = 8 * 1024 * 1024;

/// A store reached over a network.
#[async_trait]
pub(crate) trait Origin: Send + Sync + 'static {
    /// One request with its retries. With an `etag`, other content is
    /// [`StoreError::AlreadyExists`]. An answer with another beginning than `range` is an
    /// error.
    async fn request(
        &self,
        key: &ObjectKey,
        range: Option<Range<u64>>,
        etag: Option<&str>,
    ) -> Result<Answer, StoreError>;

    /// Limit of resumptions of a broken body.
    fn retry(&self) -> RetryPolicy;
}

/// An origin's answer.
pub(crate) struct Answer {
    /// Number of bytes in the answer's headers.
    pub(crate) promised_bytes: u64,
    /// The store's mark of the content.
    pub(crate) etag: Option<String>,
    /// The bytes. An error is the reason for the break, as text.
    pub(crate) body: BoxStream<'static, Result<Bytes, String>>,
}

/// An object, or a range of it, for [`crate::Store::get`].
pub(crate) async fn read(
    origin: impl Origin,
    key: &ObjectKey,
    range: Option<Range<u64>>,
) -> Result<ByteStream, StoreError> {
    if range.as_ref().is_some_and(Range::is_empty) {
        return Ok(stream::empty().boxed());
    }
    let start = range.as_ref().map_or(0, |range| range.start);
    let is_range = range.is_some();
    let answer = origin.request(key, range, None).await?;
    if is_range && answer.promised_bytes == 0 {
        // Most stores report this themselves.
        return Err(StoreError::Invalid {
            key: key.to_string(),
            cause: format!("it ends before byte {start}"),
        });
    }
    let reading = Reading {
        origin,
        key: key.clone(),
        etag: answer.etag,
        position: start,
        end: start + answer.promised_bytes,
        body: Some(answer.body),
        breaks: 0,
        since_break: 0,
    };
    let chunks = stream::try_unfold(reading, async |mut reading| {
        let chunk = reading.next_chunk().await?;
        Ok(chunk.map(|chunk| (chunk, reading)))
    });
    Ok(chunks.boxed())
}

/// Whether a `Content-Range` begins at the requested byte.
pub(crate) fn begins_at(
    key: &ObjectKey,
    start: u64,
    content_range: Option<&str>,
) -> Result<(), StoreError> {
    if content_range.is_some_and(|text| text.starts_with(&format!("bytes {start}-"))) {
        return Ok(());
    }
    let cause =
        format!("requested from byte {start}, but the answer has the range {content_range:?}");
    Err(StoreError::Invalid {
        key: key.to_string(),
        cause,
    })
}

/// A body under way, and the values for requesting the rest of it.
struct Reading<O> {
    origin: O,
    key: ObjectKey,
    etag: Option<String>,
    position: u64,
    end: u64,
    body: Option<BoxStream<'static, Result<Bytes, String>>>,
    breaks: u32,
    since_break: u64,
}

impl<O: Origin> Reading<O> {
    async fn next_chunk(&mut self) -> Result<Option<Bytes>, StoreError> {
        loop {
            let Some(body) = &mut self.body else {
                self.take_up().await?;
                continue;
            };
            match body.next().await {
                Some(Ok(chunk)) if chunk.is_empty() => {}
                Some(Ok(chunk)) => return self.advance(chunk).map(Some),
                None if self.position == self.end => return Ok(None),
                None => self.broken("the body ended early".to_owned()).await?,
                // All bytes arrived, so the connection is not the cause: their checksum was wrong.
                Some(Err(reason)) if self.position == self.end => return Err(self.corrupt(reason)),
                Some(Err(reason)) => self.broken(reason).await?,
            }
        }
    }

    fn advance(&mut self, chunk: Bytes) -> Result<Bytes, StoreError> {
        let count = chunk.len() as u64;
        self.position += count;
        self.since_break += count;
        if self.since_break >= BREAKS_FORGIVEN_AFTER_BYTES {
            self.breaks = 0;
        }
        if self.position > self.end {
            return Err(self.corrupt("its body is longer than promised".to_owned()));
        }
        Ok(chunk)
    }

    /// Records a break, and waits. Fails after too many breaks.
    async fn broken(&mut self, reason: String) -> Result<(), StoreError> {
        self.body = None;
        self.breaks += 1;
        self.since_break = 0;
        let cause = format!("{reason}, at byte {} of {}", self.position, self.end);
        let error = StoreError::Unavailable {
            key: self.key.to_string(),
            cause,
        };
        let retry = self.origin.retry();
        if self.breaks >= retry.attempts {
            return Err(error);
        }
        retry
            .wait("get", self.key.as_str(), self.breaks, &error)
            .await;
        Ok(())
    }

    /// Requests the rest of the same content.
    async fn take_up(&mut self) -> Result<(), StoreError> {
        let rest = self.position..self.end;
        match self
            .origin
            .request(&self.key, Some(rest), self.etag.as_deref())
            .await
        {
            // Compared again, because some stores ignore the condition.
            Ok(answer) if answer.etag == self.etag => {
                self.body = Some(answer.body);
                Ok(())
            }
            Ok(_) | Err(StoreError::AlreadyExists { .. }) => {
                Err(self.corrupt("it was replaced during the read".to_owned()))
            }
            Err(error) => Err(error),
        }
    }

    fn corrupt(&self, cause: String) -> StoreError {
        StoreError::Corrupt {
            key: self.key.to_string(),
            cause,
        }
    }
}
