//! Processes that end with this one, however it ends. A watchdog holds the other end of a pipe.
//! When the pipe closes, after a normal end or a kill, the watchdog kills every process group of
//! this run. It also removes the folder of the run.

use std::{
    fs::File,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Child as StdChild, ChildStdin, Command as StdCommand, ExitCode, Stdio},
    sync::{Mutex, PoisonError},
};

use anyhow::{Context as _, Result, bail};
use tokio::{
    process::{Child, Command},
    signal::unix::{Signal, SignalKind, signal},
};

/// Reads the numbers of process groups, one in each line, until the pipe closes, then kills them
/// all.
const WATCHDOG: &str = r#"
trap '' HUP INT TERM
groups=
while read -r group; do groups="$groups $group"; done
for group in $groups; do kill -s KILL -- "-$group" 2>/dev/null; done
rm -rf -- "$1" || { sleep 1; rm -rf -- "$1"; }
"#;

/// Starts processes, and guarantees that none outlives it.
pub(crate) struct Supervisor {
    run: PathBuf,
    watchdog: StdChild,
    groups: Mutex<Option<ChildStdin>>,
}

impl Supervisor {
    /// Supervises this run, with its files in this folder.
    pub(crate) fn start(run: &Path) -> Result<Self> {
        let mut command = StdCommand::new("sh");
        command.args(["-c", WATCHDOG, "holdfast-watchdog"]).arg(run);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .current_dir("/");
        // A separate process group, so that an interrupt from the terminal does not reach it.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut watchdog = command.spawn().context("cannot run sh")?;
        let groups = Mutex::new(watchdog.stdin.take());
        Ok(Self {
            run: run.to_path_buf(),
            watchdog,
            groups,
        })
    }

    /// The folder of this run. It is removed at the end.
    pub(crate) fn run_directory(&self) -> &Path {
        &self.run
    }

    /// Starts a process in its own group, without stdin.
    pub(crate) fn spawn(&self, command: &mut Command) -> Result<Child> {
        let name = command
            .as_std()
            .get_program()
            .to_string_lossy()
            .into_owned();
        let child = command.stdin(Stdio::null()).process_group(0).spawn();
        let child = child.with_context(|| format!("cannot run {name}"))?;
        let group = child
            .id()
            .with_context(|| format!("{name} ended at once"))?;
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pipe) = groups.as_mut() {
            writeln!(pipe, "{group}").context("the watchdog of this run has ended")?;
        }
        Ok(child)
    }

    /// Starts a lasting process, with its output in `<name>.log` of this run.
    pub(crate) fn serve(&self, name: &str, command: &mut Command) -> Result<Service> {
        let log = self.run.join(format!("{name}.log"));
        let output =
            File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        command.stdout(output.try_clone()?).stderr(output);
        Ok(Service {
            child: self.spawn(command)?,
            log,
        })
    }

    /// Runs a command to its end, with our own output streams. Every other result than success is
    /// an error.
    pub(crate) async fn run(&self, command: &mut Command) -> Result<()> {
        let status = self.spawn(command)?.wait().await?;
        if !status.success() {
            bail!("`{}` failed: {status}", described(command));
        }
        Ok(())
    }

    /// Runs a command to its end and returns its stdout. Every other result than success is an
    /// error with its stderr.
    pub(crate) async fn output(&self, command: &mut Command) -> Result<String> {
        let child = self.spawn(command.stdout(Stdio::piped()).stderr(Stdio::piped()))?;
        let output = child.wait_with_output().await?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!(
                "`{}` failed: {}\n{}",
                described(command),
                output.status,
                said.trim()
            );
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.groups
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let _ = self.watchdog.wait();
    }
}

fn described(command: &Command) -> String {
    let command = command.as_std();
    let words = [command.get_program()]
        .into_iter()
        .chain(command.get_args());
    words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

/// A lasting process.
pub(crate) struct Service {
    child: Child,
    log: PathBuf,
}

impl Service {
    /// Its output so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read(&self.log)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// Its last lines, for an error.
    pub(crate) fn last_words(&self) -> String {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// Whether it has ended already.
    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }
}

/// The signals that end a run.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Signals {
    pub(crate) fn listen() -> Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen for signals");
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hang_up: listen(SignalKind::hangup())?,
        })
    }

    /// Waits for one, and returns its exit code.
    pub(crate) async fn next(&mut self) -> ExitCode {
        let number = tokio::select! {
            _ = self.interrupt.recv() => 2,
            _ = self.terminate.recv() => 15,
            _ = self.hang_up.recv() => 1,
        };
        ExitCode::from(128 + number)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn run_directory(name: &str) -> PathBuf {
        let run = std::env::temp_dir().join(format!("holdfast-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&run).unwrap();
        run
    }

    /// Killed but not yet reaped counts as ended.
    fn is_running(process_id: &str) -> bool {
        if Path::new("/proc/self/stat").exists() {
            let stat =
                std::fs::read_to_string(format!("/proc/{process_id}/stat")).unwrap_or_default();
            return stat
                .rsplit(") ")
                .next()
                .is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'));
        }
        let state = StdCommand::new("ps")
            .args(["-o", "stat=", "-p", process_id])
            .output()
            .unwrap();
        let state = String::from_utf8_lossy(&state.stdout).trim().to_owned();
        !state.is_empty() && !state.starts_with('Z')
    }

    #[tokio::test]
    async fn no_process_and_no_file_outlives_its_run() {
        let run = run_directory("watched");
        let supervisor = Supervisor::start(&run).unwrap();
        let mut shell = Command::new("sh");
        let service = supervisor
            .serve(
                "shell",
                shell.args(["-c", "sleep 600 & echo $!; sleep 600"]),
            )
            .unwrap();
        let began = Instant::now();
        while service.log().is_empty() && began.elapsed() < Duration::from_secs(10) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let grandchild = service.log().trim().to_owned();
        assert!(is_running(&grandchild));
        drop(supervisor);
        // After the kill, the kernel needs a moment to end it.
        let began = Instant::now();
        while is_running(&grandchild) && began.elapsed() < Duration::from_secs(10) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(!is_running(&grandchild));
        assert!(!run.exists());
    }

    #[tokio::test]
    async fn a_failed_command_is_reported_with_its_output() {
        let supervisor = Supervisor::start(&run_directory("failing")).unwrap();
        let failed = supervisor
            .output(Command::new("sh").args(["-c", "echo why >&2; exit 3"]))
            .await
            .unwrap_err();
        assert!(failed.to_string().contains("why"), "{failed}");
    }
}
