//! Progress on stderr: one line for each step, with a spinner on a terminal.

use std::{
    fmt::Display,
    io::{IsTerminal as _, stderr},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

/// A slow step.
pub(crate) struct Step {
    what: String,
    began: Instant,
    spinner: Option<ProgressBar>,
}

impl Step {
    /// Prints the beginning of a step. No other output may follow, so that the spinner stays on its line.
    pub(crate) fn begin(what: impl Into<String>) -> Self {
        let what = what.into();
        let spinner = stderr().is_terminal().then(|| spinner(&what));
        if spinner.is_none() {
            eprintln!("· {what} …");
        }
        Self { what, began: Instant::now(), spinner }
    }

    /// Begins a step while others print lines: it has no spinner.
    pub(crate) fn begin_beside_others(what: impl Into<String>) -> Self {
        let what = what.into();
        eprintln!("· {what} …");
        Self { what, began: Instant::now(), spinner: None }
    }

    /// Prints the progress.
    pub(crate) fn at(&self, how_far: &str) {
        if let Some(spinner) = &self.spinner {
            spinner.set_message(format!("{} {how_far}", self.what));
        }
    }

    /// Prints the end and the result. Returns the duration.
    pub(crate) fn done(self, outcome: impl Display) -> Duration {
        let took = self.began.elapsed();
        if let Some(spinner) = &self.spinner {
            spinner.finish_and_clear();
        }
        eprintln!("✓ {}: {outcome} ({:.1} s)", self.what, took.as_secs_f64());
        took
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if let Some(spinner) = &self.spinner {
            spinner.finish_and_clear();
        }
    }
}

/// Prints the beginning of a step whose tool prints its own progress.
pub(crate) fn announce(what: &str) {
    eprintln!("· {what} …");
}

fn spinner(what: &str) -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {msg} … {elapsed}");
    let spinner = ProgressBar::new_spinner().with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    spinner.set_message(what.to_owned());
    spinner.enable_steady_tick(Duration::from_millis(100));
    spinner
}
