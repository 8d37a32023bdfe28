//! An answer whose body is still to come. Its bytes are counted, never believed; a body that ends early, falls silent
//! or grows too large is an error, and never an end.

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
    client::transport_error,
    coding::Coding,
    decoder::{Decoder, Step},
    host::Host,
};
use crate::FetchError;

/// How long an answer may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// The longest silence.
    pub(crate) idle: Duration,
    /// The end of it all.
    pub(crate) deadline: Instant,
}

impl Patience {
    /// Waits for something that comes within both.
    ///
    /// # Errors
    /// [`ItemFailureCode::TimedOut`]; `missing` says what did not come.
    pub(crate) async fn wait<T>(
        self,
        coming: impl Future<Output = T>,
        host: &Host,
        missing: &str,
    ) -> Result<T, FetchError> {
        let silence_ends = Instant::now() + self.idle;
        timeout_at(silence_ends.min(self.deadline), coming).await.map_err(|_| {
            let message = if silence_ends < self.deadline {
                format!("{} sent no {missing} for {} ms", host.origin(), self.idle.as_millis())
            } else {
                format!("the time ran out before {} had sent all", host.origin())
            };
            FetchError::new(ItemFailureCode::TimedOut, message)
        })
    }
}

/// An answer with status 200 or 304, and the turn at its host that it holds.
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

/// A body in a content coding, and how much of it was decoded.
#[derive(Debug)]
struct Coded {
    coding: Coding,
    decoder: Decoder,
    decoded: u64,
}

impl Answer {
    /// Looks at what the headers say already.
    ///
    /// # Errors
    /// [`ItemFailureCode::TooLarge`] where it announces more than `limit` bytes, [`ItemFailureCode::InvalidAnswer`] where
    /// the body is in a coding that is not undone.
    pub(super) fn begin(
        response: Response,
        host: Arc<Host>,
        patience: Patience,
        limit: u64,
        turn: OwnedSemaphorePermit,
    ) -> Result<Self, FetchError> {
        let mut answer = Self { response, host, patience, limit, received: 0, coded: None, _turn: turn };
        if answer.is_not_modified() {
            return Ok(answer);
        }
        let values = answer.response.headers().get_all(CONTENT_ENCODING).iter().map(HeaderValue::as_bytes);
        answer.coded = match Coding::read(values) {
            Ok(coding) => coding.map(|coding| Box::new(Coded::new(coding))),
            Err(codings) => {
                let what = format!("sent the content coding {codings:?}; gzip and deflate are decoded, one at a time");
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

    /// Bytes that may come. What does not compress grows a little by its coding.
    fn most_received(&self) -> u64 {
        match self.coded {
            None => self.limit,
            Some(_) => self.limit.saturating_add(self.limit / 64).saturating_add(1024),
        }
    }

    pub(crate) fn is_not_modified(&self) -> bool {
        self.response.status() == StatusCode::NOT_MODIFIED
    }

    pub(crate) fn host(&self) -> &Host {
        &self.host
    }

    /// The content coding that is undone while the body is read.
    pub(crate) fn coding(&self) -> Option<&'static str> {
        self.coded.as_ref().map(|coded| coded.coding.as_str())
    }

    /// Whether a body that is cut can be told from one that is whole.
    fn tells_its_end(&self) -> bool {
        if self.response.version() >= Version::HTTP_2 {
            return true;
        }
        // Of any other transfer encoding the end is that of the connection.
        let last = self.response.headers().get_all(TRANSFER_ENCODING).iter().next_back();
        let last = last.and_then(|value| value.to_str().ok()?.rsplit(',').next());
        self.response.content_length().is_some() || last.is_some_and(|it| it.trim().eq_ignore_ascii_case("chunked"))
    }

    /// A header's value, where it is there, readable and of a sane length.
    pub(crate) fn header(&self, name: &HeaderName) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok().filter(|value| !value.is_empty() && value.len() <= 512)
    }

    /// The media type as it was given, cut to what is worth keeping.
    pub(crate) fn content_type(&self) -> Option<String> {
        let value = self.response.headers().get(CONTENT_TYPE)?.as_bytes();
        let printable = |byte: &u8| matches!(byte, b' '..=b'~');
        let kept: String = value.iter().copied().filter(printable).take(200).map(char::from).collect();
        Some(kept).filter(|kept| !kept.is_empty())
    }

    /// The next bytes, or the end of a body that is whole.
    ///
    /// # Errors
    /// As the code says. The host's breaker knows of it already; of a success it is told by who can judge that.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, FetchError> {
        self.chunk().await.inspect_err(|error| self.host.failed(error))
    }

    async fn chunk(&mut self) -> Result<Option<Bytes>, FetchError> {
        loop {
            let step = self.coded.as_mut().map_or(Ok(Step::Hungry), |coded| coded.decoder.step());
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
        let coming = self.patience.wait(self.response.chunk(), &self.host, "bytes").await?;
        let chunk = coming.map_err(|error| transport_error(error, &self.host, Some(self.received)))?;
        let length = chunk.as_ref().map_or(0, Bytes::len) as u64;
        self.received = self.received.saturating_add(length);
        if self.received > self.most_received() {
            return Err(self.too_large(&format!("sent {} bytes and was not at the end", self.received)));
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
            return Err(self.too_large(&format!("sent a body that decodes to more than {} bytes", self.limit)));
        }
        Ok(bytes)
    }

    fn undecodable(&self, error: &std::io::Error) -> FetchError {
        let coding = self.coding().unwrap_or_default();
        self.invalid(&format!("sent a body that is not {coding}, as its Content-Encoding states: {error}")).lasting()
    }

    /// Refuses a body whose end could be a cut.
    ///
    /// # Errors
    /// [`ItemFailureCode::InvalidAnswer`].
    pub(crate) fn expect_told_end(&self) -> Result<(), FetchError> {
        if self.tells_its_end() {
            return Ok(());
        }
        self.host.answered();
        Err(self.invalid("announces neither a length nor chunks, so that a cut file would look whole").lasting())
    }

    /// Hands the body on to its end, and says how long it was. A body whose end could be a cut is refused.
    pub(crate) async fn pass_on(&mut self, out: &mpsc::Sender<Bytes>) -> Result<u64, FetchError> {
        self.expect_told_end()?;
        let mut size = 0;
        while let Some(bytes) = self.next().await? {
            size += bytes.len() as u64;
            out.send(bytes).await.map_err(|_| FetchError::stopped())?;
        }
        self.host.answered();
        Ok(size)
    }

    /// All of a body that is bounded by its limit.
    pub(crate) async fn whole(&mut self) -> Result<Bytes, FetchError> {
        let Some(first) = self.next().await? else { return Ok(Bytes::new()) };
        let Some(second) = self.next().await? else { return Ok(first) };
        let mut all = Vec::from(first);
        all.extend_from_slice(&second);
        while let Some(chunk) = self.next().await? {
            all.extend_from_slice(&chunk);
        }
        Ok(all.into())
    }

    /// What was wanted is there: reads the end where it comes at once, so that the connection can be used again.
    pub(crate) async fn leave(mut self) {
        self.host.answered();
        // Whatever comes instead is not ours to judge any more.
        let _ = timeout(Duration::from_millis(50), self.response.chunk()).await;
    }

    fn too_large(&self, what: &str) -> FetchError {
        let message = format!("{} {what}, more than the limit of {} bytes", self.host.origin(), self.limit);
        FetchError::new(ItemFailureCode::TooLarge, message)
    }

    /// An answer that is not what was asked for.
    pub(crate) fn invalid(&self, what: &str) -> FetchError {
        let message = format!("{} {}", self.host.origin(), what);
        FetchError::new(ItemFailureCode::InvalidAnswer, message)
    }
}

impl Coded {
    fn new(coding: Coding) -> Self {
        Self { coding, decoder: Decoder::new(coding), decoded: 0 }
    }
}
