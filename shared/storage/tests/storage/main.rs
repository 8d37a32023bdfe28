//! The stores on real servers and disks: one conformance suite, and the faults of each kind.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod azure;
mod conformance;
mod copies_inside_s3;
mod directory;
mod faults_on_the_wire;
mod interoperable;
mod links;
mod locks;
mod replica_faults;
mod s3;
mod uploads;
