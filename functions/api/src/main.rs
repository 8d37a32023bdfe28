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

#[tokio::main]
async fn main() -> Result<(), Error> {
    let router = &calls::router(Arc::new(Function::cold_start().await));
    let serve = service_fn(move |event: LambdaEvent<Value>| async move {
        gateway::answer(router.clone(), &event.payload, deadline(&event.context)).await
    });
    lambda_runtime::run(serve).await
}
