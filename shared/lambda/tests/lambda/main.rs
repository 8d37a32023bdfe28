//! Events and queues on the local AWS.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod events;
mod queue;
mod rotation;
