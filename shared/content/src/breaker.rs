//! A circuit breaker for a host with repeated failures: a state machine over times from its caller.
//! It counts reported results and measures nothing itself.

use std::time::{Duration, Instant};

use holdfast_domain::HostState;

/// Conditions and lengths of the pauses of a host.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BreakerSettings {
    /// Consecutive transient failures that open it.
    pub(crate) failures: u32,
    /// First wait while it is open. It doubles after each failed probe.
    pub(crate) first_wait: Duration,
    /// Consecutive failures after which the host counts as down: those that open it, and failed
    /// probes.
    pub(crate) down_after: u32,
    /// Longest wait, even if a host requests more.
    pub(crate) longest_wait: Duration,
    /// Time after which a probe without a result is lost.
    pub(crate) probe_time: Duration,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self {
            failures: 5,
            first_wait: Duration::from_secs(5),
            down_after: 7,
            longest_wait: Duration::from_mins(10),
            probe_time: Duration::from_mins(1),
        }
    }
}

/// One host's.
#[derive(Debug)]
pub(crate) struct Breaker {
    settings: BreakerSettings,
    state: State,
    /// Number of failures since the last success or requested pause.
    failures: u32,
    /// Number of openings since the last success. It determines the wait.
    opened: u32,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Closed,
    Open {
        until: Instant,
    },
    /// One request tests whether the host works again. If it is lost, another one may start at
    /// `until`.
    Probing {
        until: Instant,
    },
}

impl Breaker {
    pub(crate) fn new(settings: BreakerSettings) -> Self {
        Self {
            settings,
            state: State::Closed,
            failures: 0,
            opened: 0,
        }
    }

    /// Requests permission to send.
    ///
    /// # Errors
    /// The remaining wait, while the host must not be contacted.
    pub(crate) fn admit(&mut self, now: Instant) -> Result<(), Duration> {
        match self.state {
            State::Closed => Ok(()),
            State::Open { until } | State::Probing { until } if now < until => Err(until - now),
            State::Open { .. } | State::Probing { .. } => {
                self.state = State::Probing {
                    until: now + self.settings.probe_time,
                };
                Ok(())
            }
        }
    }

    /// The host responded normally, perhaps with a refusal. A late response to a request from
    /// before the opening does not close the breaker.
    pub(crate) fn succeeded(&mut self) {
        if !matches!(self.state, State::Open { .. }) {
            self.state = State::Closed;
            self.failures = 0;
            self.opened = 0;
        }
    }

    /// The host failed, perhaps temporarily.
    pub(crate) fn failed(&mut self, now: Instant) {
        // The result of a request from before it opened.
        if matches!(self.state, State::Open { .. }) {
            return;
        }
        self.failures = self.failures.saturating_add(1);
        if self.failures >= self.settings.failures || matches!(self.state, State::Probing { .. }) {
            let wait = self.next_wait();
            self.open(now, wait);
        }
    }

    /// The host requested a pause, of this length if it gave one. A host that responds is not down.
    pub(crate) fn throttled(&mut self, now: Instant, asked: Option<Duration>) {
        match (self.state, asked) {
            // The answer to a request from before it opened: many such answers are one fault.
            (State::Open { .. }, None) => {}
            (State::Open { until }, Some(wait)) => {
                self.state = State::Open {
                    until: until.max(now + wait.min(self.settings.longest_wait)),
                };
            }
            (_, asked) => {
                self.failures = 0;
                let wait = asked
                    .unwrap_or_else(|| self.next_wait())
                    .min(self.settings.longest_wait);
                self.open(now, wait);
            }
        }
    }

    /// Whether it permits every request: little is lost if it is forgotten.
    pub(crate) fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// The state of the host, by the number of failures in a row. Requested pauses alone never make
    /// it `Down`.
    pub(crate) const fn host_state(&self) -> HostState {
        match self.failures {
            0 => HostState::Working,
            failures if failures < self.settings.down_after => HostState::Failing,
            _ => HostState::Down,
        }
    }

    fn open(&mut self, now: Instant, wait: Duration) {
        self.opened = self.opened.saturating_add(1);
        self.state = State::Open { until: now + wait };
    }

    fn next_wait(&self) -> Duration {
        let doubled = 1_u32.checked_shl(self.opened).unwrap_or(u32::MAX);
        self.settings
            .first_wait
            .saturating_mul(doubled)
            .min(self.settings.longest_wait)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn settings() -> BreakerSettings {
        BreakerSettings {
            failures: 3,
            first_wait: 5 * SECOND,
            down_after: 5,
            longest_wait: 60 * SECOND,
            probe_time: 10 * SECOND,
        }
    }

    fn opened(now: Instant) -> Breaker {
        let mut breaker = Breaker::new(settings());
        (0..3).for_each(|_| breaker.failed(now));
        breaker
    }

    #[test]
    fn failures_in_a_row_open_it_and_a_success_between_does_not() {
        let now = Instant::now();
        let mut breaker = Breaker::new(settings());
        for _ in 0..10 {
            breaker.failed(now);
            breaker.failed(now);
            breaker.succeeded();
        }
        assert_eq!(breaker.admit(now), Ok(()));
        assert_eq!(opened(now).admit(now), Err(5 * SECOND));
    }

    #[test]
    fn one_probe_goes_at_a_time_and_its_success_closes() {
        let now = Instant::now();
        let mut breaker = opened(now);
        let later = now + 5 * SECOND;
        assert_eq!(breaker.admit(later), Ok(()));
        assert_eq!(breaker.admit(later), Err(10 * SECOND));
        breaker.succeeded();
        assert_eq!(breaker.admit(later), Ok(()));
        assert!(breaker.is_closed());
    }

    #[test]
    fn each_failed_probe_doubles_the_wait_up_to_the_longest() {
        let mut now = Instant::now();
        let mut breaker = opened(now);
        for expected in [5, 10, 20, 40, 60, 60, 60] {
            assert_eq!(breaker.admit(now), Err(expected * SECOND));
            now += expected * SECOND;
            assert_eq!(breaker.admit(now), Ok(()));
            breaker.failed(now);
        }
    }

    #[test]
    fn a_lost_probe_is_followed_by_another() {
        let now = Instant::now();
        let mut breaker = opened(now);
        assert_eq!(breaker.admit(now + 5 * SECOND), Ok(()));
        assert_eq!(breaker.admit(now + 15 * SECOND), Ok(()));
    }

    #[test]
    fn a_throttled_host_gets_no_request_for_the_time_of_its_header() {
        let now = Instant::now();
        let mut breaker = Breaker::new(settings());
        breaker.throttled(now, Some(30 * SECOND));
        assert_eq!(breaker.admit(now), Err(30 * SECOND));
        breaker.throttled(now, Some(SECOND));
        assert_eq!(breaker.admit(now), Err(30 * SECOND));
        breaker.throttled(now, Some(100_000 * SECOND));
        assert_eq!(breaker.admit(now), Err(60 * SECOND));
    }

    #[test]
    fn many_requests_to_wait_at_once_are_one_opening() {
        let now = Instant::now();
        let mut breaker = Breaker::new(settings());
        for millis in 0..16 {
            breaker.throttled(now + Duration::from_millis(millis), None);
        }
        assert_eq!(breaker.admit(now), Err(5 * SECOND));
        assert_eq!(breaker.host_state(), HostState::Working);
    }

    #[test]
    fn requested_pauses_alone_never_make_a_host_down() {
        let mut now = Instant::now();
        let mut breaker = Breaker::new(settings());
        for asked in [Some(SECOND), None].repeat(10) {
            assert_eq!(breaker.admit(now), Ok(()));
            breaker.throttled(now, asked);
            assert_eq!(breaker.host_state(), HostState::Working);
            now += 60 * SECOND;
        }
        assert_eq!(breaker.admit(now), Ok(()));
        breaker.succeeded();
        assert!(breaker.is_closed());
    }

    #[test]
    fn after_a_requested_pause_a_host_is_down_only_after_all_failures_in_a_row() {
        let mut now = Instant::now();
        let mut breaker = opened(now);
        let mut probe = |breaker: &mut Breaker| {
            now += 60 * SECOND;
            assert_eq!(breaker.admit(now), Ok(()));
            now
        };
        let throttled_at = probe(&mut breaker);
        breaker.throttled(throttled_at, Some(SECOND));
        for _ in 1..5 {
            let failed_at = probe(&mut breaker);
            breaker.failed(failed_at);
            assert_eq!(breaker.host_state(), HostState::Failing);
        }
        let failed_at = probe(&mut breaker);
        breaker.failed(failed_at);
        assert_eq!(breaker.host_state(), HostState::Down);
    }

    #[test]
    fn a_host_is_down_after_three_openings_by_failures_in_a_row_and_no_more_after_a_success() {
        let mut now = Instant::now();
        let mut breaker = opened(now);
        for state in [
            HostState::Failing,
            HostState::Failing,
            HostState::Down,
            HostState::Down,
        ] {
            assert_eq!(breaker.host_state(), state);
            now += 60 * SECOND;
            assert_eq!(breaker.admit(now), Ok(()));
            breaker.failed(now);
        }
        now += 60 * SECOND;
        assert_eq!(breaker.admit(now), Ok(()));
        breaker.succeeded();
        assert_eq!(breaker.host_state(), HostState::Working);
    }

    #[test]
    fn an_answer_from_before_it_opened_does_not_close_it() {
        let now = Instant::now();
        let mut breaker = opened(now);
        breaker.succeeded();
        assert!(breaker.admit(now).is_err());
    }

    proptest! {
        #[test]
        fn it_never_waits_longer_than_the_longest_and_lets_a_probe_through_then(
            events in proptest::collection::vec((0_u8..4, 0_u64..100), 0..60),
        ) {
            let mut now = Instant::now();
            let mut breaker = Breaker::new(settings());
            for (event, seconds) in events {
                now += Duration::from_secs(seconds);
                match event {
                    0 => breaker.succeeded(),
                    1 => breaker.failed(now),
                    2 => breaker.throttled(now, (seconds % 2 == 0).then(|| Duration::from_secs(seconds * 7))),
                    _ => { let _ = breaker.admit(now); }
                }
                if let Err(wait) = breaker.admit(now) {
                    prop_assert!(wait > Duration::ZERO && wait <= 60 * SECOND);
                }
            }
            prop_assert_eq!(breaker.admit(now + 60 * SECOND), Ok(()));
        }
    }
}
