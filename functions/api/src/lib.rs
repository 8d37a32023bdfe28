//! HTTP: `/api/backups/*` behind API Gateway. The calls are in `holdfast_api`.

mod gateway;
mod host;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use holdfast_lambda::{Function, deadline};
use lambda_http::{
    Error,
    lambda_runtime::{self, LambdaEvent, service_fn},
};
use serde_json::Value;

use crate::host::FunctionHost;

/// Starts the function, and serves its invocations until the process ends.
///
/// # Errors
/// The runtime API of Lambda is unreachable.
pub async fn run() -> Result<(), Error> {
    let router = &holdfast_api::router(Arc::new(FunctionHost(Arc::new(
        Function::cold_start().await,
    ))));
    let serve = service_fn(move |event: LambdaEvent<Value>| async move {
        gateway::answer(router.clone(), &event.payload, deadline(&event.context)).await
    });
    lambda_runtime::run(serve).await
}
