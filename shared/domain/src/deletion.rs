//! The decision to remove the objects of a backup. A job that is `deleted` without a decision is
//! lost.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The reason for a deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum DeletionCause {
    /// The retention policy.
    Retention,
    /// An operator accepted the loss of the manifest.
    AcceptedLoss,
    /// An operator gave a lost backup up although its manifest was back: the backup was damaged.
    AcceptedDamage,
}

impl DeletionCause {
    /// The word used in the API and the catalogue.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Retention => "retention",
            Self::AcceptedLoss => "accepted-loss",
            Self::AcceptedDamage => "accepted-damage",
        }
    }
}

/// The decision to delete a backup. The job has it before any object is removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct JobDeletion {
    /// The reason.
    pub cause: DeletionCause,
    /// The time of the decision.
    pub decided_at: Timestamp,
    /// The operator, if an operator decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

impl JobDeletion {
    /// A deletion by the retention policy.
    #[must_use]
    pub const fn by_retention(decided_at: Timestamp) -> Self {
        Self {
            cause: DeletionCause::Retention,
            decided_at,
            by: None,
        }
    }
}
