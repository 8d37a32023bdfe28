//! The processes in which the local AWS runs functions: what a machine's owner may see of them and do to them.

use std::{fs, process::Command};

/// A function's process.
pub(crate) struct Process(u32);

impl Process {
    /// Those of one function, by the name that Lambda gives it in its environment.
    pub(crate) fn all_of(function: &str) -> Vec<Self> {
        let named = format!("AWS_LAMBDA_FUNCTION_NAME={function}");
        let numbers = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        let processes = numbers.map(Self);
        processes.filter(|process| process.is_there() && process.environment().contains(&named)).collect()
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

    /// The words that it was started with.
    pub(crate) fn arguments(&self) -> Vec<String> {
        self.texts("cmdline")
    }

    pub(crate) fn signal(&self, signal: &str) {
        assert!(self.was_sent(signal), "the process is gone");
    }

    /// Ends it where it stands, as the kernel would, if it is still there.
    pub(crate) fn kill(&self) {
        self.was_sent("KILL");
    }

    fn was_sent(&self, signal: &str) -> bool {
        let mut sending = Command::new("sh");
        sending.arg("-c").arg(format!("kill -{signal} {} 2>/dev/null", self.0)).status().unwrap().success()
    }

    fn texts(&self, file: &str) -> Vec<String> {
        let bytes = fs::read(format!("/proc/{}/{file}", self.0)).unwrap_or_default();
        bytes.split(|byte| *byte == 0).map(|text| String::from_utf8_lossy(text).into_owned()).collect()
    }
}
