//! HTTP: `/api/backups/*`.

fn main() {}
