//! The end of a content backup: list, archive, manifest. Also settles the items of undelivered
//! messages.

mod handler;

use lambda_runtime::Error;

/// Starts the function, and serves its invocations until the process ends.
///
/// # Errors
/// The runtime API of Lambda is unreachable.
pub async fn run() -> Result<(), Error> {
    holdfast_lambda::run_worker(handler::handle).await
}
