//! A walk through a whole archive.

use std::io::{self, Read};

use holdfast_archive::{Summary, Walker};

/// Bytes read at a time.
const CHUNK_BYTES: usize = 256 * 1024;

/// Walks an archive to its end.
pub(crate) fn walk(mut reader: impl Read) -> io::Result<Summary> {
    let fault = |error| io::Error::new(io::ErrorKind::InvalidData, error);
    let mut walker = Walker::new(());
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        let count = reader.read(&mut buffer)?;
        if count == 0 {
            return Ok(walker.finish().map_err(fault)?.0);
        }
        walker.feed(&buffer[..count]).map_err(fault)?;
    }
}
