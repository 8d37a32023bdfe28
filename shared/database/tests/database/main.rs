//! MongoDB: dumps and restores on a real server, and the official tool as a child process.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod mongodump;
mod real_server;
