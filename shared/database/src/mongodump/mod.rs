//! The official `mongodump` as a child process: its archive goes from its stdout into the writer,
//! on a blocking thread.
//!
//! Memory here: one buffer of the copy, and 128 KiB of its stderr. Its output counts only after a
//! successful exit without a reported failure. The stages behind the writer prove the archive.

mod arguments;
mod child;
mod elf;
mod options;
mod redaction;
mod tool;
mod transcript;
mod verdict;

use std::{
    io::{self, Read, Write},
    path::Path,
    process::{ChildStdout, ExitStatus},
    time::Duration,
};

use tokio::{
    task::{JoinError, spawn_blocking},
    time::timeout,
};

pub use self::{
    arguments::{Invocation, Unsuitable},
    tool::{Tool, ToolFault},
    verdict::ToolReport,
};
use self::{
    child::{KillOnDrop, Running},
    redaction::Redaction,
    transcript::Transcript,
    verdict::judge,
};
use crate::{DatabaseError, DumpError};

/// Bytes per read from the child: a pipe's default capacity.
const COPY_BYTES: usize = 64 * 1024;

/// Time for the child to end after a request, before it is killed.
const FAREWELL: Duration = Duration::from_secs(3);

/// Time limit after it closed its stdout: it has no work left.
const AFTER_THE_END: Duration = Duration::from_secs(10);

/// Runs the tool into the writer, until it ends or `stop` is ready.
///
/// The writer works on a blocking thread. Only a successful run returns it. After a failure, and
/// when this future is dropped, the tool and its children are killed. The thread then drops the
/// writer without an end.
///
/// # Errors
/// [`DumpError::Database`] with the tool's message for its failure, [`DumpError::Sink`] for the
/// writer's, [`DumpError::Stopped`].
pub async fn mongodump<W: Write + Send + 'static>(
    tool: &Tool,
    invocation: &Invocation,
    writer: W,
    stop: impl Future<Output = ()> + Send,
) -> Result<(W, ToolReport), DumpError> {
    let running = child::start(
        tool.path(),
        &invocation.arguments(),
        invocation.memory_bytes(),
        Some(invocation.options()),
    )
    .map_err(|error| gone(tool.path(), &error))?;
    let group = running.group.clone();
    // Even if this future is dropped, nothing of the child remains.
    let _kill = KillOnDrop(group.clone());
    let ended = running.ended.clone();
    tokio::select! {
        done = carry_through(tool, invocation, running, writer) => done,
        () = stop => {
            group.terminate();
            if timeout(FAREWELL, ended.wait()).await.is_err() {
                group.kill();
            }
            Err(DumpError::Stopped)
        }
    }
}

async fn carry_through<W: Write + Send + 'static>(
    tool: &Tool,
    invocation: &Invocation,
    running: Running,
    writer: W,
) -> Result<(W, ToolReport), DumpError> {
    let Running {
        stdout,
        stderr,
        group,
        ended,
    } = running;
    let said = spawn_blocking(move || Transcript::of(stderr));
    let copied = spawn_blocking(move || copy(stdout, writer))
        .await
        .map_err(panicked)?;
    if copied.is_err() {
        // A broken pipe would end it only at its next write.
        group.kill();
    }
    let Ok(ending) = timeout(AFTER_THE_END, ended.wait()).await else {
        return Err(DatabaseError::Refused(lingering(tool)).into());
    };
    let writer = copied?;
    let said = said.await.map_err(panicked)?;
    let redaction = Redaction::of(invocation.uri());
    let report = judge(tool, ending, &said, &redaction)?;
    Ok((writer, report))
}

/// The writer, after the child has closed its stdout.
fn copy<W: Write>(mut from: ChildStdout, mut writer: W) -> Result<W, DumpError> {
    let mut buffer = vec![0; COPY_BYTES];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(writer),
            Ok(read) => writer.write_all(&buffer[..read]).map_err(DumpError::Sink)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                return Err(DatabaseError::Refused(format!(
                    "cannot read the output of mongodump: {error}"
                ))
                .into());
            }
        }
    }
}

/// The tool ran earlier, for its version.
fn gone(path: &Path, error: &io::Error) -> DumpError {
    DatabaseError::Refused(format!(
        "{} can no longer be started: {error}",
        path.display()
    ))
    .into()
}

fn panicked(error: JoinError) -> DumpError {
    DumpError::Sink(io::Error::other(error))
}

fn lingering(tool: &Tool) -> String {
    let seconds = AFTER_THE_END.as_secs();
    format!("{tool} was killed: it was still running {seconds} s after it closed its output")
}

/// The exit status of the child, or the reason why it is unknown.
type Ending = Result<ExitStatus, String>;
