//! What came of reading: the settings, or everything that is wrong with them.

use std::fmt;

use super::Settings;

/// One setting that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingError {
    /// The variable.
    pub name: String,
    /// What was given (never of a secret), and what it takes.
    pub problem: String,
    /// Whether it may be right in a moment, as it stands: what it names could not be asked for.
    pub is_transient: bool,
}

impl SettingError {
    /// A fault that stays until the setting is corrected.
    #[must_use]
    pub fn new(name: &str, problem: impl Into<String>) -> Self {
        Self { name: name.to_owned(), problem: problem.into(), is_transient: false }
    }
}

impl fmt::Display for SettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.problem)
    }
}

/// A setting that is taken, and of which something has no effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingWarning {
    /// The variable.
    pub name: String,
    /// What has no effect. Never a secret.
    pub message: String,
}

impl fmt::Display for SettingWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.message)
    }
}

/// Every setting that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsError(pub Vec<SettingError>);

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        write!(f, "the settings are wrong: {}", lines.join("; "))
    }
}

impl std::error::Error for SettingsError {}

impl SettingsError {
    /// Whether nothing is wrong but what may be right in a moment.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.0.iter().all(|fault| fault.is_transient)
    }
}

/// What was read: the settings or their faults, and in either case what to show of them.
#[derive(Debug, Clone)]
pub struct Reading {
    /// The settings, or all that is wrong with them.
    pub settings: Result<Settings, SettingsError>,
    /// Name and value of each setting in force, with secrets as `***`.
    pub shown: Vec<(&'static str, String)>,
}

impl Reading {
    /// Adds a fault that only a check outside this crate can find.
    pub fn reject(&mut self, fault: SettingError) {
        match &mut self.settings {
            Ok(_) => self.settings = Err(SettingsError(vec![fault])),
            Err(SettingsError(faults)) => faults.push(fault),
        }
    }
}
