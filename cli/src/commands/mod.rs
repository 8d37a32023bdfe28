//! The commands of `holdfast`, one file for each.

mod anonymize;
mod archive_file;
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
mod gone;
pub(crate) mod init;
mod items;
mod job_fields;
pub(crate) mod key;
mod kind;
pub(crate) mod list;
pub(crate) mod lost;
pub(crate) mod policy;
pub(crate) mod restore;
mod restore_content;
mod restore_lease;
mod restored;
mod restored_content;
pub(crate) mod run;
pub(crate) mod show;
mod show_full;
pub(crate) mod status;
pub(crate) mod verify;

use crate::{
    arguments::{self, Arguments, Verb},
    failure::{Exit, Failure},
    global::Global,
    interrupt,
    keys_needed::KeysNeeded,
    output::Output,
    session::Session,
};

/// Runs the verb of the command line. A verb with nothing to undo stops at the first Ctrl-C.
pub(crate) async fn run(arguments: Arguments, output: Output) -> Result<Exit, Failure> {
    let Arguments { global, verb } = arguments;
    match verb {
        Verb::Completions(shell) => completions::run(&shell, arguments::command()),
        Verb::Run(what) => {
            let session = Session::open(&global, KeysNeeded::ForWriting, output).await?;
            run::run(&what, &session, output).await
        }
        // It drops its scratch databases.
        Verb::Verify(what) if what.is_drill() => {
            let verb = Verb::Verify(what);
            let session = opened(&verb, &global, output).await?;
            dispatch(verb, &session, output).await
        }
        verb => {
            let session = tokio::select! {
                session = opened(&verb, &global, output) => session?,
                () = interrupt::next() => return Err(before_writing()),
            };
            let how_to_resume = how_to_resume(&verb);
            tokio::select! {
                result = dispatch(verb, &session, output) => result,
                () = interrupt::next() => Err(interrupted(how_to_resume, &session)),
            }
        }
    }
}

async fn opened(verb: &Verb, global: &Global, output: Output) -> Result<Session, Failure> {
    Session::open(global, verb.keys_needed(), output)
        .await?
        .opened_by(verb.opening())
}

fn before_writing() -> Failure {
    Failure::new(Exit::Interrupted, "interrupted: nothing was written")
}

/// The advice after an interruption that may leave a part.
fn how_to_resume(verb: &Verb) -> Option<&'static str> {
    match verb {
        Verb::Restore(what) => Some(what.how_to_resume()),
        Verb::Catalog(_) => Some("the added rows stay. The same command adds the rest"),
        Verb::Copy(_) => Some("run the command again after a minute: it resumes"),
        _ => None,
    }
}

fn interrupted(how_to_resume: Option<&'static str>, session: &Session) -> Failure {
    match how_to_resume {
        Some(_) if !session.has_written() => before_writing(),
        Some(hint) => Failure::new(Exit::Interrupted, "interrupted").hint(hint),
        None => Failure::new(Exit::Interrupted, "interrupted"),
    }
}

async fn dispatch(verb: Verb, session: &Session, output: Output) -> Result<Exit, Failure> {
    match verb {
        Verb::Init => init::run(session, output).await,
        Verb::Doctor => doctor::run(session, output).await,
        Verb::Status => status::run(session, output).await,
        Verb::List => list::run(session, output).await,
        Verb::Show(what) => show::run(&what, session, output).await,
        Verb::Verify(what) => verify::run(&what, session, output).await,
        Verb::Copy(what) => copy::run(&what, session, output).await,
        Verb::Restore(what) => restore::run(what, session, output).await,
        Verb::Cancel(what) => cancel::run(&what, session, output).await,
        Verb::Catalog(what) => catalog::run(&what, session, output).await,
        Verb::Cleanup(what) => cleanup::run(&what, session, output).await,
        Verb::Lost(what) => lost::run(&what, session, output).await,
        Verb::Export => export::run(session, output).await,
        Verb::Policy(what) => policy::run(&what, session, output).await,
        Verb::Decrypt(what) => decrypt::run(&what, session, output).await,
        Verb::Key(what) => key::run(&what, session, output).await,
        Verb::Dump(what) => dump::run(&what, session, output).await,
        Verb::Run(_) | Verb::Completions(_) => Ok(Exit::Done),
    }
}
