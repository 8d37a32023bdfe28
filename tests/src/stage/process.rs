//! The processes of functions in the local AWS, and their children, as the machine's owner sees and
//! controls them.

use std::{fs, process::Command};

/// A function's process, or a child of one.
pub(crate) struct Process(u32);

/// The kernel's entry of a process.
struct Standing {
    parent: u32,
    group: u32,
}

impl Process {
    /// Those of one function, by its Lambda name in the environment.
    pub(crate) fn all_of(function: &str) -> Vec<Self> {
        let named = format!("AWS_LAMBDA_FUNCTION_NAME={function}");
        Self::all()
            .filter(|process| process.is_there() && process.environment().contains(&named))
            .collect()
    }

    /// Its running children.
    pub(crate) fn children(&self) -> Vec<Self> {
        Self::all()
            .filter(|process| {
                process
                    .standing()
                    .is_some_and(|standing| standing.parent == self.0)
            })
            .collect()
    }

    /// Whether a process still runs in the group that it leads or led.
    pub(crate) fn group_is_there(&self) -> bool {
        Self::all().any(|process| {
            process
                .standing()
                .is_some_and(|standing| standing.group == self.0)
        })
    }

    fn all() -> impl Iterator<Item = Self> {
        let numbers = fs::read_dir("/proc")
            .unwrap()
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        numbers.map(Self)
    }

    /// Whether it runs still, as a function.
    pub(crate) fn is_there(&self) -> bool {
        let program = fs::read_link(format!("/proc/{}/exe", self.0)).unwrap_or_default();
        program.ends_with("bootstrap")
    }

    /// Its variables, each `name=value`.
    pub(crate) fn environment(&self) -> Vec<String> {
        self.texts("environ")
    }

    /// Its arguments.
    pub(crate) fn arguments(&self) -> Vec<String> {
        self.texts("cmdline")
    }

    /// Its peak memory. None if it has ended.
    pub(crate) fn peak_kib(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0)).ok()?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.trim().trim_end_matches(" kB").parse().ok()
    }

    pub(crate) fn signal(&self, signal: &str) {
        assert!(self.was_sent(signal), "the process is gone");
    }

    /// Kills it at any point, as the kernel would, if it still exists.
    pub(crate) fn kill(&self) {
        self.was_sent("KILL");
    }

    fn was_sent(&self, signal: &str) -> bool {
        let mut sending = Command::new("sh");
        sending
            .arg("-c")
            .arg(format!("kill -{signal} {} 2>/dev/null", self.0))
            .status()
            .unwrap()
            .success()
    }

    /// None for an ended process, even if its parent has not waited for it yet.
    fn standing(&self) -> Option<Standing> {
        let reported = fs::read_to_string(format!("/proc/{}/stat", self.0)).ok()?;
        // Number, name in brackets, state, parent, group: the name may hold anything.
        let mut words = reported.rsplit_once(')')?.1.split_whitespace();
        let state = words.next().filter(|state| !["Z", "X"].contains(state));
        state.and(Some(Standing {
            parent: words.next()?.parse().ok()?,
            group: words.next()?.parse().ok()?,
        }))
    }

    fn texts(&self, file: &str) -> Vec<String> {
        let bytes = fs::read(format!("/proc/{}/{file}", self.0)).unwrap_or_default();
        bytes
            .split(|byte| *byte == 0)
            .map(|text| String::from_utf8_lossy(text).into_owned())
            .collect()
    }
}
