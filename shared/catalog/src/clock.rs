//! The clock that all machines share: the one of the catalogue's server. Rows hold times that other
//! machines compare with their present. A machine whose own clock is wrong must not lose a living
//! lease, and must not keep a dead one.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use holdfast_domain::Timestamp;
use jiff::SignedDuration;

/// The clocks are compared this often.
const KNOWN_FOR: Duration = Duration::from_mins(1);
/// Smaller differences are ignored: every limit that is compared with a row is at least a minute.
const IGNORED: SignedDuration = SignedDuration::from_secs(1);

/// How far the server's clock is ahead of this machine's.
#[derive(Debug, Default)]
pub(crate) struct ServerClock(Mutex<Option<Compared>>);

#[derive(Debug, Clone, Copy)]
struct Compared {
    ahead: SignedDuration,
    at: Timestamp,
    since: Instant,
}

impl Compared {
    /// Whether the comparison still holds: it is recent, and this machine's clock was neither set
    /// nor stopped since.
    fn holds(&self, now: Timestamp, instant: Instant) -> bool {
        let elapsed = instant.saturating_duration_since(self.since);
        let by_clock = now.duration_since(self.at);
        let off = SignedDuration::try_from(elapsed)
            .map_or(SignedDuration::MAX, |elapsed| (by_clock - elapsed).abs());
        elapsed < KNOWN_FOR && off < IGNORED
    }
}

impl ServerClock {
    fn state(&self) -> MutexGuard<'_, Option<Compared>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The difference, if a recent comparison is known.
    pub(crate) fn known(&self, now: Timestamp, instant: Instant) -> Option<SignedDuration> {
        let known = self.state().filter(|known| known.holds(now, instant));
        known.map(|known| known.ahead)
    }

    /// Remembers the server's time, requested at `before`. A server that does not report its time
    /// has no difference.
    pub(crate) fn compare(
        &self,
        theirs: Option<Timestamp>,
        (before, since): (Timestamp, Instant),
    ) -> SignedDuration {
        let ahead = theirs.map_or(SignedDuration::ZERO, |theirs| {
            difference(theirs, before, Timestamp::now())
        });
        *self.state() = Some(Compared {
            ahead,
            at: before,
            since,
        });
        ahead
    }
}

/// How far a clock is ahead that showed `theirs` at some moment between `before` and `after`.
fn difference(theirs: Timestamp, before: Timestamp, after: Timestamp) -> SignedDuration {
    let ahead = theirs.duration_since(theirs.clamp(before, after.max(before)));
    if ahead.abs() < IGNORED {
        SignedDuration::ZERO
    } else {
        ahead
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(1_800_000_000_000 + ms).unwrap()
    }

    #[test]
    fn the_time_that_an_answer_takes_is_no_difference_of_the_clocks() {
        let hour = 3_600_000;
        for (theirs, before, after, ahead_ms) in [
            (0, 0, 0, 0),
            (5_000, 0, 9_000, 0),
            (-900, 0, 9_000, 0),
            (9_900, 0, 9_000, 0),
            (hour, 0, 9_000, hour - 9_000),
            (-hour, 0, 9_000, -hour),
            (hour, 9_000, 0, hour - 9_000),
        ] {
            let ahead = difference(at(theirs), at(before), at(after));
            assert_eq!(
                ahead,
                SignedDuration::from_millis(ahead_ms),
                "{theirs} {before} {after}"
            );
        }
    }

    #[test]
    fn a_comparison_ends_after_a_minute_or_when_the_clock_is_set() {
        let since = Instant::now();
        let compared = Compared {
            ahead: SignedDuration::ZERO,
            at: at(0),
            since,
        };
        for (clock_ms, elapsed_ms, holds) in [
            (0, 0, true),
            (30_000, 30_000, true),
            (30_900, 30_000, true),
            (60_000, 60_000, false),
            (3_630_000, 30_000, false),
            (-3_570_000, 30_000, false),
        ] {
            let instant = since + Duration::from_millis(elapsed_ms);
            assert_eq!(
                compared.holds(at(clock_ms), instant),
                holds,
                "{clock_ms} {elapsed_ms}"
            );
        }
    }
}
