//! Backups with the real parts: a MongoDB server and S3, with and without faults.

mod changing;
mod clocks;
mod corruption;
mod engines;
mod exclusions;
mod failures;
mod first_key;
mod guide;
mod keys;
mod keys_offline;
mod killed;
mod late_manifests;
mod leases;
mod limits;
mod no_archives;
mod outages;
mod privileges;
mod readers;
mod repository;
mod round_trip;
mod warnings;
