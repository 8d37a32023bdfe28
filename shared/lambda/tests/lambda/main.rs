//! Events and queues on the local AWS, and `template.yaml` against the code and the documents.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod events;
mod queue;
mod rotation;
mod template;
