//! Which backups are kept and which go: a plan made of what is there, a policy and the time. Pure: it deletes nothing.
//!
//! Laws, held by tests: never fewer than `minCount` good backups because of a plan; neither the order nor the number of
//! times that it is asked matters; what is not good counts towards no rule; where nothing is sure, nothing goes.

mod calendar;
mod plan;
mod policy;

pub use plan::{RetentionCandidate, RetentionDecision, RetentionReason, RetentionVerdict, Standing, plan_retention};
pub use policy::{DEFAULT_MAX_COUNT, DEFAULT_MIN_COUNT, PolicyError, RetentionPolicy};

#[cfg(test)]
mod tests;
