//! Signs and sends one request to Azure. Retries follow the store's policy.

use std::time::Duration;

use bytes::Bytes;
use holdfast_domain::{ObjectKey, Timestamp};
use jiff::fmt::rfc2822::DateTimePrinter;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Method, Response, redirect};
use url::Url;

use super::{
    AzureStore,
    account::{Signed, VERSION},
    errors,
};
use crate::{StoreError, clock, error::chain, retry::Call};

/// Long enough for a slow resolver, short compared with the limit of an attempt.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Shorter than the connection timeout of servers, and than the pause of a frozen function.
const IDLE: Duration = Duration::from_secs(20);

/// Characters without escape, and the `/` between segments.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');

/// Writes a space as `%20`: some servers do not accept `+`.
const IN_QUERY: &AsciiSet = &ESCAPED.add(b'/');

pub(super) fn http(container: &str) -> Result<reqwest::Client, StoreError> {
    let client = reqwest::Client::builder()
        .redirect(redirect::Policy::none())
        .retry(reqwest::retry::never())
        .user_agent(concat!("holdfast/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE)
        .build();
    client.map_err(|error| StoreError::Unavailable {
        key: container.to_owned(),
        cause: chain(&error),
    })
}

/// A request before it is signed.
pub(super) struct Request {
    method: Method,
    /// With the query, still unescaped.
    path: String,
    query: Vec<(&'static str, String)>,
    /// By lower-case names.
    headers: Vec<(&'static str, String)>,
    body: Bytes,
}

impl Request {
    /// On one blob.
    pub(super) fn for_blob(method: Method, store: &AzureStore, key: &ObjectKey) -> Self {
        let path = format!("{}/{}", store.container, store.full_key(key));
        Self {
            method,
            path,
            query: Vec::new(),
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    /// On the container.
    pub(super) fn for_container(method: Method, store: &AzureStore) -> Self {
        let query = vec![("restype", "container".to_owned())];
        Self {
            method,
            path: store.container.to_string(),
            query,
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    pub(super) fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    /// `name` is lower case.
    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Adds the header if there is a value.
    pub(super) fn header_if(self, name: &'static str, value: Option<impl Into<String>>) -> Self {
        match value {
            Some(value) => self.header(name, value),
            None => self,
        }
    }

    pub(super) fn body(mut self, body: Bytes) -> Self {
        self.body = body;
        self
    }
}

impl AzureStore {
    /// Makes a call, with retries after transient faults. Every answer except success is an error.
    pub(super) async fn call(
        &self,
        call: Call<'_>,
        request: impl Fn() -> Request + Send + Sync,
    ) -> Result<Response, StoreError> {
        self.retry
            .run(call, async || self.send(call.key, request()).await)
            .await
    }

    /// Like [`Self::call`], with the complete answer as text.
    pub(super) async fn call_for_text(
        &self,
        call: Call<'_>,
        request: impl Fn() -> Request + Send + Sync,
    ) -> Result<String, StoreError> {
        let outcome = self.retry.run(call, async || {
            let answer = self.send(call.key, request()).await?;
            answer
                .text()
                .await
                .map_err(|error| errors::broken(call.key, &error))
        });
        outcome.await
    }

    async fn send(&self, key: &str, request: Request) -> Result<Response, StoreError> {
        let Request {
            method,
            path,
            query,
            mut headers,
            body,
        } = request;
        let url = self.address(key, &path, &query)?;
        headers.push(("x-ms-date", date(key, self.clock.now())?));
        headers.push(("x-ms-version", VERSION.to_owned()));
        let signed = Signed {
            method: &method,
            url: &url,
            headers: &headers,
            body_bytes: body.len(),
        };
        let authorization = self.account.authorization(&signed);
        let mut sending = self
            .http
            .request(method.clone(), url)
            .header("authorization", authorization);
        for (name, value) in headers {
            sending = sending.header(name, value);
        }
        if method == Method::PUT {
            sending = sending.header("content-length", body.len()).body(body);
        }
        let answer = sending
            .send()
            .await
            .map_err(|error| errors::broken(key, &error))?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let date = answer
            .headers()
            .get("date")
            .and_then(|date| date.to_str().ok());
        let skew = (answer.status().as_u16() == 403)
            .then(|| self.clock.correct(date))
            .flatten();
        match (errors::translate(key, answer).await, skew) {
            (StoreError::Denied { key, .. }, Some(ahead)) => Err(StoreError::WrongClock {
                key,
                cause: clock::described(ahead),
            }),
            (error, _) => Err(error),
        }
    }

    /// The address of a path and a query.
    pub(super) fn address(
        &self,
        key: &str,
        path: &str,
        query: &[(&'static str, String)],
    ) -> Result<Url, StoreError> {
        let text = format!(
            "{}/{}",
            self.account.endpoint(),
            utf8_percent_encode(path, ESCAPED)
        );
        let invalid = |error| StoreError::Invalid {
            key: key.to_owned(),
            cause: format!("invalid address: {error}"),
        };
        let mut url = Url::parse(&text).map_err(invalid)?;
        if !query.is_empty() {
            let escaped = query
                .iter()
                .map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, IN_QUERY)));
            url.set_query(Some(&escaped.collect::<Vec<_>>().join("&")));
        }
        Ok(url)
    }
}

fn date(key: &str, now: Timestamp) -> Result<String, StoreError> {
    let impossible = |error| StoreError::Invalid {
        key: key.to_owned(),
        cause: format!("this clock is wrong: {error}"),
    };
    DateTimePrinter::new()
        .timestamp_to_rfc9110_string(&now)
        .map_err(impossible)
}
