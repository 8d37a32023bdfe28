//! Retries a call to the store after transient faults, with growing waits, a bounded number of
//! times. Only this layer retries, and it logs each retry with its reason. The SDK's own retries
//! are off.

use std::{
    future::Future,
    hash::{BuildHasher, RandomState},
    time::Duration,
};

use crate::StoreError;

/// Number of attempts, and the waits in between.
#[derive(Debug, Clone, Copy)]
pub struct RetryPolicy {
    /// Attempts in total. 1 means no retry.
    pub attempts: u32,
    /// The wait before the second attempt. It doubles before each further one.
    pub first_wait: Duration,
    /// Longest wait.
    pub longest_wait: Duration,
}

impl Default for RetryPolicy {
    /// Seven attempts, with about 12 seconds of waits.
    fn default() -> Self {
        Self {
            attempts: 7,
            first_wait: Duration::from_millis(200),
            longest_wait: Duration::from_secs(10),
        }
    }
}

/// One call with its retries.
#[derive(Clone, Copy)]
pub(crate) struct Call<'a> {
    /// The operation, for the log.
    pub(crate) operation: &'static str,
    /// The object, for the log and the error.
    pub(crate) key: &'a str,
    /// Time limit of one attempt.
    pub(crate) time_limit: Duration,
    /// Whether to send an altered body again.
    pub(crate) sends_body: bool,
}

impl<'a> Call<'a> {
    /// A call with a short request and answer.
    pub(crate) fn short(operation: &'static str, key: &'a str) -> Self {
        Self {
            operation,
            key,
            time_limit: Duration::from_secs(30),
            sends_body: false,
        }
    }

    /// A call with `size` bytes to send: the time limit allows 64 KiB per second.
    pub(crate) fn sending(operation: &'static str, key: &'a str, size: usize) -> Self {
        let time_limit = Duration::from_secs(30 + (size / (64 * 1024)) as u64);
        Self {
            operation,
            key,
            time_limit,
            sends_body: true,
        }
    }

    /// A call that may take the store minutes.
    pub(crate) fn long(operation: &'static str, key: &'a str) -> Self {
        Self {
            operation,
            key,
            time_limit: Duration::from_mins(5),
            sends_body: false,
        }
    }

    /// The first answer corrects a wrong clock, so the second attempt shows whether the clock was
    /// the cause.
    fn is_worth_repeating(&self, error: &StoreError, number: u32) -> bool {
        if matches!(error, StoreError::WrongClock { .. }) {
            return number == 1;
        }
        error.is_transient() || (self.sends_body && matches!(error, StoreError::Corrupt { .. }))
    }

    fn timed_out(&self) -> StoreError {
        let cause = format!(
            "no answer to {} within {} s",
            self.operation,
            self.time_limit.as_secs()
        );
        StoreError::Unavailable {
            key: self.key.to_owned(),
            cause,
        }
    }
}

impl RetryPolicy {
    /// Makes the call until it succeeds, fails permanently, or reaches the limit of attempts.
    pub(crate) async fn run<T, F, R>(&self, call: Call<'_>, mut attempt: F) -> Result<T, StoreError>
    where
        F: FnMut() -> R,
        R: Future<Output = Result<T, StoreError>>,
    {
        let mut number = 1;
        loop {
            let outcome = tokio::time::timeout(call.time_limit, attempt()).await;
            let error = match outcome.unwrap_or_else(|_| Err(call.timed_out())) {
                Err(error) if number < self.attempts && call.is_worth_repeating(&error, number) => {
                    error
                }
                settled => return settled,
            };
            self.wait(call.operation, call.key, number, &error).await;
            number += 1;
        }
    }

    /// Logs the failure of attempt `number`, and waits before the next.
    pub(crate) async fn wait(
        &self,
        operation: &'static str,
        key: &str,
        number: u32,
        reason: &StoreError,
    ) {
        let wait = self.wait_after(number);
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        tracing::warn!(operation, key, attempt = number, wait_ms, %reason, "retrying a call to the store");
        tokio::time::sleep(wait).await;
    }

    /// Between half and all of the doubled wait, so that throttled clients do not retry at the same
    /// moment.
    fn wait_after(&self, number: u32) -> Duration {
        let doubled = self
            .first_wait
            .saturating_mul(1_u32.checked_shl(number - 1).unwrap_or(u32::MAX));
        let ceiling = doubled.min(self.longest_wait);
        let eighths = u32::try_from(RandomState::new().hash_one(number) % 5).unwrap_or(0);
        ceiling / 2 + ceiling / 8 * eighths
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quick() -> RetryPolicy {
        RetryPolicy {
            attempts: 3,
            first_wait: Duration::from_millis(1),
            longest_wait: Duration::from_millis(2),
        }
    }

    fn failing(kind: fn(String) -> StoreError) -> (u32, StoreError) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let mut tries = 0;
        let result = runtime.block_on(quick().run(Call::sending("put", "k", 0), || {
            tries += 1;
            std::future::ready(Err::<(), _>(kind("k".to_owned())))
        }));
        (tries, result.unwrap_err())
    }

    #[test]
    fn transient_faults_are_tried_a_bounded_number_of_times() {
        let (tries, error) = failing(|key| StoreError::Unavailable {
            key,
            cause: "SlowDown".to_owned(),
        });
        assert_eq!(tries, 3);
        assert!(error.is_transient());
    }

    #[test]
    fn what_is_final_is_not_tried_again() {
        assert_eq!(
            failing(|key| StoreError::Denied {
                key,
                cause: String::new()
            })
            .0,
            1
        );
        assert_eq!(
            failing(|key| StoreError::Invalid {
                key,
                cause: String::new()
            })
            .0,
            1
        );
    }

    #[test]
    fn a_wrong_clock_is_tried_once_more() {
        assert_eq!(
            failing(|key| StoreError::WrongClock {
                key,
                cause: String::new()
            })
            .0,
            2
        );
    }

    #[test]
    fn a_body_that_arrived_altered_is_sent_again() {
        assert_eq!(
            failing(|key| StoreError::Corrupt {
                key,
                cause: "BadDigest".to_owned()
            })
            .0,
            3
        );
    }

    #[test]
    fn waits_grow_up_to_the_longest() {
        let policy = RetryPolicy::default();
        for number in 1..80 {
            let ceiling = policy
                .first_wait
                .saturating_mul(1_u32.checked_shl(number - 1).unwrap_or(u32::MAX));
            let wait = policy.wait_after(number);
            assert!(
                wait >= ceiling.min(policy.longest_wait) / 2 && wait <= policy.longest_wait,
                "{number}: {wait:?}"
            );
        }
    }
}
