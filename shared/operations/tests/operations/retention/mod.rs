//! Retention with a catalogue on the real server, over a store in memory with its own clock, and on
//! the real S3. It tests the deleted and the kept objects, their order, and the laws after any
//! history with killed runs.

mod collection;
mod deletion;
mod histories;
mod invariants;
mod late_manifests;
mod late_parents;
mod losses;
mod lost_manifests;
mod random;
mod readers;
mod real_backups;
mod rebuilding;
mod scale;
mod unconfirmed;
mod wrong_store;
