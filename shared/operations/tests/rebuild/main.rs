//! A catalogue that was lost, brought back from the bucket alone: what comes back is what was there, what stands is not
//! touched, what cannot be believed is told.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod believed;
mod brought_back;
mod damaged;
#[expect(dead_code, reason = "it serves the tests of content backups too")]
#[path = "../content/finished.rs"]
mod finished;
#[expect(dead_code, reason = "it serves the tests of content backups too")]
#[path = "../content/fixture.rs"]
mod fixture;
mod killed;
mod lost;
mod readers;
mod stands;
mod synthetic;
