//! The catalogue on the real server: every rule of its rows, changes of state and leases, races among them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod connection;
mod harness;
mod jobs;
mod leases;
mod orphans;
mod races;
mod transitions;
mod verifications;
