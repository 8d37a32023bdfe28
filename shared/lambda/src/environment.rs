//! The one place where the process's environment is read.

/// Every variable. One that is not Unicode is taken as far as it is, so that the settings can name it as wrong.
pub(crate) fn variables() -> Vec<(String, String)> {
    std::env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
        .collect()
}
