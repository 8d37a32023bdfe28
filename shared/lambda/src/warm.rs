//! A function across invocations: its settings and clients are replaced when a secret has changed.
//!
//! An environment of Lambda can live for hours. Without new clients, a rotated password would fail
//! until AWS ends the environment.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::Mutex;

use crate::{Function, InvocationError};

/// Age of the secrets at which an invocation reads them again.
const MAX_AGE: Duration = Duration::from_mins(5);

/// Shortest time between two readings because of refused logins.
const SHORTEST_TIME: Duration = Duration::from_mins(1);

/// A function whose secrets may change between two invocations.
#[derive(Debug)]
pub struct Warm {
    current: Mutex<Current>,
}

#[derive(Debug)]
struct Current {
    function: Arc<Function>,
    read_at: Instant,
    read_after_refusal_at: Option<Instant>,
}

impl Warm {
    /// Reads the environment, once for all invocations, and begins to log.
    pub async fn cold_start() -> Self {
        Self::new(Function::cold_start().await)
    }

    /// Begins with this function.
    #[must_use]
    pub fn new(function: Function) -> Self {
        Self {
            current: Mutex::new(Current {
                function: Arc::new(function),
                read_at: Instant::now(),
                read_after_refusal_at: None,
            }),
        }
    }

    /// The function for the next invocation, with secrets of at most five minutes ago.
    pub async fn function(&self) -> Arc<Function> {
        self.function_at(Instant::now()).await
    }

    async fn function_at(&self, now: Instant) -> Arc<Function> {
        let mut current = self.current.lock().await;
        if current.must_read(now)
            && let Some(renewed) = current.function.renewed().await
        {
            current.function = Arc::new(renewed);
        }
        Arc::clone(&current.function)
    }

    /// Carries out an invocation. After a refused login, it is repeated once if a secret has
    /// changed.
    ///
    /// # Errors
    /// Those of the invocation.
    pub async fn serve<T>(
        &self,
        work: impl AsyncFn(Arc<Function>) -> Result<T, InvocationError>,
    ) -> Result<T, InvocationError> {
        let function = self.function().await;
        // Boxed: the future of an invocation is too deep a type for the compiler's layout.
        let refused = match Box::pin(work(Arc::clone(&function))).await {
            Err(error) if error.is_refused_login() => error,
            outcome => return outcome,
        };
        function.suspect_secrets();
        let renewed = self.function().await;
        if Arc::ptr_eq(&renewed, &function) {
            return Err(refused);
        }
        tracing::warn!(error = %refused, "the login was refused and a secret has changed: the invocation is repeated");
        Box::pin(work(renewed)).await
    }
}

impl Current {
    /// Whether this invocation reads the secrets. If so, the time is recorded.
    fn must_read(&mut self, now: Instant) -> bool {
        let elapsed = |at: Instant| now.saturating_duration_since(at);
        let is_old = elapsed(self.read_at) >= MAX_AGE;
        let is_suspected = self.function.are_secrets_suspected()
            && self
                .read_after_refusal_at
                .is_none_or(|at| elapsed(at) >= SHORTEST_TIME);
        if is_suspected {
            self.read_after_refusal_at = Some(now);
        }
        if is_old || is_suspected {
            self.read_at = now;
        }
        is_old || is_suspected
    }
}

#[cfg(test)]
mod tests {
    use aws_config::{BehaviorVersion, SdkConfig};

    use holdfast_setup::Clients;

    use super::*;

    fn current() -> Current {
        let aws = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .build();
        Current {
            function: Arc::new(Function::new(Vec::new(), Clients::new(aws))),
            read_at: Instant::now(),
            read_after_refusal_at: None,
        }
    }

    #[test]
    fn secrets_are_read_every_five_minutes() {
        let mut current = current();
        let begun = current.read_at;
        assert!(!current.must_read(begun + Duration::from_secs(299)));
        assert!(current.must_read(begun + MAX_AGE));
        assert!(!current.must_read(begun + MAX_AGE + Duration::from_secs(299)));
        assert!(current.must_read(begun + 2 * MAX_AGE));
    }

    #[test]
    fn refused_logins_read_the_secrets_at_once_and_then_at_most_once_a_minute() {
        let mut current = current();
        let begun = current.read_at;
        current.function.suspect_secrets();
        assert!(current.must_read(begun));
        assert!(!current.must_read(begun + Duration::from_secs(59)));
        assert!(current.must_read(begun + SHORTEST_TIME));
    }
}
