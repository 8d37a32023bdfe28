//! The prerequisites of this machine. All missing ones are listed at once, each with the command
//! that installs it. Nothing is installed here.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Result, bail};

use crate::environment::Environment;

/// Purpose of the tools.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Checking sources, template, build of the stack, and workflows.
    Check,
    /// Running the local parts, with little to compile.
    Demo,
    /// Measuring on the local parts.
    Bench,
    /// Running the tests, including the stock tools of a restore by hand.
    Test,
}

impl Purpose {
    /// Whether its tools include those of the checks.
    pub(crate) const fn includes_checks(self) -> bool {
        matches!(self, Self::Check | Self::Test)
    }
}

/// Paths of the tools.
pub(crate) struct Prerequisites {
    /// Python 3.11 or newer, with venv and pip.
    pub(crate) python: PathBuf,
}

/// Finds them, or names all missing ones.
pub(crate) fn find(environment: &Environment, purpose: Purpose) -> Result<Prerequisites> {
    let manager = PackageManager::of(environment);
    let mut missing = Vec::new();
    let python = python(environment);
    if python.is_none() {
        missing.push((
            "Python 3.11 or newer, with its modules venv and ensurepip",
            manager.command("python"),
        ));
    }
    if environment.find("cc").is_none() {
        missing.push(("cc, a C compiler with its linker", manager.command("cc")));
    }
    for (subcommand, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        if purpose.includes_checks()
            && !succeeds(Command::new(environment.cargo()).args([subcommand, "--version"]))
        {
            missing.push((component, format!("rustup component add {component}")));
        }
    }
    let has_mongodb = environment.mongodb_uri().is_some() || environment.find("mongod").is_some();
    let builds_mongodb = purpose == Purpose::Test || (purpose == Purpose::Bench && !has_mongodb);
    // SAM builds the layer by make.
    let needs_make = builds_mongodb || purpose.includes_checks();
    for (tool, needed) in [("c++", builds_mongodb), ("make", needs_make)] {
        if needed && environment.find(tool).is_none() {
            missing.push((tool, manager.command(tool)));
        }
    }
    if purpose == Purpose::Test && !has_openssl_3(environment) {
        missing.push(("openssl 3.0 or newer", manager.command("openssl")));
    }
    match python {
        Some(python) if missing.is_empty() => Ok(Prerequisites { python }),
        _ => bail!("{}", sentence(&missing)),
    }
}

fn sentence(missing: &[(&str, String)]) -> String {
    let lines: Vec<_> = missing
        .iter()
        .map(|(what, command)| format!("  {what}\n      {command}"))
        .collect();
    format!(
        "this machine lacks\n{}\nInstall them, then run this again.",
        lines.join("\n")
    )
}

/// The newest suitable Python.
fn python(environment: &Environment) -> Option<PathBuf> {
    const ASK: &str = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))";
    let names = [
        "python3",
        "python3.14",
        "python3.13",
        "python3.12",
        "python3.11",
        "python",
    ];
    let mut found = names.into_iter().filter_map(|name| environment.find(name));
    found.find(|python| succeeds(Command::new(python).args(["-c", ASK])))
}

fn succeeds(command: &mut Command) -> bool {
    let status = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}

fn has_openssl_3(environment: &Environment) -> bool {
    let Some(openssl) = environment.find("openssl") else {
        return false;
    };
    let asked = Command::new(openssl)
        .arg("version")
        .stdin(Stdio::null())
        .output();
    asked.is_ok_and(|output| is_openssl_3(&String::from_utf8_lossy(&output.stdout)))
}

fn is_openssl_3(said: &str) -> bool {
    let version = said
        .strip_prefix("OpenSSL ")
        .and_then(|rest| rest.split('.').next());
    version
        .and_then(|major| major.parse::<u32>().ok())
        .is_some_and(|major| major >= 3)
}

/// The package manager of this machine.
#[derive(Clone, Copy)]
enum PackageManager {
    Apt,
    Dnf,
    Apk,
    Brew,
    Unknown,
}

impl PackageManager {
    fn of(environment: &Environment) -> Self {
        let known = [
            ("apt-get", Self::Apt),
            ("dnf", Self::Dnf),
            ("apk", Self::Apk),
            ("brew", Self::Brew),
        ];
        let found = known
            .into_iter()
            .find(|(program, _)| environment.find(program).is_some());
        found.map_or(Self::Unknown, |(_, manager)| manager)
    }

    fn command(self, tool: &str) -> String {
        match (self, tool) {
            (Self::Apt, "python") => "sudo apt-get install -y python3 python3-venv".into(),
            (Self::Apt, "cc" | "c++" | "make") => "sudo apt-get install -y build-essential".into(),
            (Self::Apt, tool) => format!("sudo apt-get install -y {tool}"),
            (Self::Dnf, "python") => "sudo dnf install -y python3.11 python3.11-pip".into(),
            (Self::Dnf, "cc") => "sudo dnf install -y gcc".into(),
            (Self::Dnf, "c++") => "sudo dnf install -y gcc-c++".into(),
            (Self::Dnf, tool) => format!("sudo dnf install -y {tool}"),
            (Self::Apk, "python") => "sudo apk add python3 py3-pip".into(),
            (Self::Apk, "cc" | "c++" | "make") => "sudo apk add build-base linux-headers".into(),
            (Self::Apk, tool) => format!("sudo apk add {tool}"),
            (Self::Brew, "cc" | "c++" | "make") => "xcode-select --install".into(),
            (Self::Brew, "python") => "brew install python".into(),
            (Self::Brew, tool) => format!("brew install {tool}"),
            (Self::Unknown, tool) => format!("install {tool} with your system's package manager"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_missing_is_named_with_its_command() {
        let sentence = sentence(&[
            ("c++", PackageManager::Apt.command("c++")),
            ("openssl", "brew install".into()),
        ]);
        for part in [
            "c++",
            "sudo apt-get install -y build-essential",
            "openssl",
            "brew install",
        ] {
            assert!(sentence.contains(part), "{sentence}");
        }
    }

    #[test]
    fn openssl_is_taken_from_its_third_version_on() {
        assert!(is_openssl_3(
            "OpenSSL 3.0.17 1 Jul 2025 (Library: OpenSSL 3.0.17)"
        ));
        assert!(is_openssl_3("OpenSSL 4.1.0"));
        assert!(!is_openssl_3("OpenSSL 1.1.1w"));
        assert!(!is_openssl_3("LibreSSL 3.3.6"));
    }
}
