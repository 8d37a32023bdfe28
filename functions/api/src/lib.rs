//! HTTP: `/api/backups/*` behind API Gateway. The calls are in `holdfast_api`.

mod gateway;
mod host;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use holdfast_lambda::{Warm, deadline};
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
    let warm = &Warm::cold_start().await;
    let serve = service_fn(move |event: LambdaEvent<Value>| async move {
        let function = warm.function().await;
        let host = FunctionHost(Arc::clone(&function));
        let router = holdfast_api::router(Arc::new(host));
        let answer = gateway::answer(router, &event.payload, deadline(&event.context)).await;
        // Also the answer to a refused login.
        if answer
            .as_ref()
            .is_ok_and(|answer| answer.status_code == 503)
        {
            function.suspect_secrets();
        }
        answer
    });
    lambda_runtime::run(serve).await
}
