//! `template.yaml` against the code and the documents: its alarms and its dashboard.

mod alarms;
mod dashboard;
mod metrics;
mod page;
mod parsed;
