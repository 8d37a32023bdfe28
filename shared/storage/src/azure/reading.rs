//! Reading from Azure.

use std::{ops::Range, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, stream, stream::BoxStream};
use holdfast_domain::ObjectKey;
use reqwest::Method;

use super::{AzureStore, answers::Seen, client::Request};
use crate::{
    RetryPolicy, StoreError,
    body::{Answer, Origin, begins_at},
    error::chain,
    retry::Call,
};

/// A body without new bytes for this time counts as broken.
const STALLED_AFTER: Duration = Duration::from_secs(30);

#[async_trait]
impl Origin for AzureStore {
    async fn request(
        &self,
        key: &ObjectKey,
        range: Option<Range<u64>>,
        etag: Option<&str>,
    ) -> Result<Answer, StoreError> {
        let answer = self.call(Call::short("get", key.as_str()), || {
            Request::for_blob(Method::GET, self, key)
                .header_if(
                    "x-ms-range",
                    range
                        .as_ref()
                        .map(|range| format!("bytes={}-{}", range.start, range.end - 1)),
                )
                .header_if("if-match", etag)
        });
        let answer = answer.await?;
        let seen = Seen::read(key.as_str(), answer.headers())?;
        if seen.is_remains {
            let cause = "it is the remainder of an aborted upload".to_owned();
            return Err(StoreError::NotFound {
                key: key.to_string(),
                cause,
            });
        }
        if let Some(range) = range {
            let content_range = answer
                .headers()
                .get("content-range")
                .and_then(|value| value.to_str().ok());
            begins_at(key, range.start, content_range)?;
        }
        let chunks = answer
            .bytes_stream()
            .map(|chunk| chunk.map_err(|error| chain(&error)));
        let body = watched(chunks.boxed(), STALLED_AFTER);
        Ok(Answer {
            promised_bytes: seen.size_bytes,
            etag: Some(seen.etag),
            body,
        })
    }

    fn retry(&self) -> RetryPolicy {
        self.retry
    }
}

/// The same body. It fails after this time without new bytes.
fn watched(
    body: BoxStream<'static, Result<Bytes, String>>,
    patience: Duration,
) -> BoxStream<'static, Result<Bytes, String>> {
    let chunks = stream::unfold((body, patience), async |(mut body, patience)| {
        let stalled = |_| {
            Some(Err(format!(
                "no bytes arrived for {} s",
                patience.as_secs_f32()
            )))
        };
        let chunk = tokio::time::timeout(patience, body.next())
            .await
            .unwrap_or_else(stalled)?;
        Some((chunk, (body, patience)))
    });
    chunks.boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stalled_body_is_broken_and_not_at_its_end() {
        let first = stream::iter([Ok(Bytes::from_static(b"ab"))]);
        let mut body = watched(
            first.chain(stream::pending()).boxed(),
            Duration::from_millis(20),
        );
        assert_eq!(body.next().await, Some(Ok(Bytes::from_static(b"ab"))));
        assert_eq!(
            body.next().await,
            Some(Err("no bytes arrived for 0.02 s".to_owned()))
        );
        let mut whole = watched(
            stream::iter([Ok(Bytes::new())]).boxed(),
            Duration::from_mins(1),
        );
        assert_eq!(
            (whole.next().await, whole.next().await),
            (Some(Ok(Bytes::new())), None)
        );
    }
}
