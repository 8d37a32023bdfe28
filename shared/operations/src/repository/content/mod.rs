//! The stored form of a content backup: its list of items, its objects, its archive.

pub(crate) mod item_list;
pub(crate) mod proof;
pub(crate) mod read;
pub(crate) mod stored;
