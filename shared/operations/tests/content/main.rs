//! Content backups with the real parts: a MongoDB server, S3, an IPFS gateway and a Gaia origin.
//! Also with a faulty origin.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod discovery;
mod down;
mod downloads;
mod fairness;
mod finalize;
mod finalize_killed;
mod finished;
mod fixture;
mod forms;
mod full;
mod guide;
mod here;
mod killed;
mod misbehaving;
mod odd_items;
mod outages;
mod restored;
mod resumed;
mod sweeping;
mod switched;
mod verified;
