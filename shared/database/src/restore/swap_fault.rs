//! A failed replacement, and the drop of a target before it.

use super::{scratch::drop_collection, target::Target};
use crate::DatabaseError;

/// The state of a target after a failed replacement.
#[derive(Debug)]
pub(super) enum SwapFault {
    /// The target is unchanged.
    Kept(String),
    /// The target is missing or incomplete.
    Incomplete(String),
    /// The target is missing or incomplete. The scratch collection has the only complete copy, and
    /// must stay.
    Lost(String),
}

impl SwapFault {
    pub(super) fn into_text(self) -> String {
        match self {
            Self::Kept(text) | Self::Incomplete(text) | Self::Lost(text) => text,
        }
    }

    /// The fault of a target without a scratch collection.
    pub(super) fn without_copy(self) -> Self {
        match self {
            Self::Lost(text) => Self::Incomplete(text),
            other => other,
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is handed to map_err")]
pub(super) fn kept(error: DatabaseError) -> SwapFault {
    SwapFault::Kept(error.to_string())
}

/// Drops a target impossible to replace by a rename.
pub(super) async fn drop_existing(target: &Target) -> Result<(), SwapFault> {
    let Err(error) = drop_collection(&target.database, &target.collection).await else {
        return Ok(());
    };
    if !error.is_transient() {
        return Err(kept(error));
    }
    // The answer can be lost after the drop.
    match target.lister().collection(&target.collection).await {
        Ok(Some(_)) => Err(kept(error)),
        Ok(None) => Ok(()),
        Err(_) => Err(SwapFault::Lost(format!(
            "{error}. The target may be dropped"
        ))),
    }
}
