//! Verification names every damage of a backup, and passes intact backups. Also restore drills,
//! verification in steps, and scheduled verifications.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod breaking;
mod catalogue;
mod content;
mod database;
mod drill;
mod due;
#[expect(dead_code, reason = "it serves the tests of content backups too")]
#[path = "../content/finished.rs"]
mod finished;
#[expect(dead_code, reason = "it serves the tests of content backups too")]
#[path = "../content/fixture.rs"]
mod fixture;
#[expect(dead_code, reason = "it serves the tests of database backups too")]
#[path = "../backup/fixture.rs"]
mod platform;
mod repository;
mod steps;
