//! The client: one GET, followed through at most three redirects, each hop judged as if it were the
//! first.

use std::{sync::Arc, time::Duration};

use holdfast_domain::{ItemFailureCode, Timestamp};
use reqwest::{
    Client, Response, StatusCode,
    header::{
        ACCEPT_ENCODING, HeaderMap, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, LOCATION,
        RETRY_AFTER,
    },
    redirect::Policy,
};
use tokio::time::Instant;
use url::Url;

use super::{
    Answer, Lookup, Origin,
    answer::Patience,
    host::{Host, Hosts},
    names::{ExemptNames, StrangerNames},
    retry_after::retry_after,
    rules::{Rules, Standing},
    transport::{causes, transport_error},
};
use crate::{FetchError, breaker::BreakerSettings};

const MAX_REDIRECTS: usize = 3;

/// Time limit of a handshake, independent of the limit of the response.
const LONGEST_CONNECT: Duration = Duration::from_secs(10);

/// A GET request.
pub(crate) struct Request {
    pub(crate) url: Url,
    /// The gateway of the request. Its origin is exempt here. None for an untrusted URL.
    pub(crate) gateway: Option<Origin>,
    pub(crate) headers: HeaderMap,
    /// Size limit of the body, in bytes.
    pub(crate) limit: u64,
    pub(crate) deadline: Instant,
}

/// Two clients with the same rules for URLs, but different rules for names.
#[derive(Debug)]
pub(crate) struct HttpClient {
    strangers: Client,
    exempt: Client,
    rules: Rules,
    hosts: Hosts,
    idle_timeout: Duration,
}

/// The result of one request.
enum Hop {
    Arrived(Answer),
    Redirected(Url),
}

impl Request {
    fn is_conditional(&self) -> bool {
        self.headers.contains_key(IF_NONE_MATCH) || self.headers.contains_key(IF_MODIFIED_SINCE)
    }

    /// Interprets a status.
    fn accepts(&self, response: &Response, origin: &Origin) -> Result<(), FetchError> {
        let status = response.status();
        let code = match status.as_u16() {
            200 => return Ok(()),
            304 if self.is_conditional() => return Ok(()),
            404 => ItemFailureCode::NotFound,
            410 => ItemFailureCode::Gone,
            408 => ItemFailureCode::TimedOut,
            429 => ItemFailureCode::Throttled,
            // Accepted but not ready, misdirected, too early: the next request may get another
            // response.
            202 | 421 | 425 | 500..=599 => ItemFailureCode::Unavailable,
            400..=499 => ItemFailureCode::Refused,
            _ => ItemFailureCode::InvalidAnswer,
        };
        let asked = matches!(status.as_u16(), 429 | 503)
            .then(|| response.headers().get(RETRY_AFTER))
            .flatten();
        let wait = asked.and_then(|value| retry_after(value.to_str().ok()?, Timestamp::now()));
        let error = FetchError::new(code, format!("{origin} answered {status}")).after(wait);
        Err(if code == ItemFailureCode::InvalidAnswer {
            error.lasting()
        } else {
            error
        })
    }

    /// Whether a status concerns the host, not the file. A gateway's time-out concerns the
    /// requested file, perhaps an invented one.
    fn blames_host(&self, status: StatusCode) -> bool {
        let times_out_as_gateway = status == StatusCode::GATEWAY_TIMEOUT && self.gateway.is_some();
        status == StatusCode::TOO_MANY_REQUESTS
            || (status.is_server_error() && !times_out_as_gateway)
    }
}

impl HttpClient {
    /// A client with these origins exempt from the rules for untrusted URLs, even after redirects.
    ///
    /// # Errors
    /// [`ItemFailureCode::Unavailable`] if TLS cannot be set up.
    pub(crate) fn new(
        allowed: impl IntoIterator<Item = Origin>,
        lookup: &Lookup,
        idle_timeout: Duration,
        per_host: usize,
    ) -> Result<Self, FetchError> {
        Ok(Self {
            strangers: client(StrangerNames(lookup.clone()), idle_timeout)?,
            exempt: client(ExemptNames(lookup.clone()), idle_timeout)?,
            rules: Rules::new(allowed),
            hosts: Hosts::new(per_host, BreakerSettings::default()),
            idle_timeout,
        })
    }

    /// Sends the request, and follows redirects. The status of the response is 200, or 304 to a
    /// conditional request.
    ///
    /// # Errors
    /// Classified by the code.
    pub(crate) async fn get(&self, request: &Request) -> Result<Answer, FetchError> {
        let mut asked = vec![request.url.clone()];
        while let Some(url) = asked.last() {
            match self.hop(url, request).await? {
                Hop::Arrived(answer) => return Ok(answer),
                Hop::Redirected(next) if asked.contains(&next) => {
                    return Err(lost(&request.url, "its redirects lead in a circle"));
                }
                Hop::Redirected(_) if asked.len() > MAX_REDIRECTS => {
                    return Err(lost(&request.url, "it redirects more than 3 times"));
                }
                Hop::Redirected(next) => asked.push(next),
            }
        }
        Err(lost(&request.url, "no request was sent"))
    }

    async fn hop(&self, url: &Url, request: &Request) -> Result<Hop, FetchError> {
        let (origin, standing) = self.rules.check(url, request.gateway.as_ref())?;
        if Instant::now() >= request.deadline {
            let message = format!("the time ended before the request to {origin}");
            return Err(FetchError::new(ItemFailureCode::TimedOut, message));
        }
        let host = self.hosts.of(&origin);
        let turn = host.turn(request.deadline).await?;
        let patience = Patience {
            idle: self.idle_timeout,
            deadline: request.deadline,
        };
        let sent = self.send(url, request, standing, &host, patience).await;
        let response = sent.inspect_err(|error| host.failed(error))?;
        if let Some(next) = redirect(url, &response, &origin) {
            host.answered();
            return next.map(Hop::Redirected);
        }
        request.accepts(&response, &origin).inspect_err(|error| {
            if request.blames_host(response.status()) {
                host.failed(error)
            } else {
                host.answered()
            }
        })?;
        let answer = Answer::begin(response, Arc::clone(&host), patience, request.limit, turn);
        answer.map(Hop::Arrived).inspect_err(|_| host.answered())
    }

    async fn send(
        &self,
        url: &Url,
        request: &Request,
        standing: Standing,
        host: &Host,
        patience: Patience,
    ) -> Result<Response, FetchError> {
        let client = match standing {
            Standing::Exempt => &self.exempt,
            Standing::Stranger => &self.strangers,
        };
        let sending = client
            .get(url.clone())
            .headers(request.headers.clone())
            .send();
        patience
            .wait(sending, host, "answer")
            .await?
            .map_err(|error| transport_error(error, host, None))
    }
}

fn client(
    names: impl reqwest::dns::Resolve + 'static,
    idle_timeout: Duration,
) -> Result<Client, FetchError> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    Client::builder()
        .dns_resolver(Arc::new(names))
        .redirect(Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .referer(false)
        .default_headers(headers)
        .user_agent(concat!("holdfast/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(idle_timeout.min(LONGEST_CONNECT))
        .pool_max_idle_per_host(4)
        .pool_idle_timeout(Duration::from_secs(20))
        .build()
        .map_err(|error| {
            let message = format!("no HTTPS client can be made: {}", causes(&error));
            FetchError::new(ItemFailureCode::Unavailable, message)
        })
}

/// The target of a redirect. `None` if the response is not a redirect.
fn redirect(from: &Url, response: &Response, origin: &Origin) -> Option<Result<Url, FetchError>> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let target = response
        .headers()
        .get(LOCATION)
        .and_then(|value| std::str::from_utf8(value.as_bytes()).ok());
    let joined = target.and_then(|target| from.join(target).ok());
    Some(joined.ok_or_else(|| {
        let message = format!("{origin} redirects without a target");
        FetchError::new(ItemFailureCode::InvalidAnswer, message).lasting()
    }))
}

fn lost(url: &Url, why: &str) -> FetchError {
    let host = url.host_str().unwrap_or_default();
    let message = format!("the file's address at {host} leads nowhere: {why}");
    FetchError::new(ItemFailureCode::InvalidAnswer, message).lasting()
}
