//! The actions of rules on values.

use std::fmt;

use super::{
    fake::Fake,
    hash::hash,
    key::Key,
    mask::Mask,
    value::{Outcome, Value},
};

/// The action on the field at a rule's path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// Another value of the same type. Equal values stay equal.
    Hash,
    /// Covered except for its ends.
    Mask(Mask),
    /// Made up.
    Fake(Fake),
    /// Replaced by null.
    Null,
    /// The field is dropped.
    Drop,
}

impl Action {
    /// The replacement bytes, of the same type.
    pub(super) fn apply(self, key: &Key, value: Value<'_>) -> Outcome {
        match self {
            _ if value.is_empty() => Ok(value.bytes.to_vec()),
            Self::Hash => hash(key, value),
            Self::Mask(mask) => mask.apply(value),
            Self::Fake(fake) => fake.apply(key, value),
            Self::Null | Self::Drop => Ok(Vec::new()),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hash => f.write_str("hash"),
            Self::Mask(_) => f.write_str("mask"),
            Self::Fake(fake) => write!(f, "fake {}", fake.word()),
            Self::Null => f.write_str("null"),
            Self::Drop => f.write_str("drop"),
        }
    }
}
