//! Files of IPFS and Gaia: their blocks and records, and their fetches from real gateways and origins.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod ipfs;
mod network;
