//! Whatever is broken in a backup, verification names it; and what is not broken passes. Restore drills, verification in
//! steps and by the clock are tried here too.
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
