//! Asking before something is changed: on a terminal by a question, elsewhere by `--yes`.

use std::io::{self, IsTerminal, Write};

use crate::failure::Failure;

/// The refusal where no question can be asked, with the options that make one unnecessary.
pub(crate) fn cannot_ask(instead: &str) -> Failure {
    Failure::refused(format!("not confirmed: stdin is not a terminal; pass {instead}"))
}

/// Whether a question would reach somebody who can answer it.
pub(crate) fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks; anything but yes is a refusal. The wait for the answer can be interrupted.
pub(crate) async fn ask(question: &'static str) -> Result<(), Failure> {
    let answer = tokio::task::spawn_blocking(move || answer_to(question)).await;
    let answer = answer.map_err(io::Error::other).and_then(|answer| answer);
    let answer = answer.map_err(|error| Failure::failed(format!("no answer could be read: {error}")))?;
    if matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes") {
        Ok(())
    } else {
        Err(Failure::refused("not confirmed: nothing was changed"))
    }
}

/// No lock is held while it waits: an interruption has to be able to say so.
fn answer_to(question: &str) -> io::Result<String> {
    write!(io::stderr(), "{question} [y/N] ")?;
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(answer)
}
