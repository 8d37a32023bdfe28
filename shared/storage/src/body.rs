//! An object's body on its way here. One that breaks is taken up again where it broke, a few times, and only on the same
//! content; one that ends before its promised length is broken, not done.

use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, stream, stream::BoxStream};
use holdfast_domain::ObjectKey;

use crate::{ByteStream, RetryPolicy, StoreError};

/// After so many bytes without a break, earlier breaks are forgiven: a long read meets more of them than a short one.
const FORGIVEN_AFTER: u64 = 8 * 1024 * 1024;

/// A store that is asked for objects over a network.
#[async_trait]
pub(crate) trait Origin: Send + Sync + 'static {
    /// Asks once, as often as that takes. `etag` makes anything but that very content [`StoreError::AlreadyExists`]; an
    /// answer that begins elsewhere than `range` is an error.
    async fn ask(&self, key: &ObjectKey, range: Option<Range<u64>>, etag: Option<&str>) -> Result<Answer, StoreError>;

    /// How often a broken body is taken up.
    fn retry(&self) -> RetryPolicy;
}

/// What an origin answers with.
pub(crate) struct Answer {
    /// How many bytes it says that come.
    pub(crate) promised_bytes: u64,
    /// The store's mark of the content.
    pub(crate) etag: Option<String>,
    /// The bytes; an error is what broke them off, in words.
    pub(crate) body: BoxStream<'static, Result<Bytes, String>>,
}

/// An object, or a range of it, as [`crate::Store::get`] promises it.
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
    let answer = origin.ask(key, range, None).await?;
    if is_range && answer.promised_bytes == 0 {
        // Most say so themselves.
        return Err(StoreError::Invalid { key: key.to_string(), cause: format!("it ends before byte {start}") });
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

/// Whether a `Content-Range` begins where it was asked to.
pub(crate) fn begins_at(key: &ObjectKey, start: u64, content_range: Option<&str>) -> Result<(), StoreError> {
    if content_range.is_some_and(|text| text.starts_with(&format!("bytes {start}-"))) {
        return Ok(());
    }
    let cause = format!("asked from byte {start}, it answered with {content_range:?}");
    Err(StoreError::Invalid { key: key.to_string(), cause })
}

/// A body on its way, and all that is needed to ask for the rest of it.
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
                // All bytes are there, so it is not the connection: their checksum was found wrong.
                Some(Err(reason)) if self.position == self.end => return Err(self.corrupt(reason)),
                Some(Err(reason)) => self.broken(reason).await?,
            }
        }
    }

    fn advance(&mut self, chunk: Bytes) -> Result<Bytes, StoreError> {
        let count = chunk.len() as u64;
        self.position += count;
        self.since_break += count;
        if self.since_break >= FORGIVEN_AFTER {
            self.breaks = 0;
        }
        if self.position > self.end {
            return Err(self.corrupt("its body is longer than was promised".to_owned()));
        }
        Ok(chunk)
    }

    /// Notes a break, and waits; fails where there were too many.
    async fn broken(&mut self, reason: String) -> Result<(), StoreError> {
        self.body = None;
        self.breaks += 1;
        self.since_break = 0;
        let cause = format!("{reason}, at byte {} of {}", self.position, self.end);
        let error = StoreError::Unavailable { key: self.key.to_string(), cause };
        let retry = self.origin.retry();
        if self.breaks >= retry.attempts {
            return Err(error);
        }
        retry.wait("get", self.key.as_str(), self.breaks, &error).await;
        Ok(())
    }

    /// Asks for the rest of the same content.
    async fn take_up(&mut self) -> Result<(), StoreError> {
        let rest = self.position..self.end;
        match self.origin.ask(&self.key, Some(rest), self.etag.as_deref()).await {
            // Whatever the store makes of the condition.
            Ok(answer) if answer.etag == self.etag => {
                self.body = Some(answer.body);
                Ok(())
            }
            Ok(_) | Err(StoreError::AlreadyExists { .. }) => {
                Err(self.corrupt("it was replaced while it was read".to_owned()))
            }
            Err(error) => Err(error),
        }
    }

    fn corrupt(&self, cause: String) -> StoreError {
        StoreError::Corrupt { key: self.key.to_string(), cause }
    }
}
