//! Retention with a catalogue on the real server, over a store in memory with its own clock, and on
//! the real S3. It tests the deleted and the kept objects, their order, and the laws after any
//! history with killed runs.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod collection;
mod deletion;
mod histories;
mod late_manifests;
mod late_parents;
mod losses;
mod lost;
mod random;
mod readers;
mod real;
mod rebuilding;
mod scale;
mod truth;
mod unconfirmed;
mod world;
mod wrong_store;
