//! One event, one database backup.

fn main() {}
