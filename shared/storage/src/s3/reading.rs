//! Reading from S3.

use std::ops::Range;

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use holdfast_domain::ObjectKey;

use super::{S3Store, errors::translate, length};
use crate::{
    RetryPolicy, StoreError,
    body::{Answer, Origin, begins_at},
    error::chain,
    retry::Call,
};

#[async_trait]
impl Origin for S3Store {
    async fn request(
        &self,
        key: &ObjectKey,
        range: Option<Range<u64>>,
        etag: Option<&str>,
    ) -> Result<Answer, StoreError> {
        let answer = self.retry.run(Call::short("get", key.as_str()), async || {
            let request = self
                .client
                .get_object()
                .bucket(&*self.bucket)
                .key(self.full_key(key));
            let request = request
                .set_range(
                    range
                        .as_ref()
                        .map(|range| format!("bytes={}-{}", range.start, range.end - 1)),
                )
                .set_if_match(etag.map(ToOwned::to_owned));
            request
                .send()
                .await
                .map_err(|error| translate(key.as_str(), &error))
        });
        let answer = answer.await?;
        if let Some(range) = range {
            begins_at(key, range.start, answer.content_range.as_deref())?;
        }
        let promised_bytes = length(key.as_str(), answer.content_length)?;
        let chunks = stream::unfold(answer.body, async |mut body| {
            let chunk = body.next().await?;
            Some((chunk.map_err(|error| chain(&error)), body))
        });
        Ok(Answer {
            promised_bytes,
            etag: answer.e_tag,
            body: chunks.boxed(),
        })
    }

    fn retry(&self) -> RetryPolicy {
        self.retry
    }
}
