//! The environment: handed to the settings whole, and read here only for what is no setting, the operator's login and
//! a variable that the command line names.

/// The value of this variable, where it is set and not empty.
#[expect(clippy::disallowed_methods, reason = "it is no setting: those are read by holdfast-domain, once")]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Who runs this, as the machine knows them.
pub(crate) fn operator() -> Option<String> {
    variable("USER").or_else(|| variable("LOGNAME"))
}

/// Every variable, for the settings. One that is not Unicode is taken as far as it is, so that it is named as wrong.
pub(crate) fn variables() -> Vec<(String, String)> {
    let text = |value: std::ffi::OsString| value.to_string_lossy().into_owned();
    std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect()
}
