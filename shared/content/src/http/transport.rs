//! Errors of the HTTP client, translated to failures of a fetch.

use std::error::Error;

use holdfast_domain::ItemFailureCode;

use super::{host::Host, names::NameRefused};
use crate::FetchError;

/// Translates an error of the client. `received` is the number of received bytes, after the start
/// of a body.
pub(super) fn transport_error(
    error: reqwest::Error,
    host: &Host,
    received: Option<u64>,
) -> FetchError {
    let (error, origin) = (error.without_url(), host.origin());
    if let Some(refused) = refused_name(&error) {
        return FetchError::new(
            ItemFailureCode::Blocked,
            format!("no request to {origin}: {refused}"),
        );
    }
    let why = causes(&error);
    match received {
        Some(_) if error.is_timeout() => FetchError::new(
            ItemFailureCode::TimedOut,
            format!("{origin} stopped responding: {why}"),
        ),
        Some(bytes) => {
            let message =
                format!("the response of {origin} was truncated after {bytes} bytes: {why}");
            FetchError::new(ItemFailureCode::InvalidAnswer, message)
        }
        None if error.is_timeout() => FetchError::new(
            ItemFailureCode::TimedOut,
            format!("{origin} accepted no connection in time: {why}"),
        ),
        None if is_malformed(&error) => FetchError::new(
            ItemFailureCode::InvalidAnswer,
            format!("the response of {origin} is not HTTP: {why}"),
        ),
        None => FetchError::new(
            ItemFailureCode::Unavailable,
            format!("the request to {origin} failed: {why}"),
        ),
    }
}

/// Whether the host sent a malformed response: an invalid length, a header without a name.
fn is_malformed(error: &reqwest::Error) -> bool {
    sources(error)
        .filter_map(|source| source.downcast_ref::<hyper::Error>())
        .any(hyper::Error::is_parse)
}

fn refused_name(error: &reqwest::Error) -> Option<&NameRefused> {
    sources(error).find_map(|source| source.downcast_ref())
}

/// The last two causes. The earlier ones only describe their way.
pub(super) fn causes(error: &reqwest::Error) -> String {
    let texts: Vec<String> = sources(error).map(ToString::to_string).collect();
    let mut last = texts[texts.len().saturating_sub(2)..].to_vec();
    last.dedup();
    last.join(": ").chars().take(200).collect()
}

fn sources(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    let itself: &(dyn Error + 'static) = error;
    std::iter::successors(Some(itself), |&error| error.source())
}
