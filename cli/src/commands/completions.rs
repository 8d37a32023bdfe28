//! `holdfast completions <shell>`: the script that makes a shell complete `holdfast`'s words.

use clap::Args;
use clap_complete::Shell;

use crate::{
    arguments,
    failure::{Exit, Failure},
    output::Output,
};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The shell to complete commands for
    shell: Shell,
}

/// The generator panics if its target fails, so that it writes into memory.
pub(crate) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut arguments::command(), "holdfast", &mut script);
    Output::script(&script)?;
    Ok(Exit::Done)
}
