//! Settings, secrets and stores on the local AWS.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod replica;
mod secrets;
