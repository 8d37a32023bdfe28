//! The format as its users see it: the real tool's archives, the laws, and every fault by its name.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod faults;
mod goldens;
mod laws;
mod prelude_faults;
mod support;
