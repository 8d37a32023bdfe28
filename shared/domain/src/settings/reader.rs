//! Reads variables one by one, and collects shown values, faults and unknown variables.

use std::{collections::BTreeMap, ops::RangeInclusive};

use super::{Reading, SettingError, SettingWarning, Settings, SettingsError, exposure::secret_in};
use crate::{ConnectionString, Secret, secret::MASK};

pub(super) struct Reader {
    variables: BTreeMap<String, String>,
    shown: Vec<(&'static str, String)>,
    errors: Vec<SettingError>,
    warnings: Vec<SettingWarning>,
}

/// Variables without the prefix `BACKUP_`.
const NOT_PREFIXED: [&str; 3] = [
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "MONGODB_URI",
    "MONGODUMP",
];

impl Reader {
    pub(super) fn new(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let ours = |name: &str| name.starts_with("BACKUP_") || NOT_PREFIXED.contains(&name);
        let variables = variables
            .into_iter()
            .map(|(name, value)| (name, value.trim().to_owned()))
            .filter(|(name, value)| ours(name) && !value.is_empty())
            .collect();
        Self {
            variables,
            shown: Vec::new(),
            errors: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Variables that are not read yet.
    pub(super) fn peek(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    pub(super) fn show(&mut self, name: &'static str, value: impl Into<String>) {
        self.shown.push((name, value.into()));
    }

    /// Shows a default, unless a value is already shown. A rejected value can be shown.
    pub(super) fn show_default(&mut self, name: &'static str, value: &str) {
        if self.shown.iter().all(|(shown, _)| *shown != name) {
            self.show(name, value);
        }
    }

    pub(super) fn reject(&mut self, name: &str, problem: impl Into<String>) {
        self.errors.push(SettingError::new(name, problem));
    }

    pub(super) fn warn(&mut self, name: &str, message: impl Into<String>) {
        self.warnings.push(SettingWarning {
            name: name.to_owned(),
            message: message.into(),
        });
    }

    /// Like `reject`, unless the variable already has a fault.
    pub(super) fn reject_once(&mut self, name: &str, problem: impl Into<String>) {
        if self.errors.iter().all(|error| error.name != name) {
            self.reject(name, problem);
        }
    }

    pub(super) fn text(&mut self, name: &'static str) -> Option<String> {
        self.optional(name, |text| Ok(text.to_owned()))
    }

    pub(super) fn text_or(&mut self, name: &'static str, default: &str) -> String {
        if !self.variables.contains_key(name) {
            self.show(name, default);
        }
        self.text(name).unwrap_or_else(|| default.to_owned())
    }

    /// Parses an optional value with `parse`, whose error is the expected form. A value that
    /// appears to contain a secret is rejected and not shown, even if `parse` accepts it.
    pub(super) fn optional<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let given = self.variables.remove(name)?;
        let parsed = parse(&given);
        if let Some(kind) = secret_in(&given) {
            self.show(name, MASK);
            self.reject(name, exposed(kind, parsed.err().as_deref()));
            return None;
        }
        self.show(name, beginning(&given));
        match parsed {
            Ok(value) => Some(value),
            Err(expected) => {
                self.reject(
                    name,
                    format!("invalid value {:?}: expected {expected}", beginning(&given)),
                );
                None
            }
        }
    }

    /// Reads a variable that only the platform sets. It is not shown, and an invalid value is
    /// ignored.
    pub(super) fn ambient<T: std::str::FromStr>(&mut self, name: &str) -> Option<T> {
        self.variables.remove(name)?.parse().ok()
    }

    pub(super) fn boolean(&mut self, name: &'static str, default: bool) -> bool {
        self.or_default(name, default, |text| {
            match text.to_ascii_lowercase().as_str() {
                "true" => Ok(true),
                "false" => Ok(false),
                _ => Err("true or false".to_owned()),
            }
        })
    }

    pub(super) fn number<T>(
        &mut self,
        name: &'static str,
        default: T,
        range: RangeInclusive<T>,
    ) -> T
    where
        T: std::str::FromStr + PartialOrd + std::fmt::Display + Copy,
    {
        self.or_default(name, default, |text| {
            text.parse()
                .ok()
                .filter(|number| range.contains(number))
                .ok_or_else(|| format!("a whole number from {} to {}", range.start(), range.end()))
        })
    }

    pub(super) fn choice<T: Copy + std::fmt::Display>(
        &mut self,
        name: &'static str,
        default: T,
        words: &[(&str, T)],
    ) -> T {
        self.or_default(name, default, |text| one_of(text, words))
    }

    /// Like `choice`, without a default.
    pub(super) fn optional_choice<T: Copy>(
        &mut self,
        name: &'static str,
        words: &[(&str, T)],
    ) -> Option<T> {
        self.optional(name, |text| one_of(text, words))
    }

    fn or_default<T: Copy + std::fmt::Display>(
        &mut self,
        name: &'static str,
        default: T,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> T {
        if !self.variables.contains_key(name) {
            self.show(name, default.to_string());
        }
        self.optional(name, parse).unwrap_or(default)
    }

    pub(super) fn secret(&mut self, name: &'static str) -> Option<Secret> {
        let value = self.variables.remove(name)?;
        self.show(name, MASK);
        Some(Secret::new(value))
    }

    /// Reads a connection string. The driver validates hosts and credentials. This method validates
    /// scheme and options, and never shows a value.
    pub(super) fn mongodb_uri(&mut self, name: &'static str) -> Option<Secret> {
        let uri = self.secret(name)?;
        if !uri.expose().starts_with("mongodb://") && !uri.expose().starts_with("mongodb+srv://") {
            self.reject(
                name,
                "invalid value: expected mongodb://… or mongodb+srv://…",
            );
            return None;
        }
        match ConnectionString::read(uri.expose()) {
            Ok(read) => {
                for ignored in read.ignored {
                    self.warn(name, ignored);
                }
                Some(uri)
            }
            Err(problem) => {
                self.reject(name, problem);
                None
            }
        }
    }

    /// Comma-separated names of collections.
    pub(super) fn names(&mut self, name: &'static str) -> Option<Vec<String>> {
        self.optional(name, |text| {
            let names: Vec<String> = text.split(',').map(|name| name.trim().to_owned()).collect();
            if names.iter().any(String::is_empty) {
                return Err("non-empty names separated by commas".to_owned());
            }
            Ok(names)
        })
    }

    /// Rejects the remaining, unknown variables.
    pub(super) fn finish(mut self, mut settings: Settings) -> Reading {
        settings.warnings = std::mem::take(&mut self.warnings);
        for name in std::mem::take(&mut self.variables).into_keys() {
            let name = if secret_in(&name).is_some() {
                MASK.to_owned()
            } else {
                beginning(&name)
            };
            self.reject(
                &name,
                "is not a setting of Holdfast: unset it, or correct its name",
            );
        }
        let settings = if self.errors.is_empty() {
            Ok(settings)
        } else {
            Err(SettingsError(self.errors))
        };
        Reading {
            settings,
            shown: self.shown,
        }
    }
}

fn one_of<T: Copy>(text: &str, words: &[(&str, T)]) -> Result<T, String> {
    words
        .iter()
        .find(|(word, _)| *word == text)
        .map(|(_, value)| *value)
        .ok_or_else(|| {
            let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            format!("one of {}", words.join(", "))
        })
}

/// Describes a value that appears to contain a secret.
fn exposed(kind: &str, expected: Option<&str>) -> String {
    let expected = expected
        .map(|expected| format!(". Expected {expected}"))
        .unwrap_or_default();
    format!(
        "the value appears to contain {kind}, and this setting is shown in logs and answers: remove it and replace the \
         exposed credential{expected}"
    )
}

/// Truncates the value to fit into a job row, an event and a log line.
fn beginning(value: &str) -> String {
    const MAX_CHARACTERS: usize = 300;
    match value.char_indices().nth(MAX_CHARACTERS) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.to_owned(),
    }
}
