//! An archive in a file or on stdin, read with a meter.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
    sync::Arc,
};

use crate::{failure::Failure, progress::Meter};

/// Whether the argument names stdin.
pub(super) fn is_stdin(file: &Path) -> bool {
    file == "-"
}

/// Opens the file, or stdin.
pub(super) fn opened(file: &Path, meter: &Arc<Meter>) -> Result<Box<dyn Read + Send>, Failure> {
    if is_stdin(file) {
        return Ok(Box::new(Metered {
            inner: io::stdin(),
            meter: Arc::clone(meter),
            read: 0,
            expected: 0,
        }));
    }
    let unreadable = |error: io::Error| Failure::file("read", file, &error);
    let inner = File::open(file).map_err(unreadable)?;
    let expected = inner.metadata().map_err(unreadable)?.len();
    Ok(Box::new(Metered {
        inner,
        meter: Arc::clone(meter),
        read: 0,
        expected,
    }))
}

/// Shows how much of a file was read.
struct Metered<R> {
    inner: R,
    meter: Arc<Meter>,
    read: u64,
    expected: u64,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.read += count as u64;
        self.meter.set(self.read, self.expected);
        Ok(count)
    }
}
