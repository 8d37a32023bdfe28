//! Result of reading the settings: valid settings, or all faults.

use std::fmt;

use super::Settings;

/// An invalid setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingError {
    /// Name of the variable.
    pub name: String,
    /// The given value, except of a secret, and the expected form.
    pub problem: String,
    /// Whether the unchanged setting may become valid. True if its secret could not be read at
    /// this time.
    pub is_transient: bool,
}

impl SettingError {
    /// Creates a permanent fault, which needs a correction of the setting.
    #[must_use]
    pub fn new(name: &str, problem: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            problem: problem.into(),
            is_transient: false,
        }
    }
}

impl fmt::Display for SettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.problem)
    }
}

/// A valid setting with a part that has no effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingWarning {
    /// Name of the variable.
    pub name: String,
    /// The part without effect. Never a secret.
    pub message: String,
}

impl fmt::Display for SettingWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.message)
    }
}

/// All invalid settings.
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
    /// Whether all faults are transient.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.0.iter().all(|fault| fault.is_transient)
    }
}

/// The settings or their faults, and the values to show in either case.
#[derive(Debug, Clone)]
pub struct Reading {
    /// The settings, or all faults.
    pub settings: Result<Settings, SettingsError>,
    /// Name and value of each effective setting. Secrets are shown as `***`.
    pub shown: Vec<(&'static str, String)>,
}

impl Reading {
    /// Adds a fault that a check in another crate found.
    pub fn reject(&mut self, fault: SettingError) {
        match &mut self.settings {
            Ok(_) => self.settings = Err(SettingsError(vec![fault])),
            Err(SettingsError(faults)) => faults.push(fault),
        }
    }
}
