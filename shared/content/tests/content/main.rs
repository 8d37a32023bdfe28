//! Files of IPFS and Gaia: their blocks and records, and fetches from real gateways and origins.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod ipfs;
#[cfg(target_os = "linux")]
mod memory;
mod network;
