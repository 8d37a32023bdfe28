//! Calls as API Gateway sends them, by the events in `events/`. Every answer is compared with the
//! contract.

mod conformance;
mod limits;
mod preflight;
mod refused;
mod served;

use std::sync::Arc;

use axum::http::HeaderMap;
use holdfast_domain::Timestamp;
use holdfast_lambda::Function;
use holdfast_setup::Clients;
use lambda_http::Body;
use serde_json::{Value, json};

use crate::{gateway, host::FunctionHost};

pub(super) struct Answered {
    pub(super) status: i64,
    pub(super) headers: HeaderMap,
    pub(super) body: Value,
}

impl Answered {
    pub(super) fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }
}

/// The event of this name in `events/`.
pub(super) fn event(name: &str) -> Value {
    let path = format!("{}/../../events/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_str(&text).unwrap()
}

/// A call without a body, by an admin.
pub(super) fn get(path: &str) -> Value {
    request("GET", path)
}

pub(super) fn request(method: &str, path: &str) -> Value {
    let mut event = event("api-get-status");
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    event["rawPath"] = json!(path);
    event["rawQueryString"] = json!(query);
    event["requestContext"]["http"]["method"] = json!(method);
    event
}

pub(super) fn with_role(mut event: Value, role: &str) -> Value {
    event["requestContext"]["authorizer"]["jwt"]["claims"]["role"] = json!(role);
    event
}

pub(super) fn with_body(mut event: Value, content_type: &str, body: &str) -> Value {
    event["headers"]["content-type"] = json!(content_type);
    event["body"] = json!(body);
    event
}

/// Valid settings, with addresses without a listener.
pub(super) const AWAY: [(&str, &str); 2] = [
    (
        "MONGODB_URI",
        "mongodb://ada:hunter2@127.0.0.1:9/x?serverSelectionTimeoutMS=100",
    ),
    ("BACKUP_STORE", "s3://backups"),
];

pub(super) fn function(variables: &[(&str, &str)], clients: Clients) -> Arc<Function> {
    let variables = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    Arc::new(Function::new(variables, clients))
}

/// A function with nothing behind it.
pub(super) fn alone(variables: &[(&str, &str)]) -> Arc<Function> {
    function(
        variables,
        Clients::new(holdfast_testing::aws_config_at("http://127.0.0.1:9")),
    )
}

/// Calls, and compares the answer with the contract.
pub(super) async fn call(function: &Arc<Function>, event: &Value) -> Answered {
    let deadline = Timestamp::now() + std::time::Duration::from_secs(29);
    let router = holdfast_api::router(Arc::new(FunctionHost(Arc::clone(function))));
    let answer = gateway::answer(router, event, deadline).await.unwrap();
    let body = match answer.body {
        Some(Body::Text(text)) => serde_json::from_str(&text).unwrap(),
        _ => Value::Null,
    };
    assert!(
        !body.to_string().contains("hunter2"),
        "a secret is in {body}"
    );
    let answered = Answered {
        status: answer.status_code,
        headers: answer.headers,
        body,
    };
    conformance::check(event, &answered);
    answered
}
