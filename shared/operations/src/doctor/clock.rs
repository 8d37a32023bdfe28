//! Compares this machine's clock with another clock.

use holdfast_domain::Timestamp;
use jiff::SignedDuration;

use super::Finding;

/// Tolerance for the duration of a request, and for stores with whole seconds.
const TOLERANCE: SignedDuration = SignedDuration::from_secs(5);
/// Beyond this, an active run may count as dead, or a dead one as active.
const DANGEROUS: SignedDuration = SignedDuration::from_secs(60);

const ADVICE: &str = "set the clocks by NTP: leases depend on them, and stores refuse requests with a difference of 15 minutes";

/// The other clock returned `theirs` between `before` and `after` of this machine's clock.
pub(super) fn judge(
    whose: &str,
    theirs: Timestamp,
    before: Timestamp,
    after: Timestamp,
) -> Finding {
    let off = if theirs < before {
        before.duration_since(theirs)
    } else {
        theirs.duration_since(after)
    };
    let off = off.max(SignedDuration::ZERO);
    let side = if theirs < before {
        "ahead of"
    } else {
        "behind"
    };
    let found = format!("this machine's clock is {} s {side} {whose}", off.as_secs());
    if off > DANGEROUS {
        Finding::bad("clock", found, Some(ADVICE.to_owned()))
    } else if off > TOLERANCE {
        Finding::warning("clock", found, ADVICE)
    } else {
        Finding::good("clock", format!("agrees with {whose}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Health;

    #[test]
    fn a_clock_is_judged_by_how_far_it_is_off_whichever_way() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let judged = |seconds: i64| {
            let theirs = Timestamp::from_second(1_800_000_000 + seconds).unwrap();
            let found = judge("the server", theirs, now, now);
            (found.health, found.found)
        };
        assert_eq!(judged(0).0, Health::Good);
        assert_eq!(judged(-4).0, Health::Good);
        assert_eq!(
            judged(30),
            (
                Health::Warning,
                "this machine's clock is 30 s behind the server".to_owned()
            )
        );
        assert_eq!(
            judged(-90),
            (
                Health::Bad,
                "this machine's clock is 90 s ahead of the server".to_owned()
            )
        );
    }

    #[test]
    fn the_time_that_the_answer_took_counts_for_nothing() {
        let second = |second: i64| Timestamp::from_second(1_800_000_000 + second).unwrap();
        assert_eq!(
            judge("the server", second(15), second(0), second(20)).health,
            Health::Good
        );
    }
}
