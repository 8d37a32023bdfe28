//! From API Gateway's event to a request, and from the response back. Every result of a call has
//! the JSON shape.
//!
//! Only the content type of the headers and the legal characters of the path are copied, so no
//! converter rejects the event. The claims come only from the authorizer's part of the event.

use std::time::Duration;

use axum::{Router, body};
use holdfast_api::{Claims, MAX_ANSWER_BYTES, escaped_bytes, refuse_size, respond};
use holdfast_domain::Timestamp;
use lambda_http::{Body, Error, Request, aws_lambda_events::apigw::ApiGatewayV2httpResponse, http};
use serde_json::{Map, Value, json};

/// Reserved at the end of the function's time, so that the caller still gets a response.
const MARGIN: Duration = Duration::from_secs(1);

/// Answers one call.
pub(crate) async fn answer(
    router: Router,
    event: &Value,
    deadline: Timestamp,
) -> Result<ApiGatewayV2httpResponse, Error> {
    let request = request(event)
        .inspect_err(|error| tracing::error!(%error, "the event is not for this function"))?;
    let left = Duration::try_from(deadline.duration_since(Timestamp::now())).unwrap_or_default();
    let request = request.map(body::Body::new);
    to_gateway(respond(router, request, left.saturating_sub(MARGIN)).await).await
}

async fn to_gateway(
    response: http::Response<body::Body>,
) -> Result<ApiGatewayV2httpResponse, Error> {
    let (mut parts, body) = response.into_parts();
    let mut body = body::to_bytes(body, usize::MAX).await?;
    let size_bytes = escaped_bytes(&body);
    if size_bytes > MAX_ANSWER_BYTES {
        tracing::error!(size_bytes, "a response exceeds Lambda's size limit");
        let (failed, failure) = refuse_size(size_bytes).await.into_parts();
        (parts, body) = (failed, body::to_bytes(failure, usize::MAX).await?);
    }
    let mut answer = ApiGatewayV2httpResponse::default();
    answer.status_code = parts.status.as_u16().into();
    answer.headers = parts.headers;
    answer.body =
        (!body.is_empty()).then(|| Body::Text(String::from_utf8_lossy(&body).into_owned()));
    Ok(answer)
}

fn request(event: &Value) -> Result<Request, Error> {
    let mut request = lambda_http::request::from_str(&plain(event)?.to_string())?;
    request.extensions_mut().insert(claims(event));
    Ok(request)
}

/// The claims that API Gateway's authorizer verified.
fn claims(event: &Value) -> Claims {
    let claims = event.pointer("/requestContext/authorizer/jwt/claims");
    Claims::new(claims.and_then(Value::as_object).cloned())
}

/// The event, reduced to the parts that the calls need.
fn plain(event: &Value) -> Result<Value, Error> {
    let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str);
    let method = text("/requestContext/http/method")
        .ok_or("not an event of an HTTP API, payload version 2.0")?;
    let stage = text("/requestContext/stage").unwrap_or("$default");
    let path = without_stage(text("/rawPath").unwrap_or("/"), stage);
    let mut headers = Map::new();
    if let Some(content_type) = content_type(event) {
        headers.insert("content-type".to_owned(), json!(content_type));
    }
    Ok(json!({
        "version": "2.0",
        "rawPath": encoded(path, b"-._~!$&'()*+,;=:@/"),
        "rawQueryString": encoded(text("/rawQueryString").unwrap_or(""), b"-._~!$&'()*+,;=:@/?"),
        "headers": headers,
        "requestContext": { "stage": "$default", "http": { "method": method, "path": "/" } },
        "body": event.get("body").and_then(Value::as_str),
        "isBase64Encoded": event.get("isBase64Encoded").and_then(Value::as_bool).unwrap_or(false),
    }))
}

/// The content type, if it is valid.
fn content_type(event: &Value) -> Option<&str> {
    let headers = event.get("headers")?.as_object()?;
    let (_, value) = headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("content-type"))?;
    value.as_str().filter(|value| {
        value
            .bytes()
            .all(|byte| byte.is_ascii_graphic() || byte == b' ')
    })
}

/// A named stage precedes the path. The one called `$default` does not.
fn without_stage<'a>(path: &'a str, stage: &str) -> &'a str {
    let rest = path
        .strip_prefix('/')
        .and_then(|path| path.strip_prefix(stage));
    rest.filter(|rest| rest.is_empty() || rest.starts_with('/'))
        .unwrap_or(path)
}

/// API Gateway decodes a path before it passes it on. Characters that are illegal in a URI are
/// encoded again.
fn encoded(text: &str, kept: &[u8]) -> String {
    use std::fmt::Write;
    let bytes = text.as_bytes();
    let is_escape = |at: usize| {
        bytes
            .get(at + 1..at + 3)
            .is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit))
    };
    let mut out = String::with_capacity(text.len());
    for (at, &byte) in bytes.iter().enumerate() {
        if byte.is_ascii_alphanumeric() || kept.contains(&byte) || (byte == b'%' && is_escape(at)) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use axum::routing::get;

    use super::*;

    fn event(path: &str, query: &str) -> Value {
        json!({
            "rawPath": path, "rawQueryString": query,
            "headers": { "Content-Type": "application/json", "x": "\u{1}", "host": "???" },
            "requestContext": { "stage": "$default", "http": { "method": "GET", "path": path }, "authorizer": { "jwt": { "claims": { "n": 1 } } } },
        })
    }

    #[test]
    fn whatever_a_path_or_query_holds_becomes_a_request() {
        for (path, query, expected) in [
            (
                "/api/backups/jobs",
                "page=2&limit=5",
                "/api/backups/jobs?page=2&limit=5",
            ),
            (
                "/api/backups/jobs/a b?c#d",
                "",
                "/api/backups/jobs/a%20b%3Fc%23d",
            ),
            (
                "/a\n\u{0}é%25%zz",
                "q=é \"<>#&%41",
                "/a%0A%00%C3%A9%25%25zz?q=%C3%A9%20%22%3C%3E%23&%41",
            ),
            ("/", "", "/"),
        ] {
            let request = request(&event(path, query)).unwrap();
            assert_eq!(request.uri().to_string(), expected);
            assert_eq!(request.headers().len(), 1);
        }
    }

    #[test]
    fn only_the_authorizers_claims_count() {
        let none = Claims::new(None);
        for event in [
            json!({}),
            json!({ "headers": { "authorization": "Bearer x", "role": "admin" }, "claims": { "role": "admin" } }),
            json!({ "requestContext": { "authorizer": { "lambda": { "role": "admin" } } } }),
        ] {
            assert_eq!(claims(&event), none);
        }
        assert_ne!(claims(&event("/", "")), none);
    }

    #[test]
    fn a_named_stage_is_not_part_of_the_path() {
        assert_eq!(
            without_stage("/prod/api/backups/status", "prod"),
            "/api/backups/status"
        );
        assert_eq!(without_stage("/production/x", "prod"), "/production/x");
        assert_eq!(without_stage("/api/backups", "$default"), "/api/backups");
        assert_eq!(without_stage("/prod", "prod"), "");
    }

    async fn panics() {
        panic!("as this test wants");
    }

    #[tokio::test]
    async fn a_call_that_panics_or_takes_too_long_still_has_the_json_shape() {
        let panicking = Router::new().route("/", get(panics));
        let failed = answer(panicking, &event("/", ""), Timestamp::now() + MARGIN * 9)
            .await
            .unwrap();
        assert_eq!(failed.status_code, 500);
        let Some(Body::Text(text)) = failed.body else {
            panic!("no text: {:?}", failed.body)
        };
        assert!(
            text.contains("\"INTERNAL\"") && !text.contains("as this test wants"),
            "{text}"
        );
        let hanging = Router::new().route("/", get(std::future::pending::<()>));
        let late = answer(hanging, &event("/", ""), Timestamp::now() + MARGIN)
            .await
            .unwrap();
        assert_eq!(late.status_code, 504);
    }

    #[tokio::test]
    async fn an_answer_that_lambda_would_not_pass_on_is_a_failure_that_says_so() {
        let of = |quotes: usize| {
            let text = "\"".repeat(quotes);
            Router::new().route("/", get(async move || text))
        };
        let deadline = || Timestamp::now() + MARGIN * 9;
        let whole = answer(of(MAX_ANSWER_BYTES / 2), &event("/", ""), deadline())
            .await
            .unwrap();
        assert_eq!(whole.status_code, 200);
        let refused = answer(of(MAX_ANSWER_BYTES / 2 + 1), &event("/", ""), deadline())
            .await
            .unwrap();
        assert_eq!(refused.status_code, 400);
        assert!(refused.headers.contains_key("cache-control"));
        let Some(Body::Text(text)) = refused.body else {
            panic!("no text: {:?}", refused.body)
        };
        assert!(
            text.contains("ANSWER_TOO_LARGE") && text.contains("limit"),
            "{text}"
        );
    }

    #[test]
    fn what_is_no_call_is_an_error() {
        assert!(request(&json!({ "source": "aws.events" })).is_err());
    }
}
