//! The time limit of a run. A volume ends early enough to be stored before the function is killed.

use std::time::{Duration, Instant};

use holdfast_domain::Timestamp;

use crate::job::{run::RunLimits, watch::MARGIN};

/// Reserved for ending, completing and recording a volume.
const RESERVE: Duration = Duration::from_secs(30);

/// Fewer bytes than this give no estimate of the speed.
const MEASURABLE_BYTES: u64 = 1024 * 1024;

/// The time of one run.
#[derive(Debug, Clone, Copy)]
pub(super) struct RunTime {
    ends: Option<Instant>,
}

impl RunTime {
    /// The `fruitless` previous runs stored nothing. Each of them halves the amount of this run, so
    /// that in the end a single entry is tried.
    pub(super) fn new(limits: RunLimits, fruitless: u32, now: Timestamp) -> Self {
        let ends = limits.deadline.map(|deadline| {
            let left = Duration::try_from(deadline.duration_since(now)).unwrap_or_default();
            let left =
                left.saturating_sub(MARGIN + RESERVE) / 2_u32.saturating_pow(fruitless.min(16));
            Instant::now() + left
        });
        Self { ends }
    }

    /// Whether a new entry may begin.
    pub(super) fn is_left(&self) -> bool {
        self.ends.is_none_or(|ends| Instant::now() < ends)
    }

    /// Whether `bytes` more will probably be written in time, at the speed of `done` bytes since
    /// `began`.
    pub(super) fn is_enough_for(&self, bytes: u64, done: u64, began: Instant) -> bool {
        let Some(ends) = self.ends else { return true };
        let left = ends.saturating_duration_since(Instant::now());
        if done < MEASURABLE_BYTES {
            return !left.is_zero();
        }
        // Adds a third to the time per byte. The product cannot overflow with bytes of files and
        // milliseconds of minutes.
        let elapsed_ms = began.elapsed().as_millis();
        let expected_ms = u128::from(bytes) * elapsed_ms * 4 / 3 / u128::from(done);
        expected_ms < left.as_millis()
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    fn with_seconds(seconds: i64, fruitless: u32) -> RunTime {
        let now = Timestamp::now();
        RunTime::new(
            RunLimits {
                deadline: Some(now + SignedDuration::from_secs(seconds)),
            },
            fruitless,
            now,
        )
    }

    #[test]
    fn without_a_deadline_there_is_always_time() {
        let time = RunTime::new(RunLimits::none(), 9, Timestamp::now());
        assert!(time.is_left() && time.is_enough_for(u64::MAX, 1 << 30, Instant::now()));
    }

    #[test]
    fn a_volume_leaves_time_to_store_it() {
        assert!(!with_seconds(40, 0).is_left());
        assert!(with_seconds(60, 0).is_left());
    }

    #[test]
    fn an_entry_that_would_take_too_long_is_left_to_the_next_run() {
        let time = with_seconds(60, 0);
        let began = Instant::now().checked_sub(Duration::from_secs(10)).unwrap();
        // 10 MiB in 10 s, 10 s left.
        assert!(time.is_enough_for(5 << 20, 10 << 20, began));
        assert!(!time.is_enough_for(20 << 20, 10 << 20, began));
    }

    #[test]
    fn each_run_in_vain_halves_what_the_next_takes_on() {
        let began = Instant::now().checked_sub(Duration::from_secs(10)).unwrap();
        assert!(with_seconds(150, 0).is_enough_for(60 << 20, 10 << 20, began));
        assert!(!with_seconds(150, 1).is_enough_for(60 << 20, 10 << 20, began));
        assert!(!with_seconds(i64::from(u32::MAX), 16).is_enough_for(1 << 40, 10 << 20, began));
    }
}
