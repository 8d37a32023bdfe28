//! Output of results to stdout: text for people, or one JSON document in each line for machines.
//! Notes go to stderr, and only in text mode.

use std::io::{self, ErrorKind, Write};

use serde::Serialize;

use crate::{failure::Failure, redaction::without_credentials, text::printable};

/// How results are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    /// Text for people.
    Text,
    /// JSON documents for machines.
    Json,
}

impl Output {
    /// Prints one result: the document in JSON mode, otherwise the text.
    pub(crate) fn result(
        self,
        document: &impl Serialize,
        text: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        if self == Self::Json {
            return line_to_stdout(&json(document)?);
        }
        line_to_stdout(&printable(without_credentials(&text()).trim_end()))
    }

    /// Prints a result only in JSON mode. People get their own text.
    pub(crate) fn json<T: Serialize>(self, document: impl FnOnce() -> T) -> Result<(), Failure> {
        if self == Self::Json {
            line_to_stdout(&json(&document())?)
        } else {
            Ok(())
        }
    }

    /// Prints a result only in text mode. Machines get their own documents.
    pub(crate) fn text(self, text: impl FnOnce() -> String) -> Result<(), Failure> {
        if self == Self::Json {
            Ok(())
        } else {
            line_to_stdout(&printable(without_credentials(&text()).trim_end()))
        }
    }

    /// Prints a script for another program byte for byte, in every mode.
    pub(crate) fn script(script: &[u8]) -> Result<(), Failure> {
        to_stdout(|stdout| stdout.write_all(script))
    }

    /// Something worth knowing by the way, for people.
    pub(crate) fn note(self, text: &str) {
        if self == Self::Text {
            line_to_stderr(&printable(&without_credentials(text)));
        }
    }

    /// Prints the subject of the question that follows.
    pub(crate) fn question(text: &str) {
        line_to_stderr(&printable(without_credentials(text).trim_end()));
    }

    /// Prints the failure and its remedy.
    pub(crate) fn failure(self, failure: &Failure) {
        if self == Self::Json {
            line_to_stderr(&without_credentials(&failure.to_json()));
        } else {
            line_to_stderr(&printable(&without_credentials(&failure.to_text())));
        }
    }
}

fn json(document: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string(document)
        .map_err(|error| Failure::failed(format!("cannot write a result as JSON: {error}")))
}

fn line_to_stdout(line: &str) -> Result<(), Failure> {
    to_stdout(|stdout| writeln!(stdout, "{line}"))
}

/// A closed pipe is the reader's decision, and no failure.
fn to_stdout(
    write: impl FnOnce(&mut io::StdoutLock<'static>) -> io::Result<()>,
) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match write(&mut stdout).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::failed(format!(
            "the result could not be written to stdout: {error}"
        ))),
        _ => Ok(()),
    }
}

/// A closed stderr is ignored, because no reader is left.
fn line_to_stderr(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}
