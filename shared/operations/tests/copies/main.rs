//! The second copy: a repository of its own, whatever happens on the way; what is wrong in the first store is never sent,
//! what is wrong in the second is named and mended; and retention deletes there too.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod bad_days;
mod content;
mod copied;
mod due;
mod files;
#[expect(dead_code, reason = "it serves the tests of content backups too")]
#[path = "../content/finished.rs"]
mod finished;
#[expect(dead_code, reason = "it serves the tests of content backups too")]
#[path = "../content/fixture.rs"]
mod fixture;
mod forms;
mod lost;
mod outages;
#[expect(dead_code, reason = "it serves the tests of database backups too")]
#[path = "../backup/fixture.rs"]
mod platform;
mod providers;
mod readers;
mod repaired;
mod resumed;
mod retained;
mod second;
#[expect(dead_code, reason = "it serves the tests of retention too")]
#[path = "../retention/world.rs"]
mod world;
