//! Detects archives damaged by a transfer in text mode. Such a transfer inserts a carriage return
//! before every line feed, so lengths and checksums do not match.

/// Number of examined bytes at an archive's beginning.
const SEARCHED_BYTES: u64 = 1024 * 1024;

/// Counts line feeds in the first megabyte.
#[derive(Debug, Default)]
pub(crate) struct LineEndings {
    searched: u64,
    line_feeds: u32,
    translated: u32,
    last: u8,
}

impl LineEndings {
    pub(crate) fn observe(&mut self, chunk: &[u8]) {
        if self.searched >= SEARCHED_BYTES {
            return;
        }
        for byte in chunk {
            if *byte == b'\n' {
                self.line_feeds += 1;
                self.translated += u32::from(self.last == b'\r');
            }
            self.last = *byte;
        }
        self.searched += chunk.len() as u64;
    }

    /// Whether every line feed follows a carriage return. In an untouched archive line feeds are
    /// part of lengths and numbers too.
    pub(crate) fn are_translated(&self) -> bool {
        self.line_feeds > 0 && self.line_feeds == self.translated
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn are_translated(chunks: &[&[u8]]) -> bool {
        let mut endings = LineEndings::default();
        for chunk in chunks {
            endings.observe(chunk);
        }
        endings.are_translated()
    }

    #[test]
    fn line_endings_count_as_translated_only_without_a_bare_line_feed() {
        assert!(are_translated(&[b"a\r", b"\nb\r\n"]));
        assert!(!are_translated(&[b"a\r\nb\n", b"\r\n"]));
        assert!(are_translated(&[b"a\r\n"]));
        assert!(!are_translated(&[b"a"]));
    }
}
