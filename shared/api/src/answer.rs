//! The shape of every answer: `{"success": true, "data": …}` or `{"success": false, "error": "…",
//! "code": "…"}`.
//!
//! A failure has an outer text for the caller. It may have an inner text for the log only.

use std::fmt::Display;

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use holdfast_catalog::CatalogError;
use holdfast_domain::BackupId;
use holdfast_operations::OperationError;
use holdfast_repository::RepositoryError;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use utoipa::ToSchema;

/// The answer to a successful call.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Answer<T> {
    /// Always `true`.
    #[schema(value_type = bool)]
    success: True,
    /// The result.
    data: T,
}

/// The constant `true`.
#[derive(Debug)]
struct True;

impl Serialize for True {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bool(true)
    }
}

impl<T> Answer<T> {
    pub(crate) const fn new(data: T) -> Self {
        Self {
            success: True,
            data,
        }
    }
}

impl<T: Serialize> IntoResponse for Answer<T> {
    fn into_response(self) -> Response {
        Json(self).into_response()
    }
}

/// A failed call.
#[derive(Debug)]
pub(crate) struct Failure {
    status: StatusCode,
    code: &'static str,
    /// The text in the answer.
    outer: String,
    /// Machine-readable details: the invalid field or the running backup.
    data: Option<Value>,
}

impl Failure {
    fn new(status: StatusCode, code: &'static str, outer: impl Into<String>) -> Self {
        Self {
            status,
            code,
            outer: outer.into(),
            data: None,
        }
    }

    fn with(mut self, data: Value) -> Self {
        self.data = Some(data);
        self
    }

    /// Logs the inner text, which is not sent.
    fn because(self, inner: &dyn Display) -> Self {
        tracing::error!(error = %inner, code = self.code, "a call of the API failed");
        self
    }

    /// An invalid value.
    pub(crate) fn invalid(field: &str, problem: impl Display) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "INVALID_REQUEST",
            format!("{field}: {problem}"),
        )
        .with(json!({ "field": field }))
    }

    pub(crate) fn unauthorized() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "UNAUTHORIZED",
            "the call has no verified token",
        )
    }

    pub(crate) fn forbidden(why: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "FORBIDDEN", why)
    }

    pub(crate) fn unknown_path() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "NOT_FOUND",
            "unknown path: GET /api/backups/openapi.json lists all calls",
        )
    }

    pub(crate) fn wrong_method() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "METHOD_NOT_ALLOWED",
            "method not allowed",
        )
    }

    pub(crate) fn too_large(limit_bytes: usize) -> Self {
        let outer = format!("the body is larger than {limit_bytes} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "PAYLOAD_TOO_LARGE", outer)
    }

    /// An answer above Lambda's size limit.
    pub(crate) fn answer_too_large(bytes: usize, limit_bytes: usize) -> Self {
        let outer = format!(
            "the answer has {bytes} bytes, and {limit_bytes} are allowed: request a smaller page by `limit`, or use \
             the command line"
        );
        Self::new(StatusCode::BAD_REQUEST, "ANSWER_TOO_LARGE", outer)
    }

    pub(crate) fn wrong_media_type() -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "UNSUPPORTED_MEDIA_TYPE",
            "the content type of the body must be application/json",
        )
    }

    /// A verification that could not be dispatched.
    pub(crate) fn verification_not_handed_over(inner: &dyn Display) -> Self {
        let outer = "the verification could not be started: try again";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "HANDOVER_FAILED", outer).because(inner)
    }

    /// The limit of running verifications is reached.
    pub(crate) fn too_many_verifications(running: &[BackupId]) -> Self {
        let outer = format!(
            "{} verifications are running or requested, the maximum that BACKUP_MAX_CONCURRENT allows: try again later",
            running.len()
        );
        Self::new(StatusCode::CONFLICT, "CONCURRENCY_LIMIT", outer)
            .with(json!({ "running": running }))
    }

    pub(crate) fn misconfigured() -> Self {
        let outer = "the settings are wrong: GET /api/backups/config lists every fault";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "CONFIG_INVALID", outer)
    }

    pub(crate) fn not_handed_over(inner: &dyn Display) -> Self {
        let outer = "the backup could not be started: try again";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "HANDOVER_FAILED", outer).because(inner)
    }

    pub(crate) fn cleanup_not_handed_over(inner: &dyn Display) -> Self {
        let outer =
            "the run of retention could not be started: try again, or wait for its schedule";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "HANDOVER_FAILED", outer).because(inner)
    }

    pub(crate) fn timeout() -> Self {
        let outer = "the call exceeded the time limit of the function: try again";
        Self::new(StatusCode::GATEWAY_TIMEOUT, "TIMEOUT", outer)
            .because(&"the function's time ran out")
    }

    pub(crate) fn internal(inner: &dyn Display) -> Self {
        let outer = "internal failure: the function's log contains the cause";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", outer).because(inner)
    }

    fn catalog(error: &CatalogError) -> Self {
        match error {
            CatalogError::NotFound { id } => Self::new(
                StatusCode::NOT_FOUND,
                "NOT_FOUND",
                format!("there is no backup {id}"),
            ),
            CatalogError::Unavailable { .. } | CatalogError::Denied { .. } => {
                let outer = "the catalogue in MongoDB cannot be reached: the function's log contains the cause";
                Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "CATALOG_UNAVAILABLE",
                    outer,
                )
                .because(error)
            }
            _ => Self::internal(error),
        }
    }

    #[cfg(test)]
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }
}

impl From<RepositoryError> for Failure {
    fn from(error: RepositoryError) -> Self {
        OperationError::from(error).into()
    }
}

impl From<OperationError> for Failure {
    fn from(error: OperationError) -> Self {
        match &error {
            OperationError::AlreadyRunning { backup_id }
            | OperationError::AlreadyVerifying(backup_id) => {
                Self::new(StatusCode::CONFLICT, "ALREADY_RUNNING", error.to_string())
                    .with(json!({ "backupId": backup_id }))
            }
            OperationError::Collecting => {
                Self::new(StatusCode::CONFLICT, "ALREADY_RUNNING", error.to_string())
            }
            OperationError::ConcurrencyLimit { running } => {
                Self::new(StatusCode::CONFLICT, "CONCURRENCY_LIMIT", error.to_string())
                    .with(json!({ "running": running }))
            }
            OperationError::NotCancellable { .. } => {
                Self::new(StatusCode::CONFLICT, "NOT_CANCELLABLE", error.to_string())
            }
            OperationError::NotVerifiable { .. } => {
                Self::new(StatusCode::CONFLICT, "NOT_COMPLETED", error.to_string())
            }
            OperationError::Drill { .. } => {
                let outer = "restore drills need a separate server: set BACKUP_DRILL_URI";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "DISABLED", outer)
            }
            OperationError::Disabled(_) => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "DISABLED",
                error.to_string(),
            ),
            OperationError::NotFound(_) => {
                Self::new(StatusCode::NOT_FOUND, "NOT_FOUND", error.to_string())
            }
            OperationError::Config(_) => Self::misconfigured().because(&error),
            OperationError::Catalog(inner) => Self::catalog(inner),
            OperationError::Store(_) => {
                let outer = "the store cannot be reached: the function's log contains the cause";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "STORE_UNAVAILABLE", outer)
                    .because(&error)
            }
            _ => Self::internal(&error),
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut body = json!({ "success": false, "error": self.outer, "code": self.code });
        if let Some(data) = self.data {
            body["data"] = data;
        }
        (self.status, Json(body)).into_response()
    }
}

/// The headers of every response: no caching, and no script in a browser.
pub(crate) async fn with_headers(mut response: Response) -> Response {
    const HEADERS: [(header::HeaderName, &str); 5] = [
        (header::CACHE_CONTROL, "no-store"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; frame-ancestors 'none'",
        ),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::STRICT_TRANSPORT_SECURITY, "max-age=31536000"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    for (name, value) in HEADERS {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}
