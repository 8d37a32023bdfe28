//! `holdfast completions <shell>`: the completion script of a shell.

use clap::{Args, Command};
use clap_complete::Shell;

use crate::{
    failure::{Exit, Failure},
    output::Output,
};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The shell to complete commands for
    shell: Shell,
}

/// Writes into memory first, because the generator panics if its target fails.
pub(crate) fn run(arguments: &Arguments, mut command: Command) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, "holdfast", &mut script);
    Output::script(&script)?;
    Ok(Exit::Done)
}
