//! Progress with rate and time left, on stderr, and only where that is a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// Bytes done of bytes expected. Silent where nobody looks; gone from the screen when it is dropped.
#[derive(Debug)]
pub(crate) struct Meter {
    bar: ProgressBar,
}

impl Meter {
    /// A meter with this to say before its numbers.
    pub(crate) fn new(doing: &str) -> Self {
        let bar = ProgressBar::no_length().with_message(doing.to_owned());
        bar.set_style(style("{spinner} {msg} {bytes} at {bytes_per_sec}"));
        bar.enable_steady_tick(Duration::from_millis(200));
        Self { bar }
    }

    /// So much is done of so much; an estimate that was too low grows with what is done, 0 is not known.
    pub(crate) fn set(&self, done: u64, expected: u64) {
        if expected > 0 {
            if self.bar.length().is_none() {
                self.bar.set_style(style(
                    "{spinner} {msg} {bytes} of {total_bytes} [{wide_bar}] {bytes_per_sec}, {eta} left",
                ));
            }
            self.bar.set_length(expected.max(done));
        }
        self.bar.set_position(done);
    }

    /// What is being done now.
    pub(crate) fn say(&self, doing: impl Into<String>) {
        self.bar.set_message(doing.into());
    }

    /// Off the screen, so that what follows stands by itself.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.clear();
    }
}

/// A template of ours is well-formed, which a test holds; the plain style stands in for one that is not.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_estimate_that_was_too_low_grows() {
        let meter = Meter::new("reading");
        meter.set(5, 0);
        assert_eq!((meter.bar.position(), meter.bar.length()), (5, None));
        meter.set(20, 10);
        assert_eq!((meter.bar.position(), meter.bar.length()), (20, Some(20)));
    }
}
