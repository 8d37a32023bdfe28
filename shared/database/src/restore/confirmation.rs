//! The last check by the caller of a restore, before a target is dropped or replaced.

use std::{fmt, sync::Arc};

use futures_util::future::BoxFuture;

type Confirm = dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync;

/// Called before a target with data is dropped or replaced. An error has the reason for keeping the
/// target.
#[derive(Clone)]
pub struct Confirmation(Arc<Confirm>);

impl Confirmation {
    /// A check by this function.
    #[must_use]
    pub fn new(
        confirm: impl Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(confirm))
    }

    pub(super) async fn confirm(&self) -> Result<(), String> {
        (self.0)().await
    }
}

impl fmt::Debug for Confirmation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Confirmation")
    }
}
