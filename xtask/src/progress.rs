//! The steps of a run on stderr: one line for each finished step, and a spinner on a terminal.

use std::{
    fmt::Display,
    io::{IsTerminal as _, stderr},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

use crate::terminal::{self, GOOD, styled};

/// A step of some seconds or minutes.
pub(crate) struct Step {
    what: String,
    began: Instant,
    spinner: Option<ProgressBar>,
}

impl Step {
    /// Begins a step without other output: the spinner keeps its line.
    pub(crate) fn begin(what: impl Into<String>) -> Self {
        let what = what.into();
        let spinner = stderr().is_terminal().then(|| spinner(&what));
        if spinner.is_none() {
            eprintln!("· {what} …");
        }
        Self {
            what,
            began: Instant::now(),
            spinner,
        }
    }

    /// Begins a step in parallel with other steps that print. It has no spinner.
    pub(crate) fn begin_beside_others(what: impl Into<String>) -> Self {
        let what = what.into();
        eprintln!("· {what} …");
        Self {
            what,
            began: Instant::now(),
            spinner: None,
        }
    }

    /// Shows the progress of the step.
    pub(crate) fn at(&self, how_far: &str) {
        if let Some(spinner) = &self.spinner {
            spinner.set_message(format!("{} {how_far}", self.what));
        }
    }

    /// Ends the step, prints its result, and returns its duration.
    pub(crate) fn done(self, outcome: impl Display) -> Duration {
        let took = self.began.elapsed();
        if let Some(spinner) = &self.spinner {
            spinner.finish_and_clear();
        }
        terminal::print(format!(
            "{} {}: {outcome} ({:.1} s)",
            styled(GOOD, "✓"),
            self.what,
            took.as_secs_f64()
        ));
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

/// Announces a tool with output of its own.
pub(crate) fn announce(what: &str) {
    eprintln!("· {what} …");
}

fn spinner(what: &str) -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {msg} … {elapsed}");
    let spinner = ProgressBar::new_spinner()
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    spinner.set_message(what.to_owned());
    spinner.enable_steady_tick(Duration::from_millis(100));
    spinner
}
