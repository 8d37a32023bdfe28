//! The use cases with the real parts: a MongoDB server, S3, an IPFS gateway and a Gaia origin, with
//! and without faults. Each test has its own database and its own prefix in the store.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod backup;
mod content;
mod corruption;
mod rebuild;
mod replica;
mod reporting;
mod retention;
mod support;
