//! Discovers the content items of a backup, settles those with a stored file, queues the rest.

mod handler;

use std::sync::Arc;

use holdfast_lambda::{Function, Warm, deadline, logged};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;

/// Starts the function, and serves its invocations until the process ends.
///
/// # Errors
/// The runtime API of Lambda is unreachable.
pub async fn run() -> Result<(), Error> {
    let warm = &Warm::cold_start().await;
    let serve = service_fn(move |event: LambdaEvent<Value>| async move {
        let deadline = deadline(&event.context);
        let work = async |function: Arc<Function>| {
            handler::handle(&function, &event.payload, deadline).await
        };
        logged(warm.serve(work).await)
    });
    lambda_runtime::run(serve).await
}
