//! Progress with rate and remaining time, on stderr, and only on a terminal. A line is never wider
//! than the terminal: the message is cut, not the numbers.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// A phase without a measure.
const PHASE: &str = "{spinner} {wide_msg}";
const UNMEASURED: &str = "{spinner} {wide_msg} {bytes} {bytes_per_sec}";
const BYTES: &str = "{spinner} {wide_msg} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
const ITEMS: &str = "{spinner} {wide_msg} {human_pos}/{human_len} {per_sec} {eta}";

/// Bytes done of bytes expected, or items. Silent without a terminal, and removed from the screen
/// when it is dropped.
#[derive(Debug)]
pub(crate) struct Meter {
    bar: ProgressBar,
    shown: Mutex<&'static str>,
}

impl Meter {
    /// A meter with this message before its numbers.
    pub(crate) fn new(doing: &str) -> Self {
        Self::of(ProgressBar::no_length(), doing)
    }

    /// One of several on the same screen.
    pub(crate) fn beside(others: &MultiProgress, doing: &str) -> Self {
        Self::of(others.add(ProgressBar::no_length()), doing)
    }

    fn of(bar: ProgressBar, doing: &str) -> Self {
        bar.set_style(style(PHASE));
        bar.set_message(doing.to_owned());
        bar.enable_steady_tick(Duration::from_millis(200));
        Self {
            bar,
            shown: Mutex::new(PHASE),
        }
    }

    /// Sets the bytes done and expected. If the estimate is too low, it grows. 0 means unknown.
    pub(crate) fn set(&self, done: u64, expected: u64) {
        self.show(done, expected, BYTES);
    }

    /// So many items are done of so many.
    pub(crate) fn count(&self, done: u64, expected: u64) {
        self.show(done, expected, ITEMS);
    }

    /// Begins a phase without a measure: no rate and no remaining time.
    pub(crate) fn phase(&self, doing: impl Into<String>) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if *shown != PHASE {
            self.bar.set_style(style(PHASE));
            *shown = PHASE;
        }
        drop(shown);
        self.set_message(doing);
    }

    fn show(&self, done: u64, expected: u64, measured: &'static str) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known = expected > 0;
        let template = if is_known { measured } else { UNMEASURED };
        if *shown != template && (is_known || (*shown == PHASE && done > 0)) {
            // Another measure begins here, with its own rate.
            self.bar.reset();
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

    /// Whether it is on a screen.
    pub(crate) fn is_seen(&self) -> bool {
        !self.bar.is_hidden()
    }

    /// The message before the numbers.
    pub(crate) fn set_message(&self, doing: impl Into<String>) {
        self.bar.set_message(doing.into());
    }

    /// The visible message.
    #[cfg(test)]
    pub(crate) fn message(&self) -> String {
        self.bar.message()
    }

    /// Removes it from the screen.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.clear();
    }
}

/// A test proves that our templates are valid. An invalid one would fall back to the plain style.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use std::{io, sync::Arc};

    use indicatif::{ProgressDrawTarget, TermLike};

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
        assert_eq!(
            meter.bar.position(),
            5,
            "what says nothing takes nothing back"
        );
    }

    #[test]
    fn every_template_is_well_formed() {
        for template in [PHASE, UNMEASURED, BYTES, ITEMS] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }

    /// A terminal of 60 columns that records its output.
    #[derive(Debug, Clone, Default)]
    struct Narrow(Arc<Mutex<Vec<String>>>);

    impl TermLike for Narrow {
        fn width(&self) -> u16 {
            60
        }

        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn write_line(&self, text: &str) -> io::Result<()> {
            self.write_str(text)
        }

        fn write_str(&self, text: &str) -> io::Result<()> {
            self.0.lock().unwrap().push(text.to_owned());
            Ok(())
        }

        fn clear_line(&self) -> io::Result<()> {
            Ok(())
        }

        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_fits_sixty_columns_and_keeps_its_numbers() {
        let terminal = Narrow::default();
        let target = ProgressDrawTarget::term_like_with_hz(Box::new(terminal.clone()), 255);
        let meter = Meter::of(
            ProgressBar::with_draw_target(None, target),
            "database: surveying",
        );
        let line = || {
            meter.bar.force_draw();
            let written = terminal.0.lock().unwrap();
            written
                .iter()
                .rev()
                .map(|text| text.trim().to_owned())
                .find(|text| !text.is_empty())
                .unwrap()
        };
        assert!(
            line().ends_with("database: surveying"),
            "no rate of nothing: {}",
            line()
        );
        meter.set_message("database: dumping");
        meter.set(519_657_718, 1_288_490_188);
        assert!(
            line().contains("database: dumping") && line().contains("495.58 MiB/1.20 GiB"),
            "{}",
            line()
        );
        meter.set_message("content: content_1700000000000_0a0b0c0d 1234567 failed, 999.9 GiB");
        meter.count(123_456_789, 987_654_321);
        assert!(line().contains("123,456,789/987,654,321"), "{}", line());
        meter.phase("cancelling");
        assert!(line().ends_with("cancelling"), "{}", line());
        for line in terminal.0.lock().unwrap().iter() {
            assert!(line.trim_end().chars().count() <= 60, "{line:?}");
        }
    }
}
