//! Calls of the catalogue during an outage: repeated for as long as a run may keep its lease.

use std::{future::Future, time::Duration};

use holdfast_domain::heartbeat::{REPEAT_AFTER, SILENCE_LIMIT};
use tokio::time::{Instant, sleep};

use crate::OperationError;

/// Calls the catalogue, and repeats the call without an answer for at most [`SILENCE_LIMIT`]. The
/// call must be repeatable.
///
/// # Errors
/// Those of the last call.
pub(crate) async fn persist<T, F>(call: impl Fn() -> F) -> Result<T, OperationError>
where
    F: Future<Output = Result<T, OperationError>>,
{
    // Boxed, because callers await many such calls, and their futures would contain each of them.
    Box::pin(repeat(call, REPEAT_AFTER, SILENCE_LIMIT)).await
}

async fn repeat<T, F>(
    call: impl Fn() -> F,
    pause: Duration,
    limit: Duration,
) -> Result<T, OperationError>
where
    F: Future<Output = Result<T, OperationError>>,
{
    let begun = Instant::now();
    loop {
        match call().await {
            Err(error) if error.is_catalog_away() && begun.elapsed() < limit => {
                tracing::warn!(%error, "the catalogue did not answer: the call is repeated");
                sleep(pause).await;
            }
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use holdfast_catalog::CatalogError;

    use super::*;

    fn away() -> OperationError {
        CatalogError::Unavailable {
            doing: "test",
            reason: "no answer".to_owned(),
        }
        .into()
    }

    const PAUSE: Duration = Duration::from_millis(5);

    #[tokio::test]
    async fn a_call_is_repeated_while_the_catalogue_is_away() {
        let calls = AtomicU32::new(0);
        let third = || async {
            let call = calls.fetch_add(1, Ordering::Relaxed);
            if call < 2 { Err(away()) } else { Ok(call) }
        };
        assert_eq!(
            repeat(third, PAUSE, Duration::from_mins(1)).await.unwrap(),
            2
        );
    }

    #[tokio::test]
    async fn a_call_is_given_up_after_the_limit() {
        let (begun, limit) = (Instant::now(), Duration::from_millis(60));
        let given_up: Result<(), _> = repeat(|| async { Err(away()) }, PAUSE, limit).await;
        assert!(given_up.unwrap_err().is_catalog_away());
        assert!(begun.elapsed() >= limit);
    }

    #[tokio::test]
    async fn another_error_is_returned_at_once() {
        let calls = AtomicU32::new(0);
        let refused = || async {
            calls.fetch_add(1, Ordering::Relaxed);
            Err::<(), _>(OperationError::Collecting)
        };
        assert!(matches!(
            repeat(refused, PAUSE, Duration::from_mins(1)).await,
            Err(OperationError::Collecting)
        ));
        assert_eq!(calls.into_inner(), 1);
    }
}
