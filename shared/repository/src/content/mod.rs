//! The stored form of a content backup: its list of items, its objects, its archive.

pub mod item_list;
pub mod proof;
mod prove;
pub mod read;
pub mod stored;
mod stored_reader;
