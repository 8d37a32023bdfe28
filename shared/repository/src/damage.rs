//! The damage of one stored object.

use std::fmt;

/// The damage of one object or artifact, in one sentence. It concerns only this object, so its
/// neighbours are processed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage(String);

impl Damage {
    /// The sentence.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

impl From<String> for Damage {
    fn from(problem: String) -> Self {
        Self(problem)
    }
}

impl From<Damage> for String {
    fn from(damage: Damage) -> Self {
        damage.0
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
