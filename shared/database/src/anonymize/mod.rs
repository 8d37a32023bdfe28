//! Replaces personal data during a restore for tests.
//!
//! A rule names the action for a field of a collection. Results are drawn from a secret: references
//! still join, and the next restore gives the same results. If a rule cannot replace a value, the
//! restore fails, and the value is not kept. Fields without a rule are copied byte by byte.

mod action;
mod applied;
mod fake;
mod hash;
mod key;
mod mask;
mod report;
mod rewrite;
mod rules;
#[cfg(test)]
mod tests;
mod tree;
mod value;
mod words;

use std::sync::Arc;

use holdfast_domain::Secret;

pub(crate) use self::applied::{Applied, MisfitPolicy, RuleFailure};
use self::key::Key;
pub use self::{
    key::SecretTooShort,
    report::{AnonymizeReport, AppliedRule, Sample},
    rules::{AnonymizeRules, RuleFault, RulesError},
};

/// Rules, and the secret for their results.
#[derive(Debug, Clone)]
pub struct Anonymizer {
    rules: Arc<AnonymizeRules>,
    key: Key,
}

impl Anonymizer {
    /// Slow on purpose, against guessing of the secret.
    ///
    /// # Errors
    /// A secret of less than 16 characters.
    pub fn new(rules: AnonymizeRules, secret: &Secret) -> Result<Self, SecretTooShort> {
        Ok(Self {
            rules: Arc::new(rules),
            key: Key::derive(secret)?,
        })
    }

    #[cfg(test)]
    fn for_test(rules: &str, key: u8) -> Self {
        let rules = AnonymizeRules::parse(rules).expect("sound rules");
        Self {
            rules: Arc::new(rules),
            key: Key::for_test(key),
        }
    }
}
