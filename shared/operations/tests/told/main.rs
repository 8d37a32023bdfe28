//! Holdfast's own figures: statistics, measurements of the sweep, and the export of all metadata.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod export;
mod fixture;
mod measured;
mod statistics;
