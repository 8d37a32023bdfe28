//! Age of a member's data before a dump reads it.

use bson::{DateTime, Document};
use holdfast_domain::Timestamp;

/// A member's newest write.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Freshness {
    /// The last applied write. `None` if the server does not report it, like a standalone server
    /// or a router.
    pub last_write_at: Option<Timestamp>,
    /// Seconds since that write, by the member's own clock. A primary is never behind.
    pub lag_seconds: Option<u64>,
}

impl Freshness {
    /// Reads the answer to `hello`.
    pub(crate) fn from_hello(hello: &Document, now: Timestamp) -> Self {
        let last_write = hello
            .get_document("lastWrite")
            .ok()
            .and_then(|last| last.get_datetime("lastWriteDate").ok());
        let Some(last_write_at) = last_write.copied().and_then(timestamp) else {
            return Self::default();
        };
        let now = hello
            .get_datetime("localTime")
            .ok()
            .copied()
            .and_then(timestamp)
            .unwrap_or(now);
        let is_secondary = hello.get_bool("secondary").unwrap_or(false);
        let behind = u64::try_from(now.duration_since(last_write_at).as_secs()).unwrap_or(0);
        Self {
            last_write_at: Some(last_write_at),
            lag_seconds: Some(if is_secondary { behind } else { 0 }),
        }
    }
}

fn timestamp(at: DateTime) -> Option<Timestamp> {
    Timestamp::from_millisecond(at.timestamp_millis()).ok()
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;

    const NOW_MS: i64 = 1_700_000_600_000;

    fn freshness(hello: &Document) -> (Option<i64>, Option<u64>) {
        let read = Freshness::from_hello(
            hello,
            Timestamp::from_millisecond(NOW_MS + 9_000_000).unwrap(),
        );
        (
            read.last_write_at.map(Timestamp::as_millisecond),
            read.lag_seconds,
        )
    }

    #[test]
    fn a_secondary_is_as_far_behind_as_its_last_write() {
        let hello = |secondary: bool| {
            doc! {
                "secondary": secondary, "isWritablePrimary": !secondary,
                "lastWrite": { "lastWriteDate": DateTime::from_millis(NOW_MS - 600_000) },
                "localTime": DateTime::from_millis(NOW_MS),
            }
        };
        assert_eq!(freshness(&hello(true)), (Some(NOW_MS - 600_000), Some(600)));
        assert_eq!(
            freshness(&hello(false)),
            (Some(NOW_MS - 600_000), Some(0)),
            "a primary has every write"
        );
    }

    #[test]
    fn a_server_that_does_not_report_its_last_write_is_of_unknown_age() {
        assert_eq!(
            freshness(&doc! { "isWritablePrimary": true, "msg": "isdbgrid" }),
            (None, None)
        );
        assert_eq!(
            freshness(&doc! { "lastWrite": { "lastWriteDate": "yesterday" } }),
            (None, None)
        );
    }

    #[test]
    fn a_clock_that_is_behind_makes_no_negative_lag() {
        let hello = doc! {
            "secondary": true, "localTime": DateTime::from_millis(NOW_MS),
            "lastWrite": { "lastWriteDate": DateTime::from_millis(NOW_MS + 5_000) },
        };
        assert_eq!(freshness(&hello).1, Some(0));
    }
}
