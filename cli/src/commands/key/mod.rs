//! `holdfast key`: shows, rewraps, exports and imports the repository's master keys.

mod export;
mod import;
mod rewrap;
mod show;

use clap::{Args, Subcommand};

use crate::{
    failure::{Exit, Failure},
    opening::Opening,
    output::Output,
    session::Session,
};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: KeyCommand,
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    /// Show the key epochs and the wrappings of each master key. Shows no secret and needs no key
    Show,
    /// Print the repository ID and the master keys, in plain and wrapped form, for safekeeping
    /// offline
    Export(export::Arguments),
    /// Recreate lost repository files from exported master keys, wrapped under the current keys
    Import(import::Arguments),
    /// Wrap the master keys under the current keys, and remove all other wrappings. Data stay
    /// unchanged
    Rotate(rewrap::Rotate),
    /// Also wrap the master keys for an age recipient. Keep its identity offline
    AddRecipient(rewrap::Recipient),
    /// Remove the wrappings of the master keys for an age recipient
    RemoveRecipient(rewrap::Recipient),
}

impl Arguments {
    /// Whether it wraps master keys under the keys of the settings.
    pub(crate) const fn rewraps(&self) -> bool {
        matches!(self.what, KeyCommand::Rotate(_) | KeyCommand::Import(_))
    }

    /// Keys that open the master keys in addition to the settings.
    pub(crate) const fn opening(&self) -> Option<&Opening> {
        match &self.what {
            KeyCommand::Show | KeyCommand::Import(_) => None,
            KeyCommand::Export(what) => Some(&what.opening),
            KeyCommand::Rotate(what) => Some(&what.opening),
            KeyCommand::AddRecipient(what) | KeyCommand::RemoveRecipient(what) => {
                Some(&what.opening)
            }
        }
    }
}

pub(crate) async fn run(
    arguments: &Arguments,
    session: &Session,
    output: Output,
) -> Result<Exit, Failure> {
    match &arguments.what {
        KeyCommand::Show => show::run(session, output).await,
        KeyCommand::Export(what) => export::run(what, session, output).await,
        KeyCommand::Import(what) => import::run(what, session, output).await,
        KeyCommand::Rotate(what) => rewrap::rotate(what, session, output).await,
        KeyCommand::AddRecipient(what) => rewrap::add(what, session, output).await,
        KeyCommand::RemoveRecipient(what) => rewrap::remove(what, session, output).await,
    }
}
