//! Retention on a catalogue of the real server, over a store in memory with a clock of its own, and on the real S3: what
//! goes, what stays, in which order, and what holds after any history, with runs killed anywhere.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod collection;
mod deletion;
mod histories;
mod late_manifests;
mod losses;
mod lost;
mod random;
mod readers;
mod real;
mod scale;
mod truth;
mod unconfirmed;
mod world;
mod wrong_store;
