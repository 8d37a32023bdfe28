//! The base of the scenarios: a deployed stack, its databases, its API, the operator's command
//! line.

mod api;
mod aws;
mod content;
mod database;
mod guide;
mod inbox;
mod mongodump;
mod operator;
mod process;
mod secrecy;
mod variant;

use std::{future::Future, time::Duration};

pub(crate) use api::{Answer, Api, Caller};
pub(crate) use aws::{Aws, Invocation, element, elements};
pub(crate) use content::{Piece, files, noise, small_file, small_pieces};
pub(crate) use database::{Server, collections_of, fill_from_golden, fill_with_noise};
pub(crate) use guide::follow;
pub(crate) use holdfast_testing::event;
pub(crate) use inbox::Inbox;
pub(crate) use mongodump::Mongodump;
pub(crate) use process::Process;
pub(crate) use secrecy::Secrets;
pub(crate) use variant::{Deployment, FUNCTIONS, Variant, restored_items};

/// Time limits of a slow machine are longer by this factor.
const SLOWNESS: u32 = 4;

/// Repeats a request until there is a result.
#[track_caller]
pub(crate) fn until<T, F: Future<Output = Option<T>>>(
    what: &str,
    patience: Duration,
    ask: impl Fn() -> F,
) -> impl Future<Output = T> {
    let place = std::panic::Location::caller();
    async move {
        let asking = async {
            loop {
                if let Some(answer) = ask().await {
                    return answer;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let answer = tokio::time::timeout(patience * SLOWNESS, asking).await;
        answer.unwrap_or_else(|_| panic!("{place}: {what} did not come about in {patience:?}"))
    }
}
