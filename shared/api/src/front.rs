//! One request in, one response out, in time. Every response has the JSON shape.

use std::{panic::AssertUnwindSafe, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::Request,
    response::{IntoResponse, Response},
};
use futures_util::FutureExt;
use tower::ServiceExt;

use crate::{
    answer::{Failure, with_headers},
    fit::MAX_ANSWER_BYTES,
};

/// Answers one call within `time_left`. A panic and a timeout are failures in the JSON shape.
pub async fn respond(router: Router, request: Request<Body>, time_left: Duration) -> Response {
    let call = AssertUnwindSafe(router.oneshot(request)).catch_unwind();
    match tokio::time::timeout(time_left, call).await {
        Ok(Ok(response)) => response.into_response(),
        Ok(Err(_)) => Failure::internal(&"a call panicked").into_response(),
        Err(_) => Failure::timeout().into_response(),
    }
}

/// The response that replaces one above [`MAX_ANSWER_BYTES`].
pub async fn refuse_size(size_bytes: usize) -> Response {
    let failure = Failure::answer_too_large(size_bytes, MAX_ANSWER_BYTES);
    with_headers(failure.into_response()).await
}
