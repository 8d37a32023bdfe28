//! Progress with rate and time left, on stderr, and only where that is a terminal.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

const UNMEASURED: &str = "{spinner} {msg} {bytes} at {bytes_per_sec}";
const BYTES: &str = "{spinner} {msg} {bytes} of {total_bytes} [{wide_bar}] {bytes_per_sec}, {eta} left";
const ITEMS: &str = "{spinner} {msg} {human_pos} of {human_len} items [{wide_bar}] {per_sec}, {eta} left";

/// Bytes done of bytes expected, or items. Silent where nobody looks; gone from the screen when it is dropped.
#[derive(Debug)]
pub(crate) struct Meter {
    bar: ProgressBar,
    shown: Mutex<&'static str>,
}

impl Meter {
    /// A meter with this to say before its numbers.
    pub(crate) fn new(doing: &str) -> Self {
        Self::of(ProgressBar::no_length(), doing)
    }

    /// One of several on the same screen.
    pub(crate) fn beside(others: &MultiProgress, doing: &str) -> Self {
        Self::of(others.add(ProgressBar::no_length()), doing)
    }

    fn of(bar: ProgressBar, doing: &str) -> Self {
        bar.set_style(style(UNMEASURED));
        bar.set_message(doing.to_owned());
        bar.enable_steady_tick(Duration::from_millis(200));
        Self { bar, shown: Mutex::new(UNMEASURED) }
    }

    /// So many bytes are done of so many; an estimate that was too low grows with what is done, 0 is not known.
    pub(crate) fn set(&self, done: u64, expected: u64) {
        self.show(done, expected, BYTES);
    }

    /// So many items are done of so many.
    pub(crate) fn count(&self, done: u64, expected: u64) {
        self.show(done, expected, ITEMS);
    }

    fn show(&self, done: u64, expected: u64, template: &'static str) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known = expected > 0;
        if is_known && *shown != template {
            // Another thing is measured from here on, at a rate of its own.
            if *shown != UNMEASURED {
                self.bar.reset();
            }
            self.bar.set_style(style(template));
            *shown = template;
        }
        if is_known {
            self.bar.set_length(expected.max(done));
        }
        if is_known || *shown == UNMEASURED {
            self.bar.set_position(done);
        }
    }

    /// Whether anybody sees it.
    pub(crate) fn is_seen(&self) -> bool {
        !self.bar.is_hidden()
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

    #[test]
    fn what_is_measured_may_change() {
        let meter = Meter::new("fetching");
        meter.count(7, 10);
        meter.set(5, 1000);
        assert_eq!((meter.bar.position(), meter.bar.length()), (5, Some(1000)));
        meter.set(0, 0);
        assert_eq!(meter.bar.position(), 5, "what says nothing takes nothing back");
    }

    #[test]
    fn every_template_is_well_formed() {
        for template in [UNMEASURED, BYTES, ITEMS] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }
}
