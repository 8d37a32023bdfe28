//! A store with another clock than this machine, and the responses of S3 in that case.

use holdfast_domain::Timestamp;
use jiff::{SignedDuration, civil::DateTime, fmt::rfc2822::DateTimePrinter, tz::TimeZone};

use crate::{
    wire::Head,
    wire_fault::{WireFault, answer},
};

/// The tolerance of S3.
const TOLERATED: SignedDuration = SignedDuration::from_mins(15);

/// The refusal of a request, if its signature's clock differs too much from the store's. The
/// store's clock is ahead by this number of seconds.
pub(crate) fn refusal(head: &Head, seconds_ahead: i64) -> Option<Vec<u8>> {
    let signed_at = head
        .header("x-amz-date")
        .and_then(|date| DateTime::strptime("%Y%m%dT%H%M%SZ", date).ok())?;
    let signed_at = TimeZone::UTC.to_timestamp(signed_at).ok()?;
    if now(seconds_ahead).duration_since(signed_at).abs() <= TOLERATED {
        return None;
    }
    let WireFault::Answer { status, body } = WireFault::error(403, "RequestTimeTooSkewed") else {
        return None;
    };
    let body = if head.method() == "HEAD" {
        String::new()
    } else {
        body
    };
    Some(answer(status, &body).into_bytes())
}

/// The response with the `Date` of that clock.
pub(crate) fn dated(answer: &[u8], seconds_ahead: i64) -> Vec<u8> {
    let date = DateTimePrinter::new().timestamp_to_rfc9110_string(&now(seconds_ahead));
    let date = format!(
        "date: {}\r\n",
        date.unwrap_or_else(|error| panic!("a date: {error}"))
    );
    let line = answer
        .windows(2)
        .position(|pair| pair == b"\r\n")
        .map_or(answer.len(), |end| end + 2);
    let (status, rest) = answer.split_at(line);
    [status, date.as_bytes(), rest].concat()
}

fn now(seconds_ahead: i64) -> Timestamp {
    Timestamp::now() + SignedDuration::from_secs(seconds_ahead)
}
