//! The environment. The settings get all variables. This file reads only values outside the
//! settings: the operator's login, and a variable that the command line names.

/// Value of the variable, if it is set and not empty.
#[expect(
    clippy::disallowed_methods,
    reason = "not a setting: holdfast-domain reads those once"
)]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Name of the operator, from the machine's login.
pub(crate) fn operator() -> Option<String> {
    variable("USER").or_else(|| variable("LOGNAME"))
}

/// Every variable, for the settings. Invalid Unicode is replaced, so that the settings can report
/// the variable by name.
pub(crate) fn variables() -> Vec<(String, String)> {
    let text = |value: std::ffi::OsString| value.to_string_lossy().into_owned();
    std::env::vars_os()
        .map(|(name, value)| (text(name), text(value)))
        .collect()
}
