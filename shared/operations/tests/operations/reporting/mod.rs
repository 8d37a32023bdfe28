//! Holdfast's own figures: statistics, measurements of the sweep, and the export of all metadata.

mod export;
mod fixture;
mod growth;
mod statistics;
