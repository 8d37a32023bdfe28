//! The tool's stderr: read completely at any length, and examined line by line. The first and the
//! last 64 KiB of the text are kept.

use std::{
    collections::{BTreeMap, VecDeque},
    io::{self, Read},
};

const KEPT_BYTES: usize = 64 * 1024;

/// Examined bytes of a longer line.
const LINE_BYTES: usize = 4 * 1024;

/// Limit of recorded counts of namespaces.
const COUNTS: usize = 100_000;

/// The tool's messages.
#[derive(Default)]
pub(super) struct Transcript {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    dropped: bool,
    line: Vec<u8>,
    /// The first line with a failure.
    pub(super) failure: Option<String>,
    /// Number of documents by `database.collection`, from the tool.
    pub(super) counts: BTreeMap<String, u64>,
}

impl Transcript {
    /// Reads all messages until the other end closes.
    pub(super) fn of(mut source: impl Read) -> Self {
        let mut transcript = Self::default();
        let mut buffer = vec![0; 16 * 1024];
        loop {
            match source.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => transcript.take(&buffer[..read]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    transcript.failure = Some(format!("cannot read its output: {error}"));
                    break;
                }
            }
        }
        transcript.end_line();
        transcript
    }

    fn take(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let room = LINE_BYTES.saturating_sub(self.line.len());
            self.line.extend_from_slice(&piece[..piece.len().min(room)]);
            if piece.ends_with(b"\n") {
                self.end_line();
            }
        }
        let (first, later) = bytes.split_at(bytes.len().min(KEPT_BYTES - self.head.len()));
        self.head.extend_from_slice(first);
        self.tail.extend(later);
        let excess = self.tail.len().saturating_sub(KEPT_BYTES);
        self.dropped |= excess > 0;
        self.tail.drain(..excess);
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        let line = String::from_utf8_lossy(&line);
        let message = message(&line);
        if self.failure.is_none() && reports_failure(message) {
            self.failure = Some(message.to_owned());
        }
        if let Some((namespace, documents)) = count(message)
            && self.counts.len() < COUNTS
        {
            self.counts.insert(namespace.to_owned(), documents);
        }
    }

    /// The kept text, in lines. A cut line is left out, because half a secret cannot be recognised.
    pub(super) fn lines(&self) -> Vec<String> {
        let tail: Vec<u8> = self.tail.iter().copied().collect();
        let text = if self.dropped {
            let head = self
                .head
                .iter()
                .rposition(|byte| *byte == b'\n')
                .map_or(&[][..], |end| &self.head[..end]);
            let tail = tail
                .iter()
                .position(|byte| *byte == b'\n')
                .map_or(&[][..], |end| &tail[end..]);
            [head, b"\n(more that was not kept)", tail].concat()
        } else {
            [self.head.as_slice(), &tail].concat()
        };
        let text = String::from_utf8_lossy(&text);
        let lines = text.lines().map(|line| {
            line.trim()
                .replace(|c: char| c.is_control() && c != '\t', " ")
        });
        lines.filter(|line| !line.is_empty()).collect()
    }
}

/// A line without the time before its first tab.
fn message(line: &str) -> &str {
    let line = line.trim_end();
    match line.split_once('\t') {
        Some((time, message)) if time.starts_with(|c: char| c.is_ascii_digit()) => {
            message.trim_start()
        }
        _ => line,
    }
}

/// The tool's own word for a failure, and Go's two for a crash.
fn reports_failure(message: &str) -> bool {
    ["Failed:", "panic:", "fatal error:"]
        .iter()
        .any(|word| message.starts_with(word))
}

/// The tool's line for each collection: ``done dumping `database.collection` (12 documents)``.
/// Older versions omit the quotes.
fn count(message: &str) -> Option<(&str, u64)> {
    let (namespace, rest) = message.strip_prefix("done dumping ")?.rsplit_once(" (")?;
    let number = rest
        .strip_suffix(" documents)")
        .or_else(|| rest.strip_suffix(" document)"))?;
    let unquoted = namespace
        .strip_prefix('`')
        .and_then(|name| name.strip_suffix('`'));
    Some((unquoted.unwrap_or(namespace), number.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use holdfast_testing::golden_stderr;

    use super::*;

    fn said(text: &str) -> Transcript {
        Transcript::of(text.as_bytes())
    }

    #[test]
    fn every_failure_reported_by_the_real_tool_is_found() {
        for (name, first) in [
            ("cut-700k", "Failed: archive writer: "),
            ("cut-1500k", "panic: send on closed channel"),
            ("cut-but-whole", "Failed: error writing data"),
            ("oplog-overflow", "Failed: oplog overflow"),
        ] {
            let failure = said(&golden_stderr(name)).failure.unwrap();
            assert!(failure.starts_with(first), "{name}: {failure}");
        }
    }

    #[test]
    fn counts_are_read_as_the_real_tool_writes_them() {
        let counts = said(&golden_stderr("cut-1500k")).counts;
        assert_eq!(counts["web3platform.contents"], 1200);
        assert_eq!(counts.len(), 4);
        let counts =
            said("2026-01-01T00:00:00.000+0000\tdone dumping a.b (x) (1 document)\ndone dumping c")
                .counts;
        assert_eq!(
            counts.into_iter().collect::<Vec<_>>(),
            [("a.b (x)".to_owned(), 1)]
        );
    }

    #[test]
    fn a_collections_name_is_no_failure() {
        let text = "2026-01-01T00:00:00.000+0000\tdone dumping `a.Failed: x` (3 documents)\n[##..]  a.panic:  1/2";
        assert_eq!(said(text).failure, None);
    }

    #[test]
    fn a_flood_is_read_to_its_end_and_kept_in_bounds() {
        let noise = "x".repeat(999) + "\n";
        let text = format!(
            "first\n{}Failed: in the midst\n{}last",
            noise.repeat(3000),
            noise.repeat(3000)
        );
        let flood = said(&text);
        assert_eq!(flood.failure.as_deref(), Some("Failed: in the midst"));
        let lines = flood.lines();
        assert_eq!(
            (
                lines.first().unwrap().as_str(),
                lines.last().unwrap().as_str()
            ),
            ("first", "last")
        );
        assert!(lines.iter().map(String::len).sum::<usize>() < 2 * KEPT_BYTES);
        assert!(lines.contains(&"(more that was not kept)".to_owned()));
        let one_line = said(&"y".repeat(5_000_000));
        assert_eq!(one_line.lines(), ["(more that was not kept)"]);
    }
}
