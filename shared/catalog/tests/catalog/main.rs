//! The catalogue on the real server: every rule of its rows, changes of state, items and leases,
//! including races.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod attempts;
mod clocks;
mod collecting;
mod connection;
mod copies;
mod harness;
mod item_races;
mod items;
mod jobs;
mod leases;
mod lost;
mod objects;
mod odd_items;
mod orphans;
mod pages;
mod parents;
mod policies;
mod races;
mod readers;
mod rebuilding;
mod standings;
mod statistics;
mod transitions;
mod unsuccessful;
mod verifications;
mod waits;
mod walks;
mod work;
