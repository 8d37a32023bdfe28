//! The command line's dump: time, processor and memory, with compression by level, compared with
//! stock gzip, and with mongodump if it is installed.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;

use crate::{
    environment::Environment,
    files::{self, Build},
    stack::Stack,
};

/// Runs a command to its end and prints its costs. Python reads the kernel's account of a child.
const ACCOUNT: &str = "
import resource, subprocess, sys, time
began = time.monotonic()
code = subprocess.run(['sh', '-c', sys.argv[1]]).returncode
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(code, time.monotonic() - began, used.ru_utime + used.ru_stime, used.ru_maxrss)
";

/// The costs of a command.
pub(super) struct Account {
    pub(super) seconds: f64,
    cpu_seconds: f64,
    pub(super) peak_kib: u64,
    output_bytes: u64,
}

pub(super) async fn measure(environment: &Environment, bench: &Bench<'_>) -> Result<()> {
    let dump = format!("'{}' dump --archive", bench.holdfast.display());
    println!("\nThe dump alone, by the command line\n");
    let native = bench.account(&dump, 3).await?;
    println!("  native engine: {}", native.line());
    let mongodump = environment.find("mongodump");
    if let Some(mongodump) = &mongodump {
        let official = format!(
            "'{}' --quiet --archive --uri \"$MONGODB_URI\"",
            mongodump.display()
        );
        let official = bench.account(&official, 3).await?;
        println!(
            "  mongodump:     {} ({:.2} times as long)",
            official.line(),
            official.seconds / native.seconds
        );
    } else {
        println!("  mongodump:     not installed on this machine");
    }
    println!("\nDump and compression, against the same dump through stock gzip\n");
    let gzip = bench.account(&format!("{dump} | gzip -6"), 1).await?;
    println!("  gzip -6:  {}", gzip.line());
    for level in 1..=9 {
        let ours = bench
            .account(
                &format!("BACKUP_COMPRESSION_LEVEL={level} {dump} --gzip"),
                1,
            )
            .await?;
        println!(
            "  level {level}:  {}, {:.1} times as fast, {:.2} of its size",
            ours.line(),
            gzip.seconds / ours.seconds,
            as_f64(ours.output_bytes) / as_f64(gzip.output_bytes)
        );
    }
    Ok(())
}

/// Runs commands and measures them.
pub(super) struct Bench<'a> {
    stack: &'a Stack,
    python: &'a Path,
    /// The command line.
    pub(super) holdfast: PathBuf,
}

impl<'a> Bench<'a> {
    pub(super) fn new(stack: &'a Stack, python: &'a Path) -> Result<Self> {
        Ok(Self {
            stack,
            python,
            holdfast: files::built_programs(Build::Release)?.join("holdfast"),
        })
    }

    /// The quickest of some runs.
    pub(super) async fn account(&self, command: &str, runs: u32) -> Result<Account> {
        let mut best: Option<Account> = None;
        for _ in 0..runs {
            let account = self.account_once(command).await?;
            if best
                .as_ref()
                .is_none_or(|best| account.seconds < best.seconds)
            {
                best = Some(account);
            }
        }
        best.context("nothing was run")
    }

    async fn account_once(&self, command: &str) -> Result<Account> {
        let output = self
            .stack
            .supervisor()
            .run_directory()
            .join("tmp/bench.out");
        let mut python = Command::new(self.python);
        python
            .args(["-c", ACCOUNT])
            .arg(format!("{command} > '{}'", output.display()));
        python.envs(&self.stack.description().env);
        let output = self.stack.supervisor().output(&mut python).await?;
        let numbers: Vec<&str> = output.split_whitespace().collect();
        let [code, seconds, cpu, peak] = numbers[..] else {
            anyhow::bail!("`{command}` was not accounted for: {output}")
        };
        ensure!(code == "0", "`{command}` ended with exit code {code}");
        Ok(Account {
            seconds: seconds.parse()?,
            cpu_seconds: cpu.parse()?,
            peak_kib: peak.parse()?,
            output_bytes: fs::metadata(&output)?.len(),
        })
    }
}

impl Account {
    fn line(&self) -> String {
        format!(
            "{:.2} s, {:.2} s of processor, {} MiB peak, {} MB",
            self.seconds,
            self.cpu_seconds,
            self.peak_kib.div_ceil(1024),
            self.output_bytes / 1_000_000
        )
    }
}

/// Exact enough for a ratio.
fn as_f64(bytes: u64) -> f64 {
    f64::from(u32::try_from(bytes / 1000).unwrap_or(u32::MAX))
}
