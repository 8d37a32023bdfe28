//! Text for people: sizes, times, tables. Names come from untrusted databases, so no control
//! character reaches the terminal.

use std::fmt::Write as _;

use holdfast_domain::Timestamp;
use holdfast_domain::settings::Settings;

/// Formats bytes in the largest unit with a digit before the point: `532 B`, `1.5 MiB`.
#[expect(
    clippy::cast_precision_loss,
    reason = "one digit after the point is shown"
)]
pub(crate) fn size(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let mut value = bytes as f64;
    let mut unit = "B";
    for larger in units {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = larger;
    }
    if unit == "B" {
        format!("{bytes} B")
    } else {
        format!("{value:.1} {unit}")
    }
}

/// A number with its noun: `1 document`, `2 documents`.
pub(crate) fn count(number: u64, noun: &str) -> String {
    if number == 1 {
        format!("1 {noun}")
    } else {
        format!("{number} {noun}s")
    }
}

/// A duration: `0.4 s`, `3 min 05 s`.
pub(crate) fn duration(ms: u64) -> String {
    if ms < 60_000 {
        return format!("{}.{} s", ms / 1000, ms % 1000 / 100);
    }
    format!("{} min {:02} s", ms / 60_000, ms % 60_000 / 1000)
}

/// A time in the zone of `BACKUP_TIMEZONE`.
pub(crate) fn time(at: Timestamp, settings: &Settings) -> String {
    at.to_zoned_datetime(settings.timezone.clone())
        .strftime("%Y-%m-%d %H:%M:%S %Z")
        .to_string()
}

/// Escapes control characters, except line ends.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .fold(String::with_capacity(text.len()), |mut shown, character| {
            if character.is_control() && character != '\n' {
                shown.extend(character.escape_default());
            } else {
                shown.push(character);
            }
            shown
        })
}

/// Side of the cells of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Left,
    Right,
}

/// A table with aligned columns: a heading for each, then the rows. No line ends in blanks.
pub(crate) fn table(columns: &[(&str, Side)], rows: &[Vec<String>]) -> String {
    let heading: Vec<String> = columns.iter().map(|(name, _)| (*name).to_owned()).collect();
    let lines: Vec<Vec<String>> = std::iter::once(&heading)
        .chain(rows)
        .map(|line| one_line_cells(line))
        .collect();
    let width = |column: usize| {
        lines
            .iter()
            .filter_map(|line| line.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    lines.iter().fold(String::new(), |mut table, line| {
        let cells: Vec<String> = line
            .iter()
            .zip(&widths)
            .zip(columns)
            .map(|((cell, width), (_, side))| match side {
                Side::Left => format!("{cell:<width$}"),
                Side::Right => format!("{cell:>width$}"),
            })
            .collect();
        // Writing to a string cannot fail.
        let _ = writeln!(table, "{}", cells.join("  ").trim_end());
        table
    })
}

fn one_line_cells(line: &[String]) -> Vec<String> {
    line.iter()
        .map(|cell| printable(cell).replace('\n', "\\n"))
        .collect()
}

/// `name  value` lines, the values aligned.
pub(crate) fn fields(fields: &[(&str, String)]) -> String {
    let width = fields
        .iter()
        .map(|(name, _)| name.chars().count())
        .max()
        .unwrap_or(0);
    fields
        .iter()
        .fold(String::new(), |mut text, (name, value)| {
            let _ = writeln!(
                text,
                "{name:<width$}  {}",
                printable(value).replace('\n', "\\n")
            );
            text
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_shown_in_binary_units() {
        let shown: Vec<String> = [
            0,
            1023,
            1024,
            1536,
            1024 * 1024,
            5 * 1024 * 1024 * 1024,
            u64::MAX,
        ]
        .into_iter()
        .map(size)
        .collect();
        assert_eq!(
            shown,
            [
                "0 B", "1023 B", "1.0 KiB", "1.5 KiB", "1.0 MiB", "5.0 GiB", "16.0 EiB"
            ]
        );
    }

    #[test]
    fn durations_are_shown_in_seconds_or_minutes() {
        assert_eq!(
            [0, 1_450, 185_000].map(duration),
            ["0.0 s", "1.4 s", "3 min 05 s"]
        );
    }

    #[test]
    fn columns_are_aligned_and_no_line_ends_in_blanks() {
        let rows = vec![
            vec!["a".to_owned(), "1".to_owned(), String::new()],
            vec!["é".to_owned(), "100".to_owned()],
        ];
        let text = table(
            &[("NAME", Side::Left), ("N", Side::Right), ("X", Side::Left)],
            &rows,
        );
        assert_eq!(text, "NAME    N  X\na       1\né     100\n");
    }

    #[test]
    fn a_name_cannot_give_orders_to_the_terminal() {
        let text = table(&[("NAME", Side::Left)], &[vec!["a\u{1b}[2J\nb".to_owned()]]);
        assert_eq!(text, "NAME\na\\u{1b}[2J\\nb\n");
    }
}
