//! The two kinds of backup.

pub(crate) mod content;
pub(crate) mod database;
