//! The retention plan: the kept and the expired backups, computed from the existing backups, a
//! policy and the time. Pure: it deletes nothing.
//!
//! Laws, held by tests: a plan never leaves fewer than `minCount` good backups. The order of the
//! backups and repeated planning do not matter. A backup that is not good counts towards no rule.
//! Uncertainty keeps everything.

mod calendar;
mod plan;
mod policy;
mod reason;

pub use plan::{RetentionCandidate, RetentionDecision, RetentionVerdict, Standing, plan_retention};
pub use policy::{DEFAULT_MAX_COUNT, DEFAULT_MIN_COUNT, PolicyError, RetentionPolicy};
pub use reason::RetentionReason;

#[cfg(test)]
mod tests;
