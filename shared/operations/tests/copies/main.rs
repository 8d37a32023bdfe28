//! The second copy: a separate repository, consistent after every fault. Damage in the first store
//! is never sent, and damage in the second is named and repaired. Retention deletes in both.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

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
