//! A lost catalogue, rebuilt from the bucket alone. The rebuilt rows equal the lost ones, existing
//! rows stay unchanged, and unauthenticated data are reported.
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
