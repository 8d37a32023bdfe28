//! The verbs, a file each.

mod anonymize;
pub(crate) mod cancel;
pub(crate) mod catalog;
pub(crate) mod cleanup;
pub(crate) mod completions;
pub(crate) mod copy;
pub(crate) mod decrypt;
pub(crate) mod doctor;
pub(crate) mod dump;
pub(crate) mod export;
mod failed_items;
pub(crate) mod init;
mod items;
pub(crate) mod key;
mod kind;
pub(crate) mod list;
pub(crate) mod lost;
pub(crate) mod policy;
pub(crate) mod restore;
mod restore_content;
mod restored;
mod restored_content;
pub(crate) mod run;
pub(crate) mod show;
mod show_full;
pub(crate) mod status;
pub(crate) mod verify;

use crate::{
    arguments::{Arguments, Global, Verb},
    failure::{Exit, Failure},
    interrupt,
    output::Output,
    session::Session,
};

/// Does what the command line says. Whatever has nothing to undo stops at the first Ctrl-C.
pub(crate) async fn run(arguments: Arguments, output: Output) -> Result<Exit, Failure> {
    let Arguments { global, verb } = arguments;
    match verb {
        Verb::Completions(shell) => Ok(completions::run(&shell)),
        Verb::Run(what) => run::run(&what, &Session::open(&global).await?, output).await,
        // It drops its scratch databases.
        Verb::Verify(what) if what.is_drill() => {
            let session = Session::open(&global).await?.opened_by(Some(&what.opening))?;
            verify::run(&what, &session, output).await
        }
        verb => {
            let interrupted = interrupted(&verb);
            tokio::select! {
                result = stoppable(verb, &global, output) => result,
                () = interrupt::next() => Err(interrupted),
            }
        }
    }
}

fn interrupted(verb: &Verb) -> Failure {
    let failure = Failure::new(Exit::Interrupted, "interrupted");
    match verb {
        Verb::Restore(what) => failure.hint(what.how_to_go_on()),
        Verb::Catalog(_) => failure.hint("what was added stays: the same command again goes on"),
        Verb::Copy(_) => failure.hint("run it again after a minute: it goes on where it stopped"),
        _ => failure,
    }
}

async fn stoppable(verb: Verb, global: &Global, output: Output) -> Result<Exit, Failure> {
    let session = Session::open(global).await?.opened_by(verb.opening())?;
    match verb {
        Verb::Init => init::run(&session, output).await,
        Verb::Doctor => doctor::run(&session, output).await,
        Verb::Status => status::run(&session, output).await,
        Verb::List => list::run(&session, output).await,
        Verb::Show(what) => show::run(&what, &session, output).await,
        Verb::Verify(what) => verify::run(&what, &session, output).await,
        Verb::Copy(what) => copy::run(&what, &session, output).await,
        Verb::Restore(what) => restore::run(what, &session, output).await,
        Verb::Cancel(what) => cancel::run(&what, &session, output).await,
        Verb::Catalog(what) => catalog::run(&what, &session, output).await,
        Verb::Cleanup(what) => cleanup::run(&what, &session, output).await,
        Verb::Lost(what) => lost::run(&what, &session, output).await,
        Verb::Export => export::run(&session, output).await,
        Verb::Policy(what) => policy::run(&what, &session, output).await,
        Verb::Decrypt(what) => decrypt::run(&what, &session, output).await,
        Verb::Key(what) => key::run(&what, &session, output).await,
        Verb::Dump(what) => dump::run(&what, &session, output).await,
        Verb::Run(_) | Verb::Completions(_) => Ok(Exit::Done),
    }
}
