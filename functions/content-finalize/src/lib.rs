//! The end of a content backup: list, archive, manifest. Also settles the items of undelivered
//! messages.

mod handler;

use holdfast_lambda::{Function, deadline, logged};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;

/// Starts the function, and serves its invocations until the process ends.
///
/// # Errors
/// The runtime API of Lambda is unreachable.
pub async fn run() -> Result<(), Error> {
    let function = &Function::cold_start().await;
    let serve = service_fn(move |event: LambdaEvent<Value>| async move {
        logged(handler::handle(function, &event.payload, deadline(&event.context)).await)
    });
    lambda_runtime::run(serve).await
}
