//! Fetching, against real gateways and origins on their good and on their bad days.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod gaia;
mod gateways;
mod redirects;
mod support;
