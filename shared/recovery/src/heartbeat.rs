//! The heartbeat of every lease: of runs, collections, copies, readers and drills. Each user
//! supplies only its own beat. The times are in [`holdfast_domain::heartbeat`].

use std::{fmt::Display, future::Future, time::Duration};

use holdfast_domain::heartbeat::{BEAT_EVERY, BEAT_TIMEOUT, REPEAT_AFTER, SILENCE_LIMIT};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep, sleep_until, timeout_at},
};

/// The times of one heartbeat.
#[derive(Debug, Clone, Copy)]
pub struct Rhythm {
    /// Wait before the first beat.
    pub first_after: Duration,
    /// Interval of the beats.
    pub every: Duration,
    /// Time limit of one beat.
    pub timeout: Duration,
    /// Wait before a failed beat is repeated.
    pub repeat_after: Duration,
    /// The heartbeat ends if no beat succeeded for this long.
    pub silence_limit: Duration,
}

impl Rhythm {
    /// For a lease in the catalogue. The first beat follows at once.
    pub const LEASE: Self = Self {
        first_after: Duration::ZERO,
        every: BEAT_EVERY,
        timeout: BEAT_TIMEOUT,
        repeat_after: REPEAT_AFTER,
        silence_limit: SILENCE_LIMIT,
    };

    /// The same for a lease that was acquired just now: the first beat follows after an interval.
    #[must_use]
    pub const fn after_acquisition(self) -> Self {
        Self {
            first_after: self.every,
            ..self
        }
    }
}

/// End of a heartbeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stopped<L> {
    /// A beat returned this reason: the lease is lost.
    Lost(L),
    /// No beat succeeded within the silence limit. The text is the last failure.
    Silent(String),
}

/// End of work under a heartbeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended<T, L> {
    /// The work is done.
    Done(T),
    /// The time for the work is over.
    Deadline,
    /// The heartbeat ended first.
    Stopped(Stopped<L>),
}

/// Runs `work`, and beats during it. The work is dropped at the deadline, or if the heartbeat ends.
/// Each failed beat calls `failed` with the reason.
pub async fn run<T, L, E, F>(
    rhythm: Rhythm,
    work: impl Future<Output = T>,
    deadline: impl Future<Output = ()>,
    beat: impl Fn() -> F,
    failed: impl Fn(&str),
) -> Ended<T, L>
where
    F: Future<Output = Result<Option<L>, E>>,
    E: Display,
{
    tokio::select! {
        biased;
        done = work => Ended::Done(done),
        () = deadline => Ended::Deadline,
        stopped = beat_until_stopped(rhythm, beat, failed) => Ended::Stopped(stopped),
    }
}

/// Beats until a beat returns a reason, or until the silence limit.
pub async fn beat_until_stopped<L, E, F>(
    rhythm: Rhythm,
    beat: impl Fn() -> F,
    failed: impl Fn(&str),
) -> Stopped<L>
where
    F: Future<Output = Result<Option<L>, E>>,
    E: Display,
{
    let mut last_beat = Instant::now();
    sleep(rhythm.first_after).await;
    loop {
        let begun = Instant::now();
        let limit = last_beat + rhythm.silence_limit;
        let failure = match timeout_at(limit.min(begun + rhythm.timeout), beat()).await {
            Ok(Ok(None)) => {
                // The beat is recorded no earlier than the start of the call.
                last_beat = begun;
                sleep_until(begun + rhythm.every).await;
                continue;
            }
            Ok(Ok(Some(reason))) => return Stopped::Lost(reason),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {} seconds", begun.elapsed().as_secs()),
        };
        failed(&failure);
        sleep_until(limit.min(Instant::now() + rhythm.repeat_after)).await;
        if Instant::now() >= limit {
            return Stopped::Silent(failure);
        }
    }
}

/// A heartbeat in its own task, until it is dropped.
pub struct Heartbeat<L> {
    stop: watch::Receiver<Option<L>>,
    /// The reason after a panic of the task. No beat is sent then.
    after_panic: L,
    task: JoinHandle<()>,
}

impl<L: Clone + Send + Sync + 'static> Heartbeat<L> {
    /// Starts the task. It ends with the reason to stop.
    pub fn spawn(after_panic: L, beating: impl Future<Output = L> + Send + 'static) -> Self {
        let (sender, stop) = watch::channel(None);
        let task = tokio::spawn(async move {
            let reason = beating.await;
            let _ = sender.send(Some(reason));
        });
        Self {
            stop,
            after_panic,
            task,
        }
    }

    /// Waits until the work must stop.
    pub async fn stopped(&self) -> L {
        let mut stop = self.stop.clone();
        let reason = stop.wait_for(Option::is_some).await;
        let reason = reason.ok().and_then(|reason| reason.clone());
        reason.unwrap_or_else(|| self.after_panic.clone())
    }

    /// Runs a step, unless the work must stop before the step ends.
    ///
    /// # Errors
    /// The reason to stop, or the error of the step.
    pub async fn guard<T, E: From<L>>(
        &self,
        step: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        tokio::select! {
            biased;
            reason = self.stopped() => Err(reason.into()),
            result = step => result,
        }
    }
}

impl<L> Drop for Heartbeat<L> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::pending,
        sync::atomic::{AtomicU32, Ordering},
    };

    use super::*;

    const RHYTHM: Rhythm = Rhythm {
        first_after: Duration::ZERO,
        every: Duration::from_millis(50),
        timeout: Duration::from_millis(200),
        repeat_after: Duration::from_millis(25),
        silence_limit: Duration::from_millis(600),
    };

    type Beat = Result<Option<&'static str>, &'static str>;

    #[tokio::test]
    async fn work_ends_by_itself_or_at_its_deadline() {
        let beat = || async { Beat::Ok(None) };
        let done = run(RHYTHM, sleep(RHYTHM.every * 3), pending(), beat, |_| {}).await;
        assert_eq!(done, Ended::Done(()));
        let late = run(RHYTHM, pending::<()>(), sleep(RHYTHM.every), beat, |_| {}).await;
        assert_eq!(late, Ended::Deadline);
    }

    #[tokio::test]
    async fn a_lost_lease_ends_the_work_with_its_reason() {
        let beats = AtomicU32::new(0);
        let beat = || async {
            let is_third = beats.fetch_add(1, Ordering::Relaxed) == 2;
            Beat::Ok(is_third.then_some("lost"))
        };
        let ended = run(RHYTHM, pending::<()>(), pending(), beat, |_| {}).await;
        assert_eq!(ended, Ended::Stopped(Stopped::Lost("lost")));
    }

    #[tokio::test]
    async fn a_silent_server_ends_the_work_after_the_limit_and_not_before() {
        let (begun, failures) = (Instant::now(), AtomicU32::new(0));
        let beat = || async { Beat::Err("away") };
        let count = |_: &str| {
            failures.fetch_add(1, Ordering::Relaxed);
        };
        let ended = run(RHYTHM, pending::<()>(), pending(), beat, count).await;
        assert_eq!(ended, Ended::Stopped(Stopped::Silent("away".to_owned())));
        assert!(begun.elapsed() >= RHYTHM.silence_limit);
        assert!(
            failures.into_inner() > 2,
            "a failed beat is repeated before the next interval"
        );
    }

    #[tokio::test]
    async fn a_hanging_beat_is_abandoned_and_repeated() {
        let beats = AtomicU32::new(0);
        let beat = || async {
            if beats.fetch_add(1, Ordering::Relaxed) == 0 {
                pending::<()>().await;
            }
            Beat::Ok(None)
        };
        let work = sleep(RHYTHM.silence_limit * 2);
        assert_eq!(
            run(RHYTHM, work, pending(), beat, |_| {}).await,
            Ended::Done(())
        );
        assert!(beats.into_inner() > 2);
    }

    #[tokio::test]
    async fn a_step_is_dropped_after_the_end_of_its_heartbeat_even_by_a_panic() {
        let lost = Heartbeat::spawn("panic", async { "lost" });
        let step = pending::<Result<(), &str>>();
        assert_eq!(lost.guard(step).await, Err("lost"));
        let panicked = Heartbeat::spawn("panic", async { panic!("in a test") });
        assert_eq!(panicked.stopped().await, "panic");
    }
}
