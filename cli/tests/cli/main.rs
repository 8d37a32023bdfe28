//! The real `holdfast` binary against the local parts: what it prints, what it leaves behind, and how it exits.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod anonymize;
mod archives;
mod backups;
mod content;
mod copies;
mod doctor;
mod drill;
mod encrypted;
mod exit_codes;
mod files;
mod full;
mod guide_block;
mod here;
mod here_bad_days;
mod interrupts;
mod keys;
mod place;
mod rebuilding;
mod recovery;
mod retention;
mod told;
