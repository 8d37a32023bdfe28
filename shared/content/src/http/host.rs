//! State of each contacted origin: its concurrent requests and its breaker. The number of origins
//! is bounded.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use holdfast_domain::ItemFailureCode;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};

use super::Origin;
use crate::{
    FetchError,
    breaker::{Breaker, BreakerSettings},
};

/// Above this number, idle origins are forgotten, unless they are paused.
const KEPT: usize = 1_000;

/// All of them.
#[derive(Debug)]
pub(crate) struct Hosts {
    per_host: usize,
    breakers: BreakerSettings,
    known: Mutex<HashMap<Origin, Arc<Host>>>,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Host {
    origin: Origin,
    turns: Arc<Semaphore>,
    breaker: Mutex<Breaker>,
    /// The newest fault that counted against it.
    last_fault: Mutex<Option<FetchError>>,
}

impl Hosts {
    pub(crate) fn new(per_host: usize, breakers: BreakerSettings) -> Self {
        Self {
            per_host: per_host.clamp(1, Semaphore::MAX_PERMITS),
            breakers,
            known: Mutex::default(),
        }
    }

    pub(crate) fn of(&self, origin: &Origin) -> Arc<Host> {
        let mut known = locked(&self.known);
        if known.len() >= KEPT && !known.contains_key(origin) {
            known.retain(|_, host| {
                Arc::strong_count(host) > 1 || !locked(&host.breaker).is_closed()
            });
        }
        let host = known
            .entry(origin.clone())
            .or_insert_with(|| Arc::new(Host::new(origin.clone(), self)));
        Arc::clone(host)
    }
}

impl Host {
    fn new(origin: Origin, hosts: &Hosts) -> Self {
        let breaker = Mutex::new(Breaker::new(hosts.breakers));
        Self {
            origin,
            turns: Arc::new(Semaphore::new(hosts.per_host)),
            breaker,
            last_fault: Mutex::default(),
        }
    }

    pub(crate) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Waits for a turn, then consults the breaker, because its state may have changed meanwhile.
    pub(crate) async fn turn(&self, deadline: Instant) -> Result<OwnedSemaphorePermit, FetchError> {
        let waiting = timeout_at(deadline, Arc::clone(&self.turns).acquire_owned());
        let Ok(Ok(permit)) = waiting.await else {
            let message = format!(
                "the time ended while other requests to {} were running",
                self.origin
            );
            return Err(FetchError::new(ItemFailureCode::TimedOut, message).unasked());
        };
        let admitted = locked(&self.breaker).admit(Instant::now().into_std());
        admitted
            .map(|()| permit)
            .map_err(|wait| self.left_alone(wait))
    }

    fn left_alone(&self, wait: Duration) -> FetchError {
        let seconds = wait.as_secs_f64().ceil();
        let fault = locked(&self.last_fault).clone();
        let (code, cause) = fault.map_or((ItemFailureCode::Unavailable, String::new()), |fault| {
            (fault.code, fault.message)
        });
        let message = format!("{} is skipped for {seconds} s: {cause}", self.origin);
        let state = locked(&self.breaker).host_state();
        FetchError::new(code, message)
            .after(Some(wait))
            .unasked()
            .with_host(state)
    }

    /// The host responded, regardless of the file.
    pub(crate) fn answered(&self) {
        locked(&self.breaker).succeeded();
    }

    /// Records the result of a request. Only a missing connection, a time-out, a fault of the
    /// server and a requested pause count against the host. A wrong response for one file does
    /// not concern the next file.
    pub(crate) fn failed(&self, error: &FetchError) {
        if matches!(
            error.code,
            ItemFailureCode::Throttled | ItemFailureCode::Unavailable | ItemFailureCode::TimedOut
        ) {
            *locked(&self.last_fault) = Some(error.clone());
        }
        let mut breaker = locked(&self.breaker);
        let now = Instant::now().into_std();
        match error.code {
            ItemFailureCode::Throttled => breaker.throttled(now, error.retry_after),
            ItemFailureCode::Unavailable | ItemFailureCode::TimedOut => breaker.failed(now),
            _ => breaker.succeeded(),
        }
    }
}

/// The guarded data are consistent after every statement, so a panic elsewhere leaves them usable.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use holdfast_domain::HostState;

    use super::*;

    #[tokio::test]
    async fn origins_are_forgotten_but_not_those_left_alone_or_spoken_to() {
        let hosts = Hosts::new(1, BreakerSettings::default());
        let origin = |n: usize| format!("https://h{n}.example").parse::<Origin>().unwrap();
        let spoken_to = hosts.of(&origin(0));
        hosts
            .of(&origin(1))
            .failed(&FetchError::new(ItemFailureCode::Throttled, "429"));
        for n in 2..5_000 {
            hosts.of(&origin(n));
        }
        assert!(locked(&hosts.known).len() <= KEPT);
        assert!(Arc::ptr_eq(&spoken_to, &hosts.of(&origin(0))));
        let left_alone = hosts
            .of(&origin(1))
            .turn(Instant::now() + Duration::from_secs(1))
            .await
            .unwrap_err();
        assert!(!left_alone.was_asked && left_alone.retry_after.is_some());
        assert_eq!(
            left_alone.host,
            HostState::Working,
            "a requested pause is no failure"
        );
        assert_eq!(left_alone.code, ItemFailureCode::Throttled);
        assert!(left_alone.message.ends_with(": 429"), "{left_alone}");
    }

    #[tokio::test]
    async fn no_more_than_its_turns_are_given_at_a_time() {
        let hosts = Hosts::new(2, BreakerSettings::default());
        let host = hosts.of(&"https://h.example".parse().unwrap());
        let soon = || Instant::now() + Duration::from_millis(50);
        let first = host.turn(soon()).await.unwrap();
        let _second = host.turn(soon()).await.unwrap();
        let late = host.turn(soon()).await.unwrap_err();
        assert_eq!(
            (late.code, late.was_asked, late.host),
            (ItemFailureCode::TimedOut, false, HostState::Working)
        );
        drop(first);
        assert!(host.turn(soon()).await.is_ok());
    }
}
