//! `--anonymize`: reads the rules and their secret, and reports the effect of the rules as text. It
//! never shows an original value.

use std::path::{Path, PathBuf};

use clap::Args;
use holdfast_database::{AnonymizeReport, AnonymizeRules, Anonymizer, AppliedRule};
use holdfast_domain::Secret;

use crate::{
    environment,
    failure::{Exit, Failure},
    text::{self, Side},
};

const SECRET: &str = "HOLDFAST_ANONYMIZE_SECRET";

/// Whether personal data are replaced on the way.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Replace personal data by the rules in this YAML file, to create a database for tests.
    /// docs/privacy.md describes the rules. Replacement values depend on the secret in
    /// `HOLDFAST_ANONYMIZE_SECRET`. --dry-run shows the effect of each rule
    #[arg(long, value_name = "RULES", conflicts_with = "merge")]
    anonymize: Option<PathBuf>,
}

impl Arguments {
    pub(super) const fn is_asked_for(&self) -> bool {
        self.anonymize.is_some()
    }

    /// The rules with their secret, if there are any.
    pub(super) fn anonymizer(&self) -> Result<Option<Anonymizer>, Failure> {
        self.anonymize
            .as_deref()
            .map(|file| read(file, environment::variable(SECRET)))
            .transpose()
    }
}

fn read(file: &Path, secret: Option<String>) -> Result<Anonymizer, Failure> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::file("read the rules", file, &error))?;
    let rules = AnonymizeRules::parse(&text).map_err(|error| {
        Failure::usage(format!("{}: {error}", file.display())).hint(HOW_RULES_ARE_WRITTEN)
    })?;
    let secret = match (secret, rules.secret_file()) {
        (Some(secret), _) => Secret::new(secret.trim()),
        (None, Some(name)) => secret_in(&file.parent().unwrap_or(Path::new("")).join(name))?,
        (None, None) => {
            return Err(Failure::new(
                Exit::Settings,
                "the secret for the anonymisation is missing",
            )
            .hint(WHERE_THE_SECRET_IS));
        }
    };
    Anonymizer::new(rules, &secret)
        .map_err(|error| Failure::new(Exit::Settings, error.to_string()).hint(WHERE_THE_SECRET_IS))
}

const HOW_RULES_ARE_WRITTEN: &str =
    "docs/privacy.md describes the rules, docs/anonymize-platform.yaml is an example";

const WHERE_THE_SECRET_IS: &str = "generate one by `openssl rand -hex 32`. Set it in HOLDFAST_ANONYMIZE_SECRET, or in \
                                   the file that the rules name as `secretFile`. Anyone with the secret can link \
                                   restored values to people";

fn secret_in(file: &Path) -> Result<Secret, Failure> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::file("read the secret", file, &error))?;
    Ok(Secret::new(text.trim()))
}

/// Whether the table contains a few outcomes of each rule.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Samples {
    Shown,
    Hidden,
}

/// The effect of each rule, and the fields without a rule.
pub(super) fn text(report: &AnonymizeReport, samples: Samples) -> String {
    let columns = [
        ("LINE", Side::Right),
        ("COLLECTIONS", Side::Left),
        ("FIELD", Side::Left),
        ("ACTION", Side::Left),
        ("VALUES", Side::Right),
        (
            match samples {
                Samples::Shown => "FOR EXAMPLE",
                Samples::Hidden => "",
            },
            Side::Left,
        ),
    ];
    let rows: Vec<Vec<String>> = report.rules.iter().map(|rule| row(rule, samples)).collect();
    let mut parts = vec![text::table(&columns, &rows)];
    if !report.unchanged.is_empty() {
        parts.push(format!(
            "no rule applies to these, and they stay unchanged: {}",
            report.unchanged.join(", ")
        ));
    }
    parts.extend(report.problems());
    parts
        .iter()
        .map(|part| part.trim_end())
        .collect::<Vec<_>>()
        .join("\n")
}

fn row(rule: &AppliedRule, shown: Samples) -> Vec<String> {
    let samples = rule
        .samples
        .iter()
        .map(|sample| format!("{} → {}", sample.of, sample.outcome));
    let outcomes = match (rule.applied_to.as_slice(), shown) {
        ([], _) => "not restored, or absent".to_owned(),
        (_, Samples::Shown) => samples.collect::<Vec<_>>().join(" | "),
        (_, Samples::Hidden) => String::new(),
    };
    vec![
        rule.line.to_string(),
        rule.namespace.clone(),
        rule.path.clone(),
        rule.action.clone(),
        rule.values.to_string(),
        outcomes,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &str = "version: 1\nrules:\n  - { action: hash, fields: { users: [email] } }\n";

    fn written(rules: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("rules.yaml");
        std::fs::write(&file, rules).unwrap();
        (folder, file)
    }

    #[test]
    fn the_secret_comes_from_the_environment_or_the_file_that_the_rules_name() {
        let (folder, file) = written(&format!("secretFile: secret.txt\n{RULES}"));
        assert_eq!(read(&file, None).unwrap_err().exit, Exit::NotFound);
        std::fs::write(folder.path().join("secret.txt"), "correct horse battery\n").unwrap();
        assert!(read(&file, None).is_ok());
        let (_folder, file) = written(RULES);
        assert!(read(&file, Some("correct horse battery".to_owned())).is_ok());
    }

    #[test]
    fn no_secret_or_a_short_one_is_refused_without_showing_it() {
        let (_folder, file) = written(RULES);
        for secret in [None, Some("hunter2".to_owned())] {
            let failure = read(&file, secret).unwrap_err();
            assert_eq!(failure.exit, Exit::Settings);
            assert!(failure.to_text().contains(SECRET) && !failure.to_text().contains("hunter2"));
        }
    }

    #[test]
    fn faults_of_the_rules_name_file_line_and_field() {
        let (_folder, file) =
            written("version: 1\nrules:\n  - { action: hush, fields: { users: [email] } }\n");
        let failure = read(&file, None).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        for expected in ["rules.yaml", "line 3: action", "hush", "docs/privacy.md"] {
            assert!(
                failure.to_text().contains(expected),
                "{}",
                failure.to_text()
            );
        }
    }

    #[test]
    fn a_field_that_is_given_twice_is_refused() {
        for rules in [
            format!("version: 1\n{RULES}"),
            "version: 1\nrules:\n  - { action: hash, action: remove, fields: { users: [email] } }\n".to_owned(),
            "version: 1\nrules:\n  - { action: hash, fields: { users: [email], users: [name] } }\n".to_owned(),
        ] {
            let (_folder, file) = written(&rules);
            let failure = read(&file, Some("correct horse battery".to_owned())).unwrap_err();
            assert_eq!(failure.exit, Exit::Usage, "{rules}");
        }
    }
}
