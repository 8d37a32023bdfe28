//! The command line: verbs, their arguments, and global arguments.

use std::ffi::OsString;

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::{
    commands::{
        cancel, catalog, cleanup, completions, copy, decrypt, dump, key, lost, policy, restore,
        run, show, verify,
    },
    exit,
    failure::{Exit, Failure},
    global::Global,
    keys_needed::KeysNeeded,
    opening::Opening,
    output::Output,
};

const ABOUT: &str = "Backs up a MongoDB database and the files of its content items to S3 or a directory, and restores them.";

const LONG_ABOUT: &str = "\
Backs up a MongoDB database and the files of its content items to S3 or a directory, and restores them.

Settings are environment variables, the same as those of the functions. BACKUP_STORE (s3://bucket/prefix or \
file:///directory) is the store of the backups. MONGODB_URI is the database to back up. BACKUP_ENCRYPTION_KEY or \
BACKUP_KMS_KEY_ID opens encrypted backups. AWS credentials and region come from the environment or the AWS \
configuration. `list`, `verify`, `restore`, `decrypt` and `key` need only the store, not the catalogue.

Results go to stdout, progress and errors to stderr.";

/// The complete command line.
#[derive(Debug, Parser)]
#[command(name = "holdfast", version, about = ABOUT, long_about = LONG_ABOUT, after_help = exit::help())]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Create the repository, its key if encryption is on, and the catalogue's indexes
    Init,
    /// Check everything that backups need, and report each problem with its remedy
    Doctor,
    /// Run a backup now
    Run(run::Arguments),
    /// Show running backups, and statistics of past backups
    Status,
    /// List the backups in the store, newest first
    List,
    /// Show the contents and the job of one backup
    Show(show::Arguments),
    /// Verify a backup against its manifest
    Verify(verify::Arguments),
    /// Copy backups to the second store now, and repair copies
    Copy(copy::Arguments),
    /// Restore a database or files
    Restore(restore::Arguments),
    /// Stop a running backup
    Cancel(cancel::Arguments),
    /// Delete expired backups
    Cleanup(cleanup::Arguments),
    /// Show backups with a missing manifest, and accept their loss
    Lost(lost::Arguments),
    /// Rebuild the catalogue of jobs from the store
    Catalog(catalog::Arguments),
    /// Write all metadata to the store as one JSON object, and create a link to it
    Export,
    /// Show or change the retention policies
    Policy(policy::Arguments),
    /// Decrypt one stored object, or a local copy of one
    Decrypt(decrypt::Arguments),
    /// Show, change, export and import the master keys of encrypted backups
    Key(key::Arguments),
    /// Dump a database to stdout or a file, in mongodump's archive format
    Dump(dump::Arguments),
    /// Print a completion script for a shell
    Completions(completions::Arguments),
}

impl Verb {
    /// Keys given on the command line, in addition to the settings.
    pub(crate) const fn opening(&self) -> Option<&Opening> {
        match self {
            Self::Verify(what) => Some(&what.opening),
            Self::Copy(what) => Some(&what.opening),
            Self::Show(what) => Some(&what.opening),
            Self::Restore(what) => what.opening(),
            Self::Decrypt(what) => Some(&what.opening),
            Self::Key(what) => what.opening(),
            Self::Catalog(what) => Some(what.opening()),
            _ => None,
        }
    }
}

impl Verb {
    /// The keys of the settings that the verb needs.
    pub(crate) fn keys_needed(&self) -> KeysNeeded {
        match self {
            Self::Init | Self::Doctor | Self::Run(_) => KeysNeeded::ForWriting,
            Self::Key(what) if what.rewraps() => KeysNeeded::ForWriting,
            // These verbs decrypt nothing.
            Self::List | Self::Show(_) | Self::Dump(_) => KeysNeeded::Optional,
            Self::Key(what) if what.opening().is_none() => KeysNeeded::Optional,
            _ if self.opening().is_some_and(Opening::is_given) => KeysNeeded::Optional,
            _ => KeysNeeded::ForReading,
        }
    }
}

/// Parses the command line. Prints help and version. Reports errors, as JSON if `--json` is given.
pub(crate) fn parse() -> Result<Arguments, Exit> {
    parse_from(std::env::args_os().collect())
}

fn parse_from(words: Vec<OsString>) -> Result<Arguments, Exit> {
    let output = if words.iter().any(|word| word == "--json") {
        Output::Json
    } else {
        Output::Text
    };
    Arguments::try_parse_from(words).map_err(|error| {
        if error.use_stderr() {
            let text = error.to_string();
            let text = text.strip_prefix("error: ").unwrap_or(&text).trim_end();
            output.failure(&Failure::usage(text));
            return Exit::Usage;
        }
        // Ignore a closed stdout.
        let _ = error.print();
        Exit::Done
    })
}

/// The command line, for completions.
pub(crate) fn command() -> clap::Command {
    Arguments::command()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        command().debug_assert();
    }

    #[test]
    fn help_documents_the_exit_codes_and_every_verb() {
        let help = command().render_long_help().to_string();
        for expected in [
            "Exit codes:",
            "refused",
            "unreachable",
            "  8    incomplete",
            "  9    done, but",
            "--json",
            "BACKUP_STORE",
        ] {
            assert!(help.contains(expected), "{expected}: {help}");
        }
        for verb in command().get_subcommands() {
            assert!(help.contains(verb.get_name()), "{}", verb.get_name());
            assert!(verb.get_about().is_some(), "{}", verb.get_name());
        }
    }

    #[test]
    fn help_says_which_arguments_others_can_see() {
        for path in [
            &["dump"][..],
            &["restore", "database"],
            &["restore", "archive"],
        ] {
            let mut command = command();
            let mut verb = &mut command;
            for name in path {
                verb = verb.find_subcommand_mut(name).unwrap();
            }
            let help = verb.render_long_help().to_string();
            let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(
                help.contains("visible to every user of this machine"),
                "{path:?}: {help}"
            );
        }
    }

    #[test]
    fn a_wrong_command_line_is_a_usage_error() {
        for line in [
            "holdfast",
            "holdfast nothing",
            "holdfast show",
            "holdfast show ../x",
            "holdfast verify db_1_a --level all",
        ] {
            let words = line.split(' ').map(OsString::from).collect();
            assert_eq!(parse_from(words).err(), Some(Exit::Usage), "{line}");
        }
    }

    #[test]
    fn content_is_restored_to_one_place() {
        for (place, is_right) in [
            ("--to a", true),
            ("--to-car a", true),
            ("--to a --content-id 7", true),
            ("", false),
            ("--content-id 7", false),
            ("--to a --to-car b", false),
        ] {
            let line = format!("holdfast restore content content_1_a {place}");
            let parsed = parse_from(line.split_whitespace().map(OsString::from).collect());
            assert_eq!(parsed.is_ok(), is_right, "{line}");
        }
    }

    #[test]
    fn drop_and_merge_exclude_each_other() {
        let line = "holdfast restore database db_1_a --drop --merge";
        assert_eq!(
            parse_from(line.split(' ').map(OsString::from).collect()).err(),
            Some(Exit::Usage)
        );
    }
}
