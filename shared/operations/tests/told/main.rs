//! What Holdfast tells of itself: statistics, what the sweep measures, and the export of all metadata.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod export;
mod fixture;
mod measured;
mod statistics;
