//! One message, one file.

mod handler;

use aws_lambda_events::sqs::SqsEvent;
use holdfast_lambda::{Function, deadline, logged};
use lambda_runtime::{Error, LambdaEvent, service_fn};

/// Starts the function, and serves its invocations until the process ends.
///
/// # Errors
/// The runtime API of Lambda is unreachable.
pub async fn run() -> Result<(), Error> {
    let worker = &handler::Worker::new(Function::cold_start().await);
    let serve = service_fn(move |event: LambdaEvent<SqsEvent>| async move {
        logged(worker.handle(event.payload, deadline(&event.context)).await)
    });
    lambda_runtime::run(serve).await
}
