//! The body of a call: empty, or one JSON object with known fields.

use axum::{
    body::{self, Body},
    extract::{FromRequest, Request},
    http::{HeaderMap, header},
};
use holdfast_domain::VerificationLevel;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::shown;
use crate::{
    answer::Failure,
    json::{self, JsonFault},
};

/// Maximum size of a body.
const MAX_BODY_BYTES: usize = 16 * 1024;

/// A validated body. An empty one has the default of each field.
#[derive(Debug)]
pub(crate) struct JsonBody<T>(pub(crate) T);

/// The fields of a body. Each has a default.
pub(crate) trait Fields: DeserializeOwned + Default {
    /// The name of each field, and its expected value.
    const FIELDS: &'static [(&'static str, &'static str)];
}

/// A body without fields.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(description = "An object without fields.", max_properties = 0)]
pub(crate) struct NoFields {}

impl Fields for NoFields {
    const FIELDS: &'static [(&'static str, &'static str)] = &[];
}

/// The body of a cleanup request: empty, or a JSON object with `dryRun`.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct CleanupRequest {
    /// Whether to return only the plan. Default `false`.
    pub(crate) dry_run: bool,
}

impl Fields for CleanupRequest {
    const FIELDS: &'static [(&'static str, &'static str)] = &[("dryRun", "true or false")];
}

/// The body of a verification request: empty, or a JSON object with `level`.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VerifyRequest {
    /// Level of verification. Default `checksum`. `drill` is only for database backups.
    #[serde(default)]
    level: Option<VerificationLevel>,
}

impl VerifyRequest {
    /// The level, or its default.
    pub(crate) fn level(&self) -> VerificationLevel {
        self.level.unwrap_or(VerificationLevel::Checksum)
    }
}

impl Fields for VerifyRequest {
    const FIELDS: &'static [(&'static str, &'static str)] =
        &[("level", "exists, checksum, structure or drill")];
}

impl<S: Send + Sync, T: Fields> FromRequest<S> for JsonBody<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Failure> {
        let (parts, body) = request.into_parts();
        match json(&parts.headers, body).await? {
            None | Some(Value::Null) => Ok(Self(T::default())),
            Some(Value::Object(fields)) => read(fields).map(Self),
            Some(_) => Err(Failure::invalid("body", "expected a JSON object")),
        }
    }
}

/// Reads each field alone first, so that the failure names the field.
fn read<T: Fields>(fields: Map<String, Value>) -> Result<T, Failure> {
    for (name, value) in &fields {
        let Some((_, expected)) = T::FIELDS.iter().find(|(known, _)| known == name) else {
            return Err(Failure::invalid(&shown(name), "unknown field"));
        };
        let alone = Map::from_iter([(name.clone(), value.clone())]);
        if serde_json::from_value::<T>(Value::Object(alone)).is_err() {
            return Err(Failure::invalid(name, format!("expected {expected}")));
        }
    }
    serde_json::from_value(Value::Object(fields)).map_err(|error| Failure::invalid("body", error))
}

/// The body as JSON, or `None` if it is empty.
async fn json(headers: &HeaderMap, body: Body) -> Result<Option<Value>, Failure> {
    let bytes = body::to_bytes(body, MAX_BODY_BYTES)
        .await
        .map_err(|_| Failure::too_large(MAX_BODY_BYTES))?;
    if bytes.is_empty() {
        return Ok(None);
    }
    if !is_json(headers) {
        return Err(Failure::wrong_media_type());
    }
    json::parse(&bytes).map(Some).map_err(|fault| match fault {
        JsonFault::Repeated(name) => Failure::invalid(&shown(&name), "given more than once"),
        JsonFault::Malformed(error) => Failure::invalid("body", format!("not JSON: {error}")),
    })
}

fn is_json(headers: &HeaderMap) -> bool {
    let given = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    async fn body<T: Fields>(text: &str) -> Result<T, String> {
        let request = Request::builder()
            .header("content-type", "application/json")
            .body(Body::from(text.to_owned()))
            .unwrap();
        let read = JsonBody::<T>::from_request(request, &()).await;
        read.map(|body| body.0)
            .map_err(|failure| failure.outer().to_owned())
    }

    #[tokio::test]
    async fn an_empty_body_has_the_defaults() {
        for empty in ["", "null", "{}"] {
            assert!(!body::<CleanupRequest>(empty).await.unwrap().dry_run);
            let level = body::<VerifyRequest>(empty).await.unwrap().level();
            assert_eq!(level, VerificationLevel::Checksum);
            assert!(body::<NoFields>(empty).await.is_ok());
        }
    }

    #[tokio::test]
    async fn a_wrong_field_is_named_with_its_expected_value() {
        for wrong in [json!("yes"), json!(1), json!(null)] {
            let text = json!({ "dryRun": wrong }).to_string();
            let error = body::<CleanupRequest>(&text).await.unwrap_err();
            assert_eq!(error, "dryRun: expected true or false");
        }
        let error = body::<VerifyRequest>(r#"{"level":"deep"}"#)
            .await
            .unwrap_err();
        assert_eq!(
            error,
            "level: expected exists, checksum, structure or drill"
        );
        for (text, expected) in [
            (r#"{"dryrun":true}"#, "dryrun: unknown field"),
            (
                r#"{"dryRun":true,"dryRun":false}"#,
                "dryRun: given more than once",
            ),
            ("[]", "body: expected a JSON object"),
        ] {
            assert_eq!(body::<CleanupRequest>(text).await.unwrap_err(), expected);
        }
        let error = body::<NoFields>(r#"{"dryRun":true}"#).await.unwrap_err();
        assert_eq!(error, "dryRun: unknown field");
    }
}
