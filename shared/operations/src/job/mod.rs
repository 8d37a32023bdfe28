//! The life of a job: claimed, leased, watched, committed, settled.

pub(crate) mod acquire;
pub(crate) mod artifact_upload;
pub(crate) mod cancel;
pub(crate) mod claim;
pub(crate) mod commit;
pub(crate) mod dead;
pub(crate) mod detail;
pub(crate) mod finish;
pub(crate) mod full;
pub(crate) mod heartbeat;
pub(crate) mod late;
pub(crate) mod late_parents;
pub(crate) mod lease;
pub(crate) mod lost_lease;
pub(crate) mod resume;
pub(crate) mod run;
pub(crate) mod trigger;
pub(crate) mod watch;
