//! Verification of jobs: on request, in steps, and of due backups.

pub(crate) mod claim;
pub(crate) mod content_steps;
pub(crate) mod due;
pub(crate) mod job_row;
pub(crate) mod on_request;
pub(crate) mod record;
pub(crate) mod requested;
pub(crate) mod steps;
