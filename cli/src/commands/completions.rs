//! `holdfast completions <shell>`: the script that makes a shell complete `holdfast`'s words.

use clap::Args;
use clap_complete::Shell;

use crate::{arguments, failure::Exit};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The shell
    shell: Shell,
}

pub(crate) fn run(arguments: &Arguments) -> Exit {
    clap_complete::generate(arguments.shell, &mut arguments::command(), "holdfast", &mut std::io::stdout());
    Exit::Done
}
