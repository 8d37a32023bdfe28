//! The fixtures have exactly the requested behaviour.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod ipfs_node;
mod origin;
