//! The operator's command line: the real `holdfast`, with nothing of this process's environment.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    process::{Command, Stdio},
};

/// The end of a run of `holdfast`.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

/// Runs `holdfast` to its end.
pub(crate) async fn operator(environment: &BTreeMap<String, String>, words: &[&str]) -> Ended {
    let mut command = Command::new(program());
    command
        .args(words)
        .env_clear()
        .envs(environment)
        .env("PATH", "/usr/bin:/bin")
        .stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap();
    Ended {
        code: output.status.code().unwrap_or(-1),
        stdout: output.stdout,
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

impl Ended {
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            code,
            "stdout: {}\nstderr: {}",
            self.text(),
            self.stderr
        );
        self
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }
}

/// The program next to this test in cargo's folder.
fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let program = test.ancestors().nth(2).unwrap().join("holdfast");
    assert!(
        program.is_file(),
        "{} is not there: run `cargo build -p holdfast`",
        program.display()
    );
    program
}
