//! Backups on the real parts: a MongoDB server, S3. What must hold when all goes well, and when it does not.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod changing;
mod clocks;
mod corruption;
mod engines;
mod exclusions;
mod failures;
mod fixture;
mod guide;
mod keys;
mod keys_offline;
mod killed;
mod late_manifests;
mod leases;
mod limits;
mod no_archives;
mod outages;
mod read;
mod repository;
mod round_trip;
mod warnings;
