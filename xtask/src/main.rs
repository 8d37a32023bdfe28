//! `cargo xtask demo | test | bench`: the local parts, and what runs on them.

fn main() {}
