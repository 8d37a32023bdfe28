//! No code: the features of shared third-party crates, switched on in every development build.
//!
//! Cargo selects features per command. Without this crate, `cargo test -p` and `cargo xtask` build
//! many crates twice.
