//! The only code that reads the process's environment.

/// Every variable. Invalid Unicode is replaced, so that the settings can report the variable by
/// name.
#[must_use]
pub fn variables() -> Vec<(String, String)> {
    std::env::vars_os()
        .map(|(name, value)| {
            (
                name.to_string_lossy().into_owned(),
                value.to_string_lossy().into_owned(),
            )
        })
        .collect()
}

/// The function that Lambda runs in this process.
#[derive(Debug)]
pub struct Identity {
    /// Its handler: `Handler` in the template. Empty outside Lambda.
    pub handler: String,
    /// Its name in the account. Empty outside Lambda.
    pub function_name: String,
}

/// The identity of this process, from the variables that Lambda sets for every function.
#[must_use]
pub fn identity() -> Identity {
    let text = |name| {
        std::env::var_os(name)
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    };
    Identity {
        handler: text("_HANDLER"),
        function_name: text("AWS_LAMBDA_FUNCTION_NAME"),
    }
}
