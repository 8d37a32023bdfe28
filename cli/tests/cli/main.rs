//! The real `holdfast` binary with the local parts: its output, its remains and its exit codes.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod anonymize;
mod archives;
mod attention;
mod backups;
mod closed_pipes;
mod content;
mod copies;
mod day_two;
mod directory;
mod directory_failures;
mod doctor;
mod drill;
mod encrypted;
mod exit_codes;
mod exit_table;
mod files;
mod full;
mod guide_block;
mod interrupts;
mod keys;
mod killed;
mod lost_manifests;
mod offline_keys;
mod place;
mod rebuilding;
mod recovery;
mod replaced;
mod reporting;
mod retention;
mod sources;
