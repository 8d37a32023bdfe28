//! The builder as `sam build` runs it: its program, its Makefiles, and a local server in place of
//! the vendor's site.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bench;
mod from_a_file;
mod from_the_vendor;
mod makefile;
mod programs;
mod refusals;
mod site;
