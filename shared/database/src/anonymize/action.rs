//! What a rule does to a value.

use std::fmt;

use super::{
    fake::Fake,
    hash::hash,
    key::Key,
    mask::Mask,
    value::{Outcome, Value},
};

/// What a rule does to the field at its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// Another value of the same type, the same one everywhere.
    Hash,
    /// Covered but for its ends.
    Mask(Mask),
    /// Made up.
    Fake(Fake),
    /// Null in its place.
    Null,
    /// The field is gone.
    Drop,
}

impl Action {
    /// The bytes that take the value's place, under the same type.
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
