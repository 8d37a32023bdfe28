//! The invocations of a worker: each event is handled once, with secrets that are up to date.

use std::sync::Arc;

use holdfast_domain::Timestamp;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;

use crate::{Function, InvocationError, Warm, deadline, logged};

/// Starts the function, and serves its invocations until the process ends.
///
/// # Errors
/// The runtime API of Lambda is unreachable.
pub async fn run_worker(
    handle: impl AsyncFn(&Function, &Value, Timestamp) -> Result<Value, InvocationError>,
) -> Result<(), Error> {
    let (warm, handle) = (&Warm::cold_start().await, &handle);
    let serve = service_fn(move |event: LambdaEvent<Value>| async move {
        let deadline = deadline(&event.context);
        let work =
            async |function: Arc<Function>| handle(&function, &event.payload, deadline).await;
        logged(warm.serve(work).await)
    });
    lambda_runtime::run(serve).await
}
