//! Connection strings of a verb: from a variable, from a file, or on the command line. Other users
//! can see the last form.

use std::{convert::Infallible, fs, path::Path};

use holdfast_domain::Secret;

use crate::{
    environment,
    failure::{Exit, Failure},
    output::Output,
};

/// The three ways to give a connection string. At most one is used.
#[derive(Debug)]
pub(crate) struct Given<'a> {
    /// Name of the option, as `--to-uri`. The two others append `-env` and `-file`.
    pub(crate) option: &'static str,
    pub(crate) plainly: Option<&'a Secret>,
    pub(crate) variable: Option<&'a str>,
    pub(crate) file: Option<&'a Path>,
}

impl Given<'_> {
    /// Whether one of the three was used.
    pub(crate) const fn is_some(&self) -> bool {
        self.plainly.is_some() || self.variable.is_some() || self.file.is_some()
    }

    /// Warns if the option itself contains a secret.
    pub(crate) fn warn(&self, output: Output) {
        if let Some(warning) = self.warning() {
            output.note(&warning);
        }
    }

    fn warning(&self) -> Option<String> {
        let option = self.option;
        self.plainly.filter(|uri| has_secret(uri)).map(|_| {
            format!(
                "warning: {option} contains a password, and every user of this machine can see arguments. Use \
                 {option}-env or {option}-file"
            )
        })
    }

    /// The connection string, or the settings' one if none was given.
    pub(crate) fn or_else<'s>(
        &self,
        default: impl FnOnce() -> Result<&'s Secret, Failure>,
    ) -> Result<Secret, Failure> {
        let (from, uri) = match (self.plainly, self.variable, self.file) {
            (Some(uri), _, _) => (self.option.to_owned(), uri.clone()),
            (None, Some(name), _) => (format!("the variable {name}"), from_variable(name)?),
            (None, None, Some(path)) => (path.display().to_string(), from_file(path)?),
            (None, None, None) => return default().cloned(),
        };
        if uri.expose().starts_with("mongodb://") || uri.expose().starts_with("mongodb+srv://") {
            return Ok(uri);
        }
        Err(Failure::usage(format!(
            "invalid connection string from {from}: expected mongodb:// or mongodb+srv://"
        )))
    }
}

/// A password before the hosts, or a secret among the options.
fn has_secret(uri: &Secret) -> bool {
    const OPTIONS: [&str; 2] = ["tlscertificatekeyfilepassword=", "aws_session_token:"];
    let Some((_, rest)) = uri.expose().split_once("://") else {
        return false;
    };
    let authority = rest.split('/').next().unwrap_or_default();
    let has_password = authority
        .rsplit_once('@')
        .is_some_and(|(user, _)| user.contains(':'));
    let options = rest.to_ascii_lowercase();
    has_password || OPTIONS.iter().any(|option| options.contains(option))
}

fn from_variable(name: &str) -> Result<Secret, Failure> {
    environment::variable(name)
        .map(|value| Secret::new(value.trim()))
        .ok_or_else(|| {
            Failure::new(
                Exit::Settings,
                format!("the environment variable {name} is not set"),
            )
        })
}

fn from_file(path: &Path) -> Result<Secret, Failure> {
    let text = fs::read_to_string(path)
        .map_err(|error| Failure::file("read the connection string in", path, &error))?;
    Ok(Secret::new(text.trim()))
}

/// Takes an argument out of circulation at once.
#[expect(
    clippy::unnecessary_wraps,
    reason = "the shape of a parser of arguments"
)]
pub(crate) fn secret(argument: &str) -> Result<Secret, Infallible> {
    Ok(Secret::new(argument))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn none() -> Result<&'static Secret, Failure> {
        Err(Failure::usage("the default was used"))
    }

    #[test]
    fn a_connection_string_in_a_file_may_end_in_a_line_end() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("uri");
        fs::write(&file, "mongodb://u:p@h/db\n").unwrap();
        let given = Given {
            option: "--uri",
            plainly: None,
            variable: None,
            file: Some(&file),
        };
        assert_eq!(given.or_else(none).unwrap().expose(), "mongodb://u:p@h/db");
    }

    #[test]
    fn only_an_argument_that_contains_a_secret_is_warned_of() {
        for (uri, is_secret) in [
            ("mongodb://u:hunter2@h/db", true),
            ("mongodb+srv://u:hunter2@h", true),
            ("mongodb://h/?tlsCertificateKeyFilePassword=hunter2", true),
            (
                "mongodb://u@h/?authMechanism=MONGODB-AWS&authMechanismProperties=AWS_SESSION_TOKEN:hunter2",
                true,
            ),
            ("mongodb://u@h/db", false),
            ("mongodb://h:27017,i:27018/db", false),
            ("hunter2:postgres", false),
        ] {
            let secret = Secret::new(uri);
            let given = Given {
                option: "--to-uri",
                plainly: Some(&secret),
                variable: None,
                file: None,
            };
            let warning = given.warning();
            assert_eq!(warning.is_some(), is_secret, "{uri}");
            let text = warning.unwrap_or_default();
            assert!(
                !text.contains("hunter2") && text.contains("--to-uri-env") == is_secret,
                "{text}"
            );
            let given = Given {
                option: "--to-uri",
                plainly: None,
                variable: Some("NAME"),
                file: None,
            };
            assert_eq!(given.warning(), None);
        }
    }

    #[test]
    fn what_is_no_connection_string_is_refused_without_showing_it() {
        let wrong = Secret::new("hunter2");
        let given = Given {
            option: "--uri",
            plainly: Some(&wrong),
            variable: None,
            file: None,
        };
        let failure = given.or_else(none).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert!(!failure.to_text().contains("hunter2"));
    }
}
