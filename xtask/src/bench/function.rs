//! The peak memory of the deployed function. Its process makes a backup, and then the kernel's
//! figure is read.

use std::{fmt, fs, path::PathBuf};

use anyhow::{Context as _, Result};
use tokio::process::Command;

use crate::{
    demo::api::{Api, DatabaseBackup},
    progress::Step,
    stack::Stack,
};

/// The costs of a backup.
pub(super) struct Taken {
    peak_kib: u64,
    backup: DatabaseBackup,
}

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = std::time::Duration::from_millis(self.backup.duration_ms).as_secs_f64();
        let megabytes = self.backup.original_size / 1_000_000;
        let per_second = megabytes * 1000 / self.backup.duration_ms.max(1);
        write!(
            f,
            "{} MiB, {megabytes} MB in {seconds:.1} s, {per_second} MB/s, {} MB stored",
            self.peak_kib.div_ceil(1024),
            self.backup.size / 1_000_000
        )
    }
}

/// Backs up by the API, in a fresh process.
pub(super) async fn backed_up(stack: &Stack) -> Result<Taken> {
    let name = stack
        .description()
        .outputs
        .get("DatabaseBackupFunctionName")
        .context("the function's name is unknown")?;
    end_processes(stack, name).await?;
    let step = Step::begin("Backing up");
    let backup = Api::of(stack.description())?
        .back_up_database(&step)
        .await?;
    step.done(&backup.id);
    let process = processes(name)?
        .pop()
        .context("the function's process has ended")?;
    Ok(Taken {
        peak_kib: peak_kib(&process)?,
        backup,
    })
}

async fn end_processes(stack: &Stack, function: &str) -> Result<()> {
    for process in processes(function)? {
        let number = process.file_name().unwrap_or_default().to_owned();
        stack
            .supervisor()
            .output(Command::new("kill").arg("-KILL").arg(number))
            .await?;
    }
    Ok(())
}

/// The processes of a function, by the name in their environment.
fn processes(function: &str) -> Result<Vec<PathBuf>> {
    let wanted = format!("AWS_LAMBDA_FUNCTION_NAME={function}");
    let all = fs::read_dir("/proc")
        .context("there is no /proc: this measures on Linux")?
        .flatten();
    let is_it = |process: &PathBuf| {
        let program = fs::read_link(process.join("exe")).unwrap_or_default();
        let environment = fs::read(process.join("environ")).unwrap_or_default();
        program.ends_with("bootstrap")
            && environment
                .split(|byte| *byte == 0)
                .any(|line| line == wanted.as_bytes())
    };
    Ok(all.map(|entry| entry.path()).filter(is_it).collect())
}

fn peak_kib(process: &std::path::Path) -> Result<u64> {
    let status = fs::read_to_string(process.join("status"))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .context("the kernel reports no VmHWM")?;
    line.trim()
        .trim_end_matches(" kB")
        .parse()
        .context("VmHWM is not a number")
}
