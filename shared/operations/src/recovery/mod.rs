//! Reading back: restore, decrypt, verify.

pub(crate) mod content;
pub(crate) mod content_items;
pub(crate) mod readers;
pub(crate) mod restore;
pub(crate) mod verification;
pub(crate) mod walk;
