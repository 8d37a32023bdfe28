//! `holdfast`: backups from an operator's machine.

fn main() {}
