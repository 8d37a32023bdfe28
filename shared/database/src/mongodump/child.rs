//! A child process in its own process group: its stdin, its outputs, its end. It leaves no zombie,
//! and its group is killed with it.

use std::{
    ffi::OsString,
    io::{self, Write},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, ChildStderr, ChildStdout, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
};

use holdfast_domain::Secret;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::{sync::watch, task::spawn_blocking};

use super::Ending;

/// The child's complete environment, except for its memory limit. Our own environment contains keys
/// and connection strings.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";
const HOME: &str = "/";

/// A started child.
pub(super) struct Running {
    pub(super) stdout: ChildStdout,
    pub(super) stderr: ChildStderr,
    pub(super) group: Group,
    pub(super) ended: Ended,
}

/// Starts a program. Its stdin contains only this text, or nothing.
pub(super) fn start(
    program: &Path,
    arguments: &[OsString],
    memory_bytes: Option<u64>,
    stdin: Option<Secret>,
) -> io::Result<Running> {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .env("PATH", PATH)
        .env("HOME", HOME)
        .process_group(0);
    command.stdin(if stdin.is_some() {
        Stdio::piped()
    } else {
        Stdio::null()
    });
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    if let Some(libraries) = own_libraries(program) {
        command.env("LD_LIBRARY_PATH", libraries);
    }
    if let Some(bytes) = memory_bytes {
        command.env("GOMEMLIMIT", format!("{bytes}B"));
    }
    let mut child = command.spawn()?;
    let (stdout, stderr) = child
        .stdout
        .take()
        .zip(child.stderr.take())
        .ok_or(io::ErrorKind::BrokenPipe)?;
    let group = Group::from_child(&child);
    if let Some((mut pipe, text)) = child.stdin.take().zip(stdin) {
        // On a thread: a pipe may be smaller than the text. A child that does not read it reports
        // its own reason.
        spawn_blocking(move || pipe.write_all(text.expose().as_bytes()));
    }
    let (sender, ended) = watch::channel(None);
    spawn_blocking({
        let group = group.clone();
        move || sender.send(Some(reap(child, &group)))
    });
    Ok(Running {
        stdout,
        stderr,
        group,
        ended: Ended(ended),
    })
}

/// A layer has a tool's libraries in `lib` next to `bin`. Lambda's `LD_LIBRARY_PATH` names that
/// directory, but the child does not inherit it.
fn own_libraries(program: &Path) -> Option<std::path::PathBuf> {
    let libraries = program.parent()?.parent()?.join("lib");
    (!program.starts_with("/usr") && libraries.is_dir()).then_some(libraries)
}

/// Waits for the child, and kills the rest of its group while its number still belongs to it.
fn reap(mut child: Child, group: &Group) -> Ending {
    if let Some(leader) = group.leader() {
        let until_it_ends = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while matches!(
            waitid(WaitId::Pid(leader), until_it_ends),
            Err(rustix::io::Errno::INTR)
        ) {}
    }
    let mut leader = group.0.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(leader) = leader.take() {
        let _ = kill_process_group(leader, Signal::KILL);
    }
    child.wait().map_err(|error| error.to_string())
}

/// The child's group, by the number of the child. `None` after the wait, because the number may
/// then belong to another process.
#[derive(Clone)]
pub(super) struct Group(Arc<Mutex<Option<Pid>>>);

impl Group {
    fn from_child(child: &Child) -> Self {
        Self(Arc::new(Mutex::new(Some(Pid::from_child(child)))))
    }

    fn leader(&self) -> Option<Pid> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a request to end.
    pub(super) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Ends it.
    pub(super) fn kill(&self) {
        self.signal(Signal::KILL);
    }

    /// Under the lock, so that the number still belongs to the child.
    fn signal(&self, signal: Signal) {
        if let Some(leader) = *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            let _ = kill_process_group(leader, signal);
        }
    }
}

/// Kills the group when it goes out of scope.
pub(super) struct KillOnDrop(pub(super) Group);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        self.0.kill();
    }
}

/// The child's end, for any number of receivers.
#[derive(Clone)]
pub(super) struct Ended(watch::Receiver<Option<Ending>>);

impl Ended {
    /// Waits for the end.
    pub(super) async fn wait(&self) -> Ending {
        let mut ended = self.0.clone();
        let ending = ended
            .wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|ending| ending.clone());
        ending.unwrap_or_else(|| Err("its end was not observed".to_owned()))
    }
}
