//! A response before its body. Its bytes are counted and untrusted. A body that ends early, stops,
//! or exceeds its limit is an error, never a normal end.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use holdfast_domain::ItemFailureCode;
use reqwest::{
    Response, StatusCode, Version,
    header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue, TRANSFER_ENCODING},
};
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc},
    time::{Instant, timeout, timeout_at},
};

use super::{
    coding::Coding,
    decoder::{Decoder, Step},
    host::Host,
    transport::transport_error,
};
use crate::FetchError;

/// Time limits of a response.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// The longest silence.
    pub(crate) idle: Duration,
    /// The end of it all.
    pub(crate) deadline: Instant,
}

impl Patience {
    /// Waits for an event within both limits.
    ///
    /// # Errors
    /// [`ItemFailureCode::TimedOut`], with `missing` in its message.
    pub(crate) async fn wait<T>(
        self,
        coming: impl Future<Output = T>,
        host: &Host,
        missing: &str,
    ) -> Result<T, FetchError> {
        let silence_ends = Instant::now() + self.idle;
        timeout_at(silence_ends.min(self.deadline), coming)
            .await
            .map_err(|_| {
                let message = if silence_ends < self.deadline {
                    format!(
                        "{} sent no {missing} for {} ms",
                        host.origin(),
                        self.idle.as_millis()
                    )
                } else {
                    format!(
                        "the time ended before {} had sent everything",
                        host.origin()
                    )
                };
                FetchError::new(ItemFailureCode::TimedOut, message)
            })
    }
}

/// A response with status 200 or 304. It holds a turn at its host.
#[derive(Debug)]
pub(crate) struct Answer {
    response: Response,
    host: Arc<Host>,
    patience: Patience,
    limit: u64,
    received: u64,
    coded: Option<Box<Coded>>,
    _turn: OwnedSemaphorePermit,
}

/// A body in a content coding, and the number of decoded bytes.
#[derive(Debug)]
struct Coded {
    coding: Coding,
    decoder: Decoder,
    decoded: u64,
}

impl Answer {
    /// Checks the headers.
    ///
    /// # Errors
    /// [`ItemFailureCode::TooLarge`] if it announces more than `limit` bytes,
    /// [`ItemFailureCode::InvalidAnswer`] for an unsupported coding of the body.
    pub(super) fn begin(
        response: Response,
        host: Arc<Host>,
        patience: Patience,
        limit: u64,
        turn: OwnedSemaphorePermit,
    ) -> Result<Self, FetchError> {
        let mut answer = Self {
            response,
            host,
            patience,
            limit,
            received: 0,
            coded: None,
            _turn: turn,
        };
        if answer.is_not_modified() {
            return Ok(answer);
        }
        let values = answer
            .response
            .headers()
            .get_all(CONTENT_ENCODING)
            .iter()
            .map(HeaderValue::as_bytes);
        answer.coded = match Coding::read(values) {
            Ok(coding) => coding.map(|coding| Box::new(Coded::new(coding))),
            Err(codings) => {
                let what = format!(
                    "sent the content coding {codings:?}: supported are gzip and deflate, one at a time"
                );
                return Err(answer.invalid(&what).lasting());
            }
        };
        match answer.response.content_length() {
            Some(announced) if announced > answer.most_received() => {
                Err(answer.too_large(&format!("announces {announced} bytes")))
            }
            _ => Ok(answer),
        }
    }

    /// Limit of the received bytes. A coding slightly enlarges incompressible data.
    fn most_received(&self) -> u64 {
        match self.coded {
            None => self.limit,
            Some(_) => self
                .limit
                .saturating_add(self.limit / 64)
                .saturating_add(1024),
        }
    }

    pub(crate) fn is_not_modified(&self) -> bool {
        self.response.status() == StatusCode::NOT_MODIFIED
    }

    pub(crate) fn host(&self) -> &Host {
        &self.host
    }

    /// The content coding to remove while the body is read.
    pub(crate) fn coding(&self) -> Option<&'static str> {
        self.coded.as_ref().map(|coded| coded.coding.as_str())
    }

    /// Whether a truncated body is distinguishable from a complete one.
    fn has_known_end(&self) -> bool {
        if self.response.version() >= Version::HTTP_2 {
            return true;
        }
        // With another transfer encoding, the body ends with the connection.
        let last = self
            .response
            .headers()
            .get_all(TRANSFER_ENCODING)
            .iter()
            .next_back();
        let last = last.and_then(|value| value.to_str().ok()?.rsplit(',').next());
        self.response.content_length().is_some()
            || last.is_some_and(|it| it.trim().eq_ignore_ascii_case("chunked"))
    }

    /// A header's value, if it is present, readable and of a sane length.
    pub(crate) fn header(&self, name: &HeaderName) -> Option<&str> {
        self.response
            .headers()
            .get(name)?
            .to_str()
            .ok()
            .filter(|value| !value.is_empty() && value.len() <= 512)
    }

    /// The media type, shortened to a useful length.
    pub(crate) fn content_type(&self) -> Option<String> {
        let value = self.response.headers().get(CONTENT_TYPE)?.as_bytes();
        let printable = |byte: &u8| matches!(byte, b' '..=b'~');
        let kept: String = value
            .iter()
            .copied()
            .filter(printable)
            .take(200)
            .map(char::from)
            .collect();
        Some(kept).filter(|kept| !kept.is_empty())
    }

    /// The next bytes, or the end of a complete body.
    ///
    /// # Errors
    /// Classified by the code. The host's breaker already knows them. The caller reports a success,
    /// because only it can judge the bytes.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, FetchError> {
        self.chunk()
            .await
            .inspect_err(|error| self.host.failed(error))
    }

    async fn chunk(&mut self) -> Result<Option<Bytes>, FetchError> {
        loop {
            let step = self
                .coded
                .as_mut()
                .map_or(Ok(Step::Hungry), |coded| coded.decoder.step());
            match step.map_err(|error| self.undecodable(&error))? {
                Step::Bytes(bytes) => return self.count_decoded(bytes).map(Some),
                Step::End => return Ok(None),
                Step::Hungry => {}
            }
            let received = self.receive().await?;
            match &mut self.coded {
                Some(coded) => coded.decoder.feed(received),
                None => return Ok(received),
            }
        }
    }

    async fn receive(&mut self) -> Result<Option<Bytes>, FetchError> {
        let coming = self
            .patience
            .wait(self.response.chunk(), &self.host, "bytes")
            .await?;
        let chunk =
            coming.map_err(|error| transport_error(error, &self.host, Some(self.received)))?;
        let length = chunk.as_ref().map_or(0, Bytes::len) as u64;
        self.received = self.received.saturating_add(length);
        if self.received > self.most_received() {
            return Err(self.too_large(&format!(
                "sent {} bytes and was not at the end",
                self.received
            )));
        }
        Ok(chunk)
    }

    fn count_decoded(&mut self, bytes: Bytes) -> Result<Bytes, FetchError> {
        let decoded = match &mut self.coded {
            Some(coded) => {
                coded.decoded = coded.decoded.saturating_add(bytes.len() as u64);
                coded.decoded
            }
            None => 0,
        };
        if decoded > self.limit {
            return Err(self.too_large(&format!(
                "sent a body of more than {} bytes after decoding",
                self.limit
            )));
        }
        Ok(bytes)
    }

    fn undecodable(&self, error: &std::io::Error) -> FetchError {
        let coding = self.coding().unwrap_or_default();
        self.invalid(&format!(
            "sent a body in another coding than {coding}, its Content-Encoding: {error}"
        ))
        .lasting()
    }

    /// Refuses a body with an unverifiable end.
    ///
    /// # Errors
    /// [`ItemFailureCode::InvalidAnswer`].
    pub(crate) fn expect_known_end(&self) -> Result<(), FetchError> {
        if self.has_known_end() {
            return Ok(());
        }
        self.host.answered();
        Err(self
            .invalid(
                "announces neither a length nor chunks, so a truncated file would seem complete",
            )
            .lasting())
    }

    /// Passes on the complete body, and returns its length. A body with an unverifiable end is
    /// refused.
    pub(crate) async fn pass_on(&mut self, out: &mpsc::Sender<Bytes>) -> Result<u64, FetchError> {
        self.expect_known_end()?;
        let mut size = 0;
        while let Some(bytes) = self.next().await? {
            size += bytes.len() as u64;
            out.send(bytes).await.map_err(|_| FetchError::stopped())?;
        }
        self.host.answered();
        Ok(size)
    }

    /// The complete body, bounded by its limit.
    pub(crate) async fn whole(&mut self) -> Result<Bytes, FetchError> {
        let Some(first) = self.next().await? else {
            return Ok(Bytes::new());
        };
        let Some(second) = self.next().await? else {
            return Ok(first);
        };
        let mut all = Vec::from(first);
        all.extend_from_slice(&second);
        while let Some(chunk) = self.next().await? {
            all.extend_from_slice(&chunk);
        }
        Ok(all.into())
    }

    /// Reads the end of the body if it comes at once, so that the connection can be reused.
    pub(crate) async fn leave(mut self) {
        self.host.answered();
        // The result does not matter any more.
        let _ = timeout(Duration::from_millis(50), self.response.chunk()).await;
    }

    fn too_large(&self, what: &str) -> FetchError {
        let message = format!(
            "{} {what}, more than the limit of {} bytes",
            self.host.origin(),
            self.limit
        );
        FetchError::new(ItemFailureCode::TooLarge, message)
    }

    /// A response that does not fit the request.
    pub(crate) fn invalid(&self, what: &str) -> FetchError {
        let message = format!("{} {}", self.host.origin(), what);
        FetchError::new(ItemFailureCode::InvalidAnswer, message)
    }
}

impl Coded {
    fn new(coding: Coding) -> Self {
        Self {
            coding,
            decoder: Decoder::new(coding),
            decoded: 0,
        }
    }
}
