//! Content backups on the real parts: a MongoDB server, S3, an IPFS gateway, a Gaia origin; and on an origin that
//! misbehaves. What must hold when all goes well, and when it does not.
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
mod verified;
