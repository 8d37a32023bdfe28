//! Results of the rules, or of a dry run: rule by rule, with examples. Originals are never kept or
//! shown.

use std::collections::BTreeMap;

use serde::Serialize;

use super::value::type_name;

/// Number of examples per rule.
const SAMPLES: usize = 3;

/// Results of the rules. For a dry run, the expected results.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AnonymizeReport {
    /// A rule for each path, in the order of the file.
    pub rules: Vec<AppliedRule>,
    /// Collections of the archive restored unchanged, because no rule names them.
    pub unchanged: Vec<String>,
}

/// The result of one rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AppliedRule {
    /// Its line in the file.
    pub line: u64,
    /// Its collections, as in the file.
    pub namespace: String,
    /// The path of the field.
    pub path: String,
    /// Its action.
    pub action: String,
    /// It may match nothing.
    pub optional: bool,
    /// The matching collections of the archive. Empty if they are not restored.
    pub applied_to: Vec<String>,
    /// Values it replaced, nulls included.
    pub values: u64,
    /// Values of unsupported types, by type.
    pub refused: BTreeMap<&'static str, u64>,
    /// A few results.
    pub samples: Vec<Sample>,
}

/// One outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sample {
    /// Type of the original value.
    pub of: &'static str,
    /// The new value.
    pub outcome: String,
}

impl AnonymizeReport {
    /// Reasons not to use these rules on this archive: each rule without a match, and each value
    /// without a possible replacement.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        self.rules.iter().flat_map(AppliedRule::problems).collect()
    }
}

impl AppliedRule {
    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.values == 0
            && self.refused.is_empty()
            && !self.optional
            && !self.applied_to.is_empty()
        {
            problems.push(format!("{self} matches nothing"));
        }
        for (kind, values) in &self.refused {
            problems.push(format!(
                "{self} does not support {values} values of type {kind}"
            ));
        }
        problems
    }
}

impl std::fmt::Display for AppliedRule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "the rule at line {} ({}: {} of {})",
            self.line, self.action, self.path, self.namespace
        )
    }
}

/// Counts of a rule so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    values: u64,
    refused: BTreeMap<&'static str, u64>,
    samples: Vec<Sample>,
}

impl Tally {
    /// Counts a replaced value. `outcome` is called only while there are too few examples.
    pub(super) fn count(&mut self, kind: u8, outcome: impl FnOnce() -> String) {
        self.values += 1;
        if self.samples.len() < SAMPLES {
            let sample = Sample {
                of: type_name(kind),
                outcome: outcome(),
            };
            if !self.samples.contains(&sample) {
                self.samples.push(sample);
            }
        }
    }

    /// Counts a value of an unsupported type.
    pub(super) fn refuse(&mut self, kind: u8) {
        *self.refused.entry(type_name(kind)).or_default() += 1;
    }

    pub(super) fn has_refused(&self) -> bool {
        !self.refused.is_empty()
    }

    pub(super) fn add_to(&self, rule: &mut AppliedRule) {
        rule.values = self.values;
        rule.refused.clone_from(&self.refused);
        rule.samples.clone_from(&self.samples);
    }
}

#[cfg(test)]
mod tests {
    use bson::spec::ElementType;

    use super::*;

    fn rule(applied_to: &[&str]) -> AppliedRule {
        AppliedRule {
            line: 7,
            namespace: "users".to_owned(),
            path: "email".to_owned(),
            action: "hash".to_owned(),
            optional: false,
            applied_to: applied_to.iter().map(ToString::to_string).collect(),
            values: 0,
            refused: BTreeMap::new(),
            samples: Vec::new(),
        }
    }

    #[test]
    fn a_rule_that_matches_nothing_is_a_problem_unless_it_may() {
        let problems = rule(&["shop.users"]).problems();
        assert_eq!(
            problems,
            ["the rule at line 7 (hash: email of users) matches nothing"]
        );
        let optional = AppliedRule {
            optional: true,
            ..rule(&["shop.users"])
        };
        assert!(optional.problems().is_empty());
        assert!(
            rule(&[]).problems().is_empty(),
            "its collections are not restored"
        );
    }

    #[test]
    fn a_type_that_is_not_taken_is_a_problem_of_an_optional_rule_too() {
        let mut rule = AppliedRule {
            optional: true,
            ..rule(&["shop.users"])
        };
        let mut tally = Tally::default();
        tally.refuse(ElementType::Boolean as u8);
        tally.refuse(ElementType::Boolean as u8);
        tally.add_to(&mut rule);
        assert!(
            rule.problems()[0].contains("2 values of type bool"),
            "{:?}",
            rule.problems()
        );
    }

    #[test]
    fn few_and_different_outcomes_are_kept() {
        let mut tally = Tally::default();
        for number in 0..10 {
            tally.count(ElementType::String as u8, || (number / 2).to_string());
        }
        let outcomes: Vec<&str> = tally
            .samples
            .iter()
            .map(|sample| &*sample.outcome)
            .collect();
        assert_eq!((tally.values, outcomes), (10, vec!["0", "1", "2"]));
    }
}
