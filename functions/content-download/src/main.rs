//! One message, one file.

mod handler;

use aws_lambda_events::sqs::SqsEvent;
use holdfast_lambda::{Function, deadline, logged};
use lambda_runtime::{Error, LambdaEvent, service_fn};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let worker = &handler::Worker::new(Function::cold_start().await);
    let serve = service_fn(move |event: LambdaEvent<SqsEvent>| async move {
        logged(worker.handle(event.payload, deadline(&event.context)).await)
    });
    lambda_runtime::run(serve).await
}
