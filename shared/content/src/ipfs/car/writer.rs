//! Writes a CAR for `ipfs dag import`. The blocks are written unchanged: the caller has proved
//! them.

use std::io::{self, Write};

use super::{
    super::{Cid, varint},
    header,
};

/// Writes one CAR.
#[derive(Debug)]
pub struct CarWriter<W> {
    inner: W,
}

impl<W: Write> CarWriter<W> {
    /// Begins a CAR with these roots. An import pins them, and fails if one is incomplete. Files
    /// may be roots. The directories on their paths may not.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn new(mut inner: W, roots: &[Cid]) -> io::Result<Self> {
        let header = header::write(roots);
        put_length(&mut inner, header.len())?;
        inner.write_all(&header)?;
        Ok(Self { inner })
    }

    /// Writes a block.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn block(&mut self, cid: &Cid, bytes: &[u8]) -> io::Result<()> {
        let cid = cid.to_bytes();
        put_length(&mut self.inner, cid.len() + bytes.len())?;
        self.inner.write_all(&cid)?;
        self.inner.write_all(bytes)
    }

    /// Ends the CAR and flushes it.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn finish(mut self) -> io::Result<W> {
        self.inner.flush()?;
        Ok(self.inner)
    }
}

fn put_length(out: &mut impl Write, length: usize) -> io::Result<()> {
    let mut bytes = Vec::new();
    varint::write(&mut bytes, length as u64);
    out.write_all(&bytes)
}
