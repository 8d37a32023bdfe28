//! The operator's rules in YAML. All faults are reported together, each with its line and field.

use std::{collections::BTreeMap, fmt};

use serde::Deserialize;
use serde_saphyr::Spanned;

use super::{action::Action, fake::Fake, mask::Mask};

/// The version of the form. The file must name it.
const VERSION: u32 = 1;

/// Actions by collection and field.
#[derive(Debug, Clone)]
pub struct AnonymizeRules {
    pub(super) fields: Vec<FieldRule>,
    secret_file: Option<String>,
}

/// The action on the field of one path.
#[derive(Debug, Clone)]
pub(super) struct FieldRule {
    pub(super) line: u64,
    /// `collection`, `database.collection`, or a pattern over the latter.
    pub(super) namespace: String,
    pub(super) path: Vec<String>,
    pub(super) action: Action,
    /// A missing field is no error.
    pub(super) optional: bool,
}

/// One fault of the rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleFault {
    /// Line, from 1. 0 if unknown.
    pub line: u64,
    /// Fault of a field, with the allowed values.
    pub problem: String,
}

/// Unusable rules.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the rules cannot be used:{}", list(.0))]
pub struct RulesError(pub Vec<RuleFault>);

impl AnonymizeRules {
    /// Reads rules.
    ///
    /// # Errors
    /// Every fault, with its line and field. For a text that is not YAML of this form, only the
    /// first fault.
    pub fn parse(text: &str) -> Result<Self, RulesError> {
        let file: RulesFile = serde_saphyr::from_str(text)
            .map_err(|error| RulesError(vec![not_of_the_form(text, &error)]))?;
        let mut faults = Vec::new();
        if file.version.value != VERSION {
            faults.push(fault(
                &file.version,
                format!("version: this Holdfast reads version {VERSION}"),
            ));
        }
        if file.rules.value.is_empty() {
            faults.push(fault(
                &file.rules,
                "rules: expected at least one".to_owned(),
            ));
        }
        let mut fields = Vec::new();
        for rule in &file.rules.value {
            rule.value.read(line(rule), &mut fields, &mut faults);
        }
        fields.sort_by_key(|field: &FieldRule| field.line);
        if faults.is_empty() {
            return Ok(Self {
                fields,
                secret_file: file.secret_file,
            });
        }
        faults.sort_by_key(|fault| fault.line);
        Err(RulesError(faults))
    }

    /// The file of the secret, if the rules name one. Its path is relative to theirs.
    #[must_use]
    pub fn secret_file(&self) -> Option<&str> {
        self.secret_file.as_deref()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RulesFile {
    version: Spanned<u32>,
    secret_file: Option<String>,
    rules: Spanned<Vec<Spanned<Rule>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Rule {
    /// YAML reads the bare word `null` as a missing value.
    action: Spanned<Option<String>>,
    r#as: Option<Spanned<String>>,
    keep_first: Option<Spanned<usize>>,
    keep_last: Option<Spanned<usize>>,
    keep_length: Option<Spanned<bool>>,
    #[serde(default)]
    optional: bool,
    fields: BTreeMap<String, Spanned<Vec<Spanned<String>>>>,
}

impl Rule {
    fn read(&self, rule_line: u64, fields: &mut Vec<FieldRule>, faults: &mut Vec<RuleFault>) {
        let action = self.action(faults);
        if self.fields.is_empty() {
            faults.push(RuleFault {
                line: rule_line,
                problem: "fields: expected at least one".to_owned(),
            });
        }
        for (namespace, paths) in &self.fields {
            if namespace.is_empty() || paths.value.is_empty() {
                faults.push(fault(
                    paths,
                    format!("fields: {namespace:?} has no path, or paths have no namespace"),
                ));
            }
            for path in &paths.value {
                match parse_path(&path.value, action.as_ref()) {
                    Err(problem) => {
                        faults.push(fault(
                            path,
                            format!("fields: {:?} of {namespace}: {problem}", path.value),
                        ));
                    }
                    Ok(steps) => fields.extend(action.map(|action| FieldRule {
                        line: line(path),
                        namespace: namespace.clone(),
                        path: steps,
                        action,
                        optional: self.optional,
                    })),
                }
            }
        }
    }

    /// The action with its options. Refuses options of other actions.
    fn action(&self, faults: &mut Vec<RuleFault>) -> Option<Action> {
        let word = self.action.value.as_deref().unwrap_or("null");
        let fake = self.r#as.as_ref().map(|kind| (line(kind), "as", "fake"));
        let masks = [
            self.keep_first
                .as_ref()
                .map(|kept| (line(kept), "keepFirst", "mask")),
            self.keep_last
                .as_ref()
                .map(|kept| (line(kept), "keepLast", "mask")),
            self.keep_length
                .as_ref()
                .map(|kept| (line(kept), "keepLength", "mask")),
        ];
        for (line, option, owner) in masks.into_iter().chain([fake]).flatten() {
            if owner != word {
                let problem = format!("{option}: it belongs to the action {owner}, not to {word}");
                faults.push(RuleFault { line, problem });
            }
        }
        match word {
            "hash" => Some(Action::Hash),
            "null" => Some(Action::Null),
            "drop" => Some(Action::Drop),
            "mask" => Some(Action::Mask(self.mask())),
            "fake" => self.fake(faults).map(Action::Fake),
            _ => {
                faults.push(fault(
                    &self.action,
                    format!(
                        "action: invalid value {word:?}: expected hash, mask, fake, null or drop"
                    ),
                ));
                None
            }
        }
    }

    fn mask(&self) -> Mask {
        let count = |kept: &Option<Spanned<usize>>| kept.as_ref().map_or(0, |kept| kept.value);
        let hides_length = self.keep_length.as_ref().is_some_and(|kept| !kept.value);
        Mask {
            keep_first: count(&self.keep_first),
            keep_last: count(&self.keep_last),
            hides_length,
        }
    }

    fn fake(&self, faults: &mut Vec<RuleFault>) -> Option<Fake> {
        let Some(kind) = &self.r#as else {
            faults.push(fault(
                &self.action,
                format!("as: the action fake needs one of {}", Fake::words()),
            ));
            return None;
        };
        let fake = Fake::from_word(&kind.value);
        if fake.is_none() {
            faults.push(fault(
                kind,
                format!(
                    "as: invalid value {:?}: expected one of {}",
                    kind.value,
                    Fake::words()
                ),
            ));
        }
        fake
    }
}

/// The names from a document's top down to the field.
fn parse_path(path: &str, action: Option<&Action>) -> Result<Vec<String>, &'static str> {
    let steps: Vec<String> = path.split('.').map(str::to_owned).collect();
    if steps.iter().any(String::is_empty) || path.contains('\0') {
        return Err("a path has names separated by dots");
    }
    if steps.iter().any(|step| step.contains('*') && step != "*") {
        return Err("a `*` must be a complete name");
    }
    let is_id = steps == ["_id"];
    if is_id && !action.is_none_or(|action| matches!(action, Action::Hash | Action::Fake(_))) {
        return Err("every _id must stay unique: use hash or fake");
    }
    Ok(steps)
}

/// The parser reports the line, but not always the field. The field is at the beginning of the
/// line.
fn not_of_the_form(file: &str, error: &serde_saphyr::Error) -> RuleFault {
    let line = error.location().map_or(0, |location| location.line());
    let text = error.without_snippet().to_string();
    let problem = text.lines().next().unwrap_or_default();
    let problem = problem.split(" at line ").next().unwrap_or_default();
    let there = usize::try_from(line)
        .ok()
        .and_then(|line| file.lines().nth(line.checked_sub(1)?));
    let field = there
        .and_then(|there| there.split_once(':'))
        .map(|(name, _)| name.trim_start_matches([' ', '-', '{']));
    match field {
        Some(field) if !problem.contains(field) => RuleFault {
            line,
            problem: format!("{field}: {problem}"),
        },
        _ => RuleFault {
            line,
            problem: problem.to_owned(),
        },
    }
}

fn fault<T>(at: &Spanned<T>, problem: String) -> RuleFault {
    RuleFault {
        line: line(at),
        problem,
    }
}

fn line<T>(at: &Spanned<T>) -> u64 {
    at.referenced.line()
}

impl fmt::Display for RuleFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.problem),
            line => write!(f, "line {line}: {}", self.problem),
        }
    }
}

fn list(faults: &[RuleFault]) -> String {
    let lines: Vec<String> = faults.iter().map(|fault| format!("\n  {fault}")).collect();
    lines.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOUND: &str = "\
version: 1
rules:
  - action: fake
    as: email
    fields:
      users: [email, contacts.email]
  - action: mask
    keepLast: 4
    keepLength: false
    optional: true
    fields:
      \"shop.*\":
        - cards.*.number
";

    fn faults_of(text: &str) -> Vec<String> {
        AnonymizeRules::parse(text)
            .unwrap_err()
            .0
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn each_path_is_a_rule_of_its_own() {
        let rules = AnonymizeRules::parse(SOUND).unwrap();
        let parsed: Vec<_> = rules
            .fields
            .iter()
            .map(|field| {
                (
                    field.line,
                    &*field.namespace,
                    field.path.join("."),
                    field.optional,
                )
            })
            .collect();
        assert_eq!(
            parsed,
            [
                (6, "users", "email".to_owned(), false),
                (6, "users", "contacts.email".to_owned(), false),
                (13, "shop.*", "cards.*.number".to_owned(), true)
            ]
        );
        assert!(matches!(rules.fields[0].action, Action::Fake(Fake::Email)));
        let mask = Mask {
            keep_first: 0,
            keep_last: 4,
            hides_length: true,
        };
        assert!(matches!(rules.fields[2].action, Action::Mask(found) if found == mask));
    }

    #[test]
    fn what_the_documentation_shows_can_be_used() {
        let page = include_str!("../../../../docs/privacy.md");
        let examples = page
            .split("```yaml\n")
            .skip(1)
            .map(|rest| rest.split("```").next().unwrap());
        let paths: Vec<usize> = examples
            .map(|text| AnonymizeRules::parse(text).unwrap().fields.len())
            .collect();
        assert_eq!(paths, [6]);
        for word in Fake::words()
            .split(", ")
            .chain(["hash", "mask", "fake", "\"null\"", "drop"])
        {
            assert!(page.contains(&format!("`{word}`")), "{word}");
        }
    }

    #[test]
    fn every_fault_is_named_with_its_line_and_field() {
        let faults = faults_of(
            "\
version: 2
rules:
  - action: scramble
    fields: { users: [email] }
  - action: hash
    keepLast: 4
    fields:
      users: [a..b, \"na*me\", name]
  - action: fake
    fields: { users: [] }
  - action: fake
    as: emails
    fields: {}
  - action: drop
    fields: { users: [_id, _id.part] }
",
        );
        let expected = [
            "line 1: version",
            "line 3: action",
            "line 6: keepLast",
            "line 8: fields: \"a..b\"",
            "line 8: fields: \"na*me\"",
            "line 9: as",
            "line 10: fields",
            "line 11: fields",
            "line 12: as",
            "line 15: fields: \"_id\"",
        ];
        assert_eq!(faults.len(), expected.len(), "{faults:#?}");
        for (fault, expected) in faults.iter().zip(expected) {
            assert!(fault.starts_with(expected), "{fault} is not {expected}");
        }
    }

    #[test]
    fn what_is_not_of_the_form_is_named_with_line_and_field() {
        for (text, expected) in [
            ("version: 1\nrulez: []\n", ["line 2", "rulez"]),
            (
                "version: 1\nrules:\n  - action: hash\n    feilds: {}\n",
                ["line 4", "feilds"],
            ),
            (
                "version: 1\nrules:\n  - action: hash\n",
                ["line 3", "fields"],
            ),
            (
                "version: 1\nrules:\n  - action: mask\n    keepLast: many\n    fields: {}\n",
                ["line 4", "keepLast"],
            ),
            (
                "version: 1\nrules:\n  - action: hash\n    action: drop\n",
                ["line 4", "action"],
            ),
            ("version: 1\nrules: [\n", ["line", "rules"]),
            ("", ["line 1", "end of input"]),
        ] {
            let faults = faults_of(text);
            assert!(
                expected.iter().all(|part| faults[0].contains(part)),
                "{expected:?}: {faults:?}"
            );
            assert_eq!(
                (
                    faults.len(),
                    faults[0].lines().count(),
                    faults[0].matches("line").count()
                ),
                (1, 1, 1),
                "{faults:?}"
            );
        }
    }
}
