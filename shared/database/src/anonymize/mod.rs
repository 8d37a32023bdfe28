//! Personal data replaced on its way into a database that is no place for it: a restore for tests.
//!
//! Rules say what becomes of which field of which collection. Outcomes are drawn from a secret, so that references
//! still join, and the next restore gives the same. What cannot be replaced as a rule says is never left as it was: the
//! restore fails. What no rule reaches is copied byte by byte.

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

pub(crate) use self::applied::{Applied, Misfits, RuleFailure};
use self::key::Key;
pub use self::{
    key::SecretTooShort,
    report::{AnonymizeReport, AppliedRule, Sample},
    rules::{AnonymizeRules, RuleFault, RulesError},
};

/// Rules, and the secret that outcomes are drawn from.
#[derive(Debug, Clone)]
pub struct Anonymizer {
    rules: Arc<AnonymizeRules>,
    key: Key,
}

impl Anonymizer {
    /// Takes a moment: the secret is made slow to try.
    ///
    /// # Errors
    /// A secret of less than 16 characters.
    pub fn new(rules: AnonymizeRules, secret: &Secret) -> Result<Self, SecretTooShort> {
        Ok(Self { rules: Arc::new(rules), key: Key::derive(secret)? })
    }

    #[cfg(test)]
    fn of_test(rules: &str, key: u8) -> Self {
        let rules = AnonymizeRules::parse(rules).expect("sound rules");
        Self { rules: Arc::new(rules), key: Key::of_test(key) }
    }
}
