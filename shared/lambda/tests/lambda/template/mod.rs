//! `template.yaml` against the code and the documents: its alarms and its dashboard.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod alarms;
mod dashboard;
mod metrics;
mod page;
mod parsed;
