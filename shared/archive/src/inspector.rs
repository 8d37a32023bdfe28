//! A stage of the pipeline: passes an archive on, and walks it at the same time. Only a complete
//! archive gives a summary. A dropped stage reports nothing.

use std::io::{self, Write};

use crate::{Summary, WalkError, Walker};

/// Walks the written archive, and passes it on unchanged.
#[derive(Debug)]
pub struct Inspector<W> {
    inner: W,
    walker: Walker<()>,
}

impl<W: Write> Inspector<W> {
    /// A stage before `inner`.
    pub fn new(inner: W) -> Self {
        Self {
            inner,
            walker: Walker::new(()),
        }
    }

    /// Ends the archive.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidData`] with the [`WalkError`] inside, if the archive is incomplete
    /// or damaged.
    pub fn finish(self) -> io::Result<(W, Summary)> {
        let (summary, ()) = self.walker.finish()?;
        Ok((self.inner, summary))
    }
}

impl<W: Write> Write for Inspector<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Walks only the bytes accepted by the next stage, so that both see the same bytes.
        let written = self.inner.write(bytes)?;
        self.walker.feed(&bytes[..written])?;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl From<WalkError> for io::Error {
    fn from(error: WalkError) -> Self {
        Self::new(io::ErrorKind::InvalidData, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MAGIC, Prelude};

    #[test]
    fn bytes_pass_unchanged_and_the_summary_comes_at_the_end() {
        let mut archive = Vec::new();
        Prelude::default().write_to(&mut archive).unwrap();
        let mut inspector = Inspector::new(Vec::new());
        for piece in archive.chunks(3) {
            inspector.write_all(piece).unwrap();
        }
        let (passed, summary) = inspector.finish().unwrap();
        assert_eq!(passed, archive);
        assert_eq!(summary.bytes, archive.len() as u64);
    }

    #[test]
    fn an_archive_that_is_not_whole_is_invalid_data_and_gives_no_summary() {
        let mut inspector = Inspector::new(io::sink());
        inspector.write_all(&MAGIC).unwrap();
        let error = inspector.finish().map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(
            error
                .get_ref()
                .unwrap()
                .downcast_ref::<WalkError>()
                .is_some()
        );

        let mut inspector = Inspector::new(io::sink());
        assert!(inspector.write_all(b"nonsense").is_err());
        assert!(inspector.write_all(b"more").is_err());
        assert!(inspector.finish().is_err());
    }
}
