//! `Retry-After`: the requested wait, in seconds or as a date (RFC 9110 §10.2.3).

use std::time::Duration;

use holdfast_domain::Timestamp;

/// The longest accepted wait.
const LONGEST: Duration = Duration::from_hours(1);

/// The wait from `now` on. None if the value is invalid.
pub(crate) fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    let wait = if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        value.parse().map_or(LONGEST, Duration::from_secs)
    } else {
        let at = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
        Duration::try_from(at.duration_since(now)).unwrap_or(Duration::ZERO)
    };
    Some(wait.min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_dates_are_read_and_bounded() {
        let now: Timestamp = "1994-11-06T08:49:37Z".parse().unwrap();
        let read = |value| retry_after(value, now).map(|wait| wait.as_secs());
        assert_eq!(read("120"), Some(120));
        assert_eq!(read(" 0 "), Some(0));
        assert_eq!(read("Sun, 06 Nov 1994 08:50:37 GMT"), Some(60));
        assert_eq!(read("Sun, 06 Nov 1994 08:00:00 GMT"), Some(0));
        assert_eq!(read("99999999999999999999999"), Some(3600));
        assert_eq!(read("Mon, 06 Nov 2094 08:49:37 GMT").unwrap_or(3600), 3600);
        for nonsense in ["", "soon", "-1", "1.5", "1e3"] {
            assert_eq!(read(nonsense), None, "{nonsense}");
        }
    }
}
