//! The only code that reads the process's environment.

/// Every variable. Invalid Unicode is replaced, so that the settings can report the variable by name.
pub(crate) fn variables() -> Vec<(String, String)> {
    std::env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
        .collect()
}
