//! The router of all calls, and the checks before each call: permission, and valid settings.

use std::sync::Arc;

use axum::{
    Extension, Router,
    extract::{Request, State},
    middleware::{self, Next},
    response::Response,
    routing::{get, post},
};

use crate::{
    access::{Access, Claims},
    answer::{Failure, with_headers},
    calls::{
        cancel, cleanup, config, export, jobs, list, namespaces,
        openapi::{self, Document},
        status, triggers, verify,
    },
    contract,
    host::Host,
};

/// Prefix of every path.
const BASE: &str = "/api/backups";
/// The call that responds even with wrong settings.
const CONFIG: &str = "/api/backups/config";

/// All calls.
pub fn router(host: Arc<dyn Host>) -> Router {
    let calls = Router::new()
        .route("/status", get(status::status))
        .route("/database", post(triggers::database))
        .route("/content", post(triggers::content))
        .route("/full", post(triggers::full))
        .route("/cleanup", post(cleanup::clean_up))
        .route("/export", post(export::export))
        .route("/jobs", get(jobs::list))
        .route("/jobs/{backupId}", get(jobs::show))
        .route("/jobs/{backupId}/cancel", post(cancel::cancel))
        .route("/jobs/{backupId}/namespaces", get(namespaces::list))
        .route("/jobs/{backupId}/verify", post(verify::verify))
        .route("/list", get(list::list))
        .route("/config", get(config::config))
        .route("/openapi.json", get(openapi::openapi))
        .layer(Extension(Document(contract::document)));
    Router::new()
        .nest(BASE, calls)
        .fallback(async || Failure::unknown_path())
        .method_not_allowed_fallback(async || Failure::wrong_method())
        .layer(middleware::from_fn_with_state(Arc::clone(&host), guard))
        .layer(middleware::map_response(with_headers))
        .with_state(host)
}

async fn guard(
    State(host): State<Arc<dyn Host>>,
    mut request: Request,
    next: Next,
) -> Result<Response, Failure> {
    let reading = host.reading().await;
    let caller =
        Access::of(&reading).check(request.extensions().get::<Claims>(), request.method())?;
    if reading.settings.is_err() && request.uri().path() != CONFIG {
        return Err(Failure::misconfigured());
    }
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}
