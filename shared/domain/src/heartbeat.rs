//! The times of every heartbeat: of backups, garbage collections, copies and readers. A run stops
//! before another run may regard it as dead.

use std::time::Duration;

use jiff::SignedDuration;

/// How often a run beats.
pub const BEAT_EVERY: Duration = Duration::from_secs(10);
/// Time limit of one beat. A beat without an answer is abandoned, and repeated on another
/// connection.
pub const BEAT_TIMEOUT: Duration = Duration::from_secs(8);
/// Wait before a failed beat or another failed call of the catalogue is repeated.
pub const REPEAT_AFTER: Duration = Duration::from_secs(3);
/// A run stops if its last beat is older. Until then no other run can hold its lease.
pub const SILENCE_LIMIT: Duration = Duration::from_secs(45);
/// A run is dead if its last beat is older. Another run may then take over its lease.
pub const DEAD_AFTER: SignedDuration = SignedDuration::from_secs(60);

/// How often a restore drill beats on its server.
pub const DRILL_BEAT_EVERY: Duration = Duration::from_secs(30);
/// A drill stops if its last beat is older. Until then no other drill drops its scratch databases.
pub const DRILL_SILENCE_LIMIT: Duration = Duration::from_mins(5);
/// A drill is dead if its last beat is older. The next drill drops its scratch databases.
pub const DRILL_DEAD_AFTER: SignedDuration = SignedDuration::from_mins(10);

/// How often a verification in steps records its progress.
pub const VERIFICATION_RECORD_EVERY: Duration = Duration::from_secs(20);
/// A verification is dead after the longest time of a function, 15 minutes, and a margin. Only a
/// verification in steps records its progress, so the limit does not depend on the records.
pub const VERIFICATION_DEAD_AFTER: SignedDuration = SignedDuration::from_mins(16);

/// A garbage collection in the second store waits this long after the last beat of a content copy.
pub const COPY_EXCLUDES_GC_FOR: SignedDuration = SignedDuration::from_hours(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_beats_often_and_stops_before_it_counts_as_dead() {
        let dead_after = Duration::try_from(DEAD_AFTER).unwrap();
        assert!(BEAT_EVERY < SILENCE_LIMIT && SILENCE_LIMIT < dead_after);
        // A failed beat leaves time for two more before the run stops.
        assert!(BEAT_EVERY + 3 * (BEAT_TIMEOUT + REPEAT_AFTER) <= SILENCE_LIMIT);
        // The clocks of two machines may differ by this much.
        assert!(dead_after >= SILENCE_LIMIT + Duration::from_secs(15));
    }

    #[test]
    fn a_drill_and_a_verification_stop_or_end_before_they_count_as_dead() {
        let drill_dead = Duration::try_from(DRILL_DEAD_AFTER).unwrap();
        assert!(DRILL_BEAT_EVERY + BEAT_TIMEOUT < DRILL_SILENCE_LIMIT);
        assert!(DRILL_SILENCE_LIMIT < drill_dead);
        let longest_function = Duration::from_mins(15);
        let verification_dead = Duration::try_from(VERIFICATION_DEAD_AFTER).unwrap();
        assert!(longest_function + VERIFICATION_RECORD_EVERY < verification_dead);
    }
}
