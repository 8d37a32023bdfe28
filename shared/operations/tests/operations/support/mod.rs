//! Fixtures of these tests: repositories, catalogues and platforms, and backups in them.

pub(crate) mod content;
pub(crate) mod database;
pub(crate) mod long_lists;
pub(crate) mod simulation;
