//! A file on a Gaia hub: one conditional GET. Only the connection authenticates its bytes, so a
//! body without a verifiable end is refused.

use bytes::Bytes;
use holdfast_domain::{Validator, Verified};
use reqwest::header::{
    ETAG, HeaderMap, HeaderName, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED,
};
use tokio::{sync::mpsc, time::Instant};
use url::Url;

use crate::{
    FetchError, Fetched, FetchedFile,
    http::{Answer, HttpClient, Request},
};

/// Downloads the file, unless it is unchanged since `validator`.
pub(crate) async fn fetch(
    client: &HttpClient,
    url: &Url,
    validator: Option<&Validator>,
    limit: u64,
    deadline: Instant,
    out: &mpsc::Sender<Bytes>,
) -> Result<Fetched, FetchError> {
    let headers = validator.map(conditions).unwrap_or_default();
    let mut answer = client
        .get(&Request {
            url: url.clone(),
            gateway: None,
            headers,
            limit,
            deadline,
        })
        .await?;
    if answer.is_not_modified() {
        answer.leave().await;
        return Ok(Fetched::NotModified);
    }
    let size = answer.pass_on(out).await?;
    Ok(Fetched::File(Box::new(FetchedFile {
        size,
        verified: Verified::Transport,
        source: answer.host().origin().to_string(),
        validator: validator_of(&answer),
        path: None,
        dag: None,
        content_type: answer.content_type(),
        content_encoding: answer.coding().map(str::to_owned),
    })))
}

fn conditions(validator: &Validator) -> HeaderMap {
    let etag = validator
        .etag
        .as_deref()
        .map(|value| (IF_NONE_MATCH, value));
    let last_modified = validator
        .last_modified
        .as_deref()
        .map(|value| (IF_MODIFIED_SINCE, value));
    let header =
        |(name, value): (HeaderName, &str)| Some((name, HeaderValue::from_str(value).ok()?));
    [etag, last_modified]
        .into_iter()
        .flatten()
        .filter_map(header)
        .collect()
}

fn validator_of(answer: &Answer) -> Option<Validator> {
    let given = |name: HeaderName| answer.header(&name).map(ToOwned::to_owned);
    let validator = Validator {
        etag: given(ETAG),
        last_modified: given(LAST_MODIFIED),
    };
    (validator.etag.is_some() || validator.last_modified.is_some()).then_some(validator)
}
