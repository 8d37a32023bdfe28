//! What a target holds, compared with what it must hold: documents, their order, options, indexes, definitions. Each
//! difference says what differs.

mod content;
mod structure;

pub(super) use self::{
    content::{Wanted, content_difference, found_in, manifest_difference},
    structure::{index_differences, option_differences},
};
