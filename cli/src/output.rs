//! Where results go: to stdout, as text for people or as one JSON document a line for machines. What is only said by
//! the way goes to stderr, and to people alone.

use std::io::{self, ErrorKind, Write};

use serde::Serialize;

use crate::{failure::Failure, redaction::without_credentials, text::printable};

/// How results are shown.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    json: bool,
}

impl Output {
    pub(crate) const fn new(json: bool) -> Self {
        Self { json }
    }

    /// One result: the document where JSON was asked for, else the text.
    pub(crate) fn result(self, document: &impl Serialize, text: impl FnOnce() -> String) -> Result<(), Failure> {
        if self.json {
            return line_to_stdout(&json(document)?);
        }
        line_to_stdout(&printable(without_credentials(&text()).trim_end()))
    }

    /// A result for machines alone; people have it in a text of its own.
    pub(crate) fn json<T: Serialize>(self, document: impl FnOnce() -> T) -> Result<(), Failure> {
        if self.json { line_to_stdout(&json(&document())?) } else { Ok(()) }
    }

    /// A result for people alone; machines have it in documents of its own.
    pub(crate) fn text(self, text: impl FnOnce() -> String) -> Result<(), Failure> {
        if self.json { Ok(()) } else { line_to_stdout(&printable(without_credentials(&text()).trim_end())) }
    }

    /// A script for another program: its bytes as they are, whatever form results have.
    pub(crate) fn script(script: &[u8]) -> Result<(), Failure> {
        to_stdout(|stdout| stdout.write_all(script))
    }

    /// Something worth knowing by the way, for people.
    pub(crate) fn note(self, text: &str) {
        if !self.json {
            line_to_stderr(&printable(&without_credentials(text)));
        }
    }

    /// What somebody is about to be asked about.
    pub(crate) fn question(text: &str) {
        line_to_stderr(&printable(without_credentials(text).trim_end()));
    }

    /// Why it did not work, and what to do about it.
    pub(crate) fn failure(self, failure: &Failure) {
        if self.json {
            line_to_stderr(&without_credentials(&failure.to_json()));
        } else {
            line_to_stderr(&printable(&without_credentials(&failure.to_text())));
        }
    }
}

fn json(document: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string(document).map_err(|error| Failure::failed(format!("a result is not JSON: {error}")))
}

fn line_to_stdout(line: &str) -> Result<(), Failure> {
    to_stdout(|stdout| writeln!(stdout, "{line}"))
}

/// A closed pipe is the reader's decision, and no failure.
fn to_stdout(write: impl FnOnce(&mut io::StdoutLock<'static>) -> io::Result<()>) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match write(&mut stdout).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::failed(format!("the result could not be written to stdout: {error}")))
        }
        _ => Ok(()),
    }
}

/// Where stderr is gone there is nobody left to tell.
fn line_to_stderr(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}
