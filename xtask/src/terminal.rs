//! The lines of this program on the user's terminal: styled, printed to stderr, and kept for a
//! recording.

use std::sync::{Mutex, PoisonError};

use anstyle::{AnsiColor, Style};

/// Results that are as promised.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// Names at the beginning of a line.
pub(crate) const LABEL: Style = Style::new().bold();

static PRINTED: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Prints a line to stderr, and keeps it. The styles reach terminals only.
pub(crate) fn print(line: impl Into<String>) {
    let line = line.into();
    anstream::eprintln!("{line}");
    PRINTED
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(line);
}

/// All lines of this run so far, with their styles.
pub(crate) fn printed() -> Vec<String> {
    PRINTED
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone()
}

/// A text in a style.
pub(crate) fn styled(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_printed_line_is_kept_with_its_styles() {
        print(format!("{} a line of this test", styled(GOOD, "✓")));
        assert!(printed().contains(&"\u{1b}[32m✓\u{1b}[0m a line of this test".to_owned()));
    }
}
