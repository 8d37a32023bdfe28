//! Compares a target's content with the expected content: documents, their order, options, indexes,
//! definitions. Each difference is described.

mod content;
mod structure;

pub(super) use self::{
    content::{Wanted, content_difference, found_in, manifest_difference},
    structure::{index_differences, option_differences},
};
