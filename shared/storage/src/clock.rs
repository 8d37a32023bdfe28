//! Compares this machine's clock with a store's. Stores refuse a request if its signature is 15
//! minutes off.

use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{SignedDuration, Timestamp, fmt::rfc2822};

/// Largest accepted difference of clocks.
const TOLERATED: SignedDuration = SignedDuration::from_mins(15);

/// The time for signatures: this machine's, or the store's if the two differ too much.
#[derive(Debug, Default)]
pub(crate) struct CorrectedClock {
    ahead_s: AtomicI64,
}

impl CorrectedClock {
    /// The present time by the store's clock, as far as its difference was measured.
    pub(crate) fn now(&self) -> Timestamp {
        let now = Timestamp::now();
        now.checked_add(SignedDuration::from_secs(
            self.ahead_s.load(Ordering::Relaxed),
        ))
        .unwrap_or(now)
    }

    /// Adopts the store's time from the `Date` of an answer, if it differs too much. Returns the
    /// difference.
    pub(crate) fn correct(&self, date: Option<&str>) -> Option<SignedDuration> {
        skew(date, self.now())?;
        let ahead = skew(date, Timestamp::now()).unwrap_or(SignedDuration::ZERO);
        self.ahead_s.store(ahead.as_secs(), Ordering::Relaxed);
        Some(ahead)
    }
}

/// Lead of an answer's `Date` over this clock, if it exceeds the tolerance.
pub(crate) fn skew(date: Option<&str>, now: Timestamp) -> Option<SignedDuration> {
    let theirs = rfc2822::parse(date?).ok()?.timestamp();
    let ahead = theirs.duration_since(now);
    // Tolerates a store's rounding of its limit, and the duration of the answer.
    (ahead.abs() + SignedDuration::from_secs(5) >= TOLERATED).then_some(ahead)
}

/// In words: `this machine's clock is 20 min behind the store's`.
pub(crate) fn described(ahead: SignedDuration) -> String {
    let side = if ahead.is_positive() {
        "behind"
    } else {
        "ahead of"
    };
    format!(
        "this machine's clock is {} min {side} the store's",
        ahead.abs().as_mins()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_wrong_from_fifteen_minutes_on_either_way() {
        let now: Timestamp = "2026-11-30T08:00:00Z".parse().unwrap();
        let described_skew = |date| skew(Some(date), now).map(described);
        assert_eq!(described_skew("Mon, 30 Nov 2026 08:10:00 GMT"), None);
        assert_eq!(
            described_skew("Mon, 30 Nov 2026 08:20:00 GMT").as_deref(),
            Some("this machine's clock is 20 min behind the store's")
        );
        assert_eq!(
            described_skew("Mon, 30 Nov 2026 07:00:00 GMT").as_deref(),
            Some("this machine's clock is 60 min ahead of the store's")
        );
        assert_eq!((described_skew("yesterday"), skew(None, now)), (None, None));
    }
}
