//! Artifacts of real size, by this crate and by `openssl`.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod artifact;
mod openssl;
