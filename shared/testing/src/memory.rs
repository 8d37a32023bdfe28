//! The peak memory of a test, in a process of its own: other tests of its program run elsewhere.

use std::{env, fs, process::Command};

/// Set in the process of one test.
const ALONE: &str = "HOLDFAST_TEST_ALONE";

/// Whether this process runs only this test. Otherwise the test is run in a new process, which must
/// succeed, and the caller returns.
///
/// # Arguments
/// `module` is the test's `module_path!()`, `test` is the name of its function.
///
/// # Panics
/// If the test fails in its process.
#[must_use]
pub fn runs_alone(module: &str, test: &str) -> bool {
    if env::var_os(ALONE).is_some() {
        return true;
    }
    let path = module
        .split_once("::")
        .map_or_else(|| test.to_owned(), |(_, inner)| format!("{inner}::{test}"));
    let program =
        env::current_exe().unwrap_or_else(|error| panic!("the program of this test: {error}"));
    let output = Command::new(program)
        .args([&path, "--exact", "--include-ignored", "--nocapture"])
        .env(ALONE, "1")
        .output()
        .unwrap_or_else(|error| panic!("the process of {path}: {error}"));
    let printed = String::from_utf8_lossy(&output.stdout);
    print!("{printed}");
    assert!(
        output.status.success() && printed.contains("1 passed"),
        "{path} failed in its process: {printed}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    false
}

/// The peak memory of this process since [`forget_peak`], in bytes.
///
/// # Panics
/// If the kernel does not report it.
#[must_use]
pub fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status")
        .unwrap_or_else(|error| panic!("the memory of this process: {error}"));
    let kibibytes = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|number| number.parse::<u64>().ok());
    kibibytes.unwrap_or_else(|| panic!("no peak of memory in {status}")) * 1024
}

/// Resets the peak, so that memory freed earlier does not hide a later peak.
///
/// # Panics
/// If the kernel refuses it.
pub fn forget_peak() {
    fs::write("/proc/self/clear_refs", "5")
        .unwrap_or_else(|error| panic!("resetting the peak of memory: {error}"));
}
