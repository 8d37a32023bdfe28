//! Confirmation before a change: by a question on a terminal, by `--yes` elsewhere.

use std::io::{self, IsTerminal, Write};

use crate::failure::Failure;

/// Whether the operator has confirmed a change on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Confirmation {
    /// `--yes` is given.
    Given,
    /// A person must answer a question.
    Required,
}

impl From<bool> for Confirmation {
    fn from(yes: bool) -> Self {
        if yes { Self::Given } else { Self::Required }
    }
}

/// The refusal if no question is possible. It names the options that make the question unnecessary.
pub(crate) fn cannot_ask(instead: &str) -> Failure {
    Failure::refused(format!(
        "not confirmed: stdin is not a terminal. Pass {instead}"
    ))
}

/// Whether a person can see the question and answer it.
pub(crate) fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks the question. Every answer except yes is a refusal. An interruption ends the wait.
pub(crate) async fn ask(question: &'static str) -> Result<(), Failure> {
    let answer = tokio::task::spawn_blocking(move || answer_to(question)).await;
    let answer = answer.map_err(io::Error::other).and_then(|answer| answer);
    let answer =
        answer.map_err(|error| Failure::failed(format!("cannot read the answer: {error}")))?;
    if matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes") {
        Ok(())
    } else {
        Err(Failure::refused("not confirmed: nothing was changed"))
    }
}

/// Holds no lock while it waits, because an interruption prints a message.
fn answer_to(question: &str) -> io::Result<String> {
    write!(io::stderr(), "{question} [y/N] ")?;
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(answer)
}
