//! Reading from S3. A body that breaks is taken up again where it broke, a few times, and only on the same content;
//! one that ends before its promised length is broken, not done.

use std::ops::Range;

use aws_sdk_s3::{operation::get_object::GetObjectOutput, primitives};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use holdfast_domain::ObjectKey;

use super::{
    S3Store,
    errors::{chain, translate},
    length,
};
use crate::{ByteStream, StoreError, retry::Call};

/// After so many bytes without a break, earlier breaks are forgiven: a long read meets more of them than a short one.
const FORGIVEN_AFTER: u64 = 8 * 1024 * 1024;

pub(super) async fn get(store: &S3Store, key: &ObjectKey, range: Option<Range<u64>>) -> Result<ByteStream, StoreError> {
    if range.as_ref().is_some_and(Range::is_empty) {
        return Ok(stream::empty().boxed());
    }
    let start = range.as_ref().map_or(0, |range| range.start);
    let answer = request(store, key, range, None).await?;
    let promised = length(key.as_str(), answer.content_length)?;
    let reading = Reading {
        store: store.clone(),
        key: key.clone(),
        etag: answer.e_tag,
        position: start,
        end: start + promised,
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

/// One GET. `etag` makes anything but that very content an error.
async fn request(
    store: &S3Store,
    key: &ObjectKey,
    range: Option<Range<u64>>,
    etag: Option<&str>,
) -> Result<GetObjectOutput, StoreError> {
    let call = Call::short("get", key.as_str());
    let answer = store.retry.run(call, async || {
        let request = store.client.get_object().bucket(&*store.bucket).key(store.full_key(key));
        let request = request
            .set_range(range.as_ref().map(|range| format!("bytes={}-{}", range.start, range.end - 1)))
            .set_if_match(etag.map(ToOwned::to_owned));
        request.send().await.map_err(|error| translate(key.as_str(), &error))
    });
    let answer = answer.await?;
    match range {
        Some(range) if !is_from(answer.content_range.as_deref(), range.start) => {
            let cause = format!("asked from byte {}, it answered with {:?}", range.start, answer.content_range);
            Err(StoreError::Invalid { key: key.to_string(), cause })
        }
        _ => Ok(answer),
    }
}

fn is_from(content_range: Option<&str>, start: u64) -> bool {
    content_range.is_some_and(|text| text.starts_with(&format!("bytes {start}-")))
}

/// A body on its way, and all that is needed to ask for the rest of it.
struct Reading {
    store: S3Store,
    key: ObjectKey,
    etag: Option<String>,
    position: u64,
    end: u64,
    body: Option<primitives::ByteStream>,
    breaks: u32,
    since_break: u64,
}

impl Reading {
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
                // All bytes are there, so it is not the connection: the SDK found their checksum wrong.
                Some(Err(error)) if self.position == self.end => return Err(self.corrupt(chain(&error))),
                Some(Err(error)) => self.broken(chain(&error)).await?,
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
        if self.breaks >= self.store.retry.attempts {
            return Err(error);
        }
        self.store.retry.wait("get", self.key.as_str(), self.breaks, &error).await;
        Ok(())
    }

    /// Asks for the rest of the same content.
    async fn take_up(&mut self) -> Result<(), StoreError> {
        let rest = self.position..self.end;
        match request(&self.store, &self.key, Some(rest), self.etag.as_deref()).await {
            Ok(answer) => {
                self.body = Some(answer.body);
                Ok(())
            }
            Err(StoreError::AlreadyExists { .. }) => Err(self.corrupt("it was replaced while it was read".to_owned())),
            Err(error) => Err(error),
        }
    }

    fn corrupt(&self, cause: String) -> StoreError {
        StoreError::Corrupt { key: self.key.to_string(), cause }
    }
}
