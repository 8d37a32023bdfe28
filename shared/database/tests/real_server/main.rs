//! Dumps and restores on a real server.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod anonymize;
mod changing;
mod connect;
mod definitions;
mod dump;
mod golden;
mod items;
mod restore;
mod resume;
mod support;
