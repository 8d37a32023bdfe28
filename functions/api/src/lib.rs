//! HTTP: `/api/backups/*`.

mod access;
mod answer;
mod calls;
mod contract;
mod fit;
mod gateway;
mod json;
mod request;
mod schema;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use holdfast_lambda::{Function, deadline};
use lambda_http::{
    Error,
    lambda_runtime::{self, LambdaEvent, service_fn},
};
use serde_json::Value;

/// Starts the function, and serves its invocations until the process ends.
///
/// # Errors
/// The runtime API of Lambda is unreachable.
pub async fn run() -> Result<(), Error> {
    let router = &calls::router(Arc::new(Function::cold_start().await));
    let serve = service_fn(move |event: LambdaEvent<Value>| async move {
        gateway::answer(router.clone(), &event.payload, deadline(&event.context)).await
    });
    lambda_runtime::run(serve).await
}
