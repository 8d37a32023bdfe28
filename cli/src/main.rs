//! `holdfast`: backups from an operator's machine. Each verb is a file in `commands`, and calls the
//! use cases of the functions. Results go to stdout, progress and errors to stderr. The exit code
//! classifies the result.

mod arguments;
mod commands;
mod confirm;
mod connection;
mod environment;
mod exit;
mod failure;
#[cfg(test)]
mod hints;
mod interrupt;
mod keys_needed;
mod opening;
mod output;
mod part_file;
mod progress;
mod reading;
mod redaction;
mod session;
mod text;

use std::process::ExitCode;

use crate::{
    arguments::Arguments,
    failure::{Exit, Failure},
    output::Output,
};

fn main() -> ExitCode {
    let arguments = match arguments::parse() {
        Ok(arguments) => arguments,
        Err(exit) => return exit.into(),
    };
    let output = arguments.global.output();
    match run(arguments, output) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            output.failure(&failure);
            failure.exit.into()
        }
    }
}

fn run(arguments: Arguments, output: Output) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("the runtime did not start: {error}")))?;
    let result = runtime.block_on(commands::run(arguments, output));
    // A blocking read of an endless pipe must not delay the exit.
    runtime.shutdown_background();
    result
}
