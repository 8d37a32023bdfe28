//! One message, one file.

mod handler;

use std::sync::Arc;

use aws_lambda_events::sqs::SqsEvent;
use holdfast_lambda::{Function, Warm, deadline, logged};
use lambda_runtime::{Error, LambdaEvent, service_fn};

/// Starts the function, and serves its invocations until the process ends.
///
/// # Errors
/// The runtime API of Lambda is unreachable.
pub async fn run() -> Result<(), Error> {
    let warm = &Warm::cold_start().await;
    let worker = &handler::Worker::new(warm.function().await);
    let serve = service_fn(move |event: LambdaEvent<SqsEvent>| async move {
        let deadline = deadline(&event.context);
        let work = async |function: Arc<Function>| {
            let worker = worker.with(function);
            worker.handle(event.payload.clone(), deadline).await
        };
        logged(warm.serve(work).await)
    });
    lambda_runtime::run(serve).await
}
