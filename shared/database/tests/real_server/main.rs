//! Dumps and restores on a real server.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod connect;
mod dump;
mod golden;
mod restore;
mod resume;
mod support;
