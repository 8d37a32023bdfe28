//! Encrypts a stream: header, ciphertext, trailer. The trailer alone makes a file valid, and binds
//! it to its place. Only `finish_as` writes it. Memory: one buffer of 128 KiB, encrypted in place.

use std::io::{self, Write};

use aes::Aes256;
use cbc::cipher::{Array, BlockModeEncrypt, KeyIvInit};

use holdfast_domain::{ObjectKey, RepositoryId};

use super::{BLOCK_BYTES, Header, TRAILER_BYTES, trailer::TrailerMac};
use crate::ArtifactKeys;

const BUFFER_BYTES: usize = 128 * 1024;

/// Sizes before and after encryption.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncryptSummary {
    /// Bytes before encryption.
    pub plain_bytes: u64,
    /// Bytes of the file: header, ciphertext and trailer.
    pub stored_bytes: u64,
}

/// An encrypting stage.
///
/// A failed write leaves an invalid file, because the trailer covers every byte in order.
pub struct EncryptWriter<W> {
    inner: W,
    cipher: cbc::Encryptor<Aes256>,
    mac: TrailerMac,
    buffer: Vec<u8>,
    summary: EncryptSummary,
}

impl<W: Write> EncryptWriter<W> {
    /// A stage with output to `inner`, for an artifact of `repository` under its master key of
    /// `key_epoch`. It writes the header at once. `keys` and `iv` must be new for this
    /// artifact.
    ///
    /// # Errors
    /// Those of `inner`.
    pub fn new(
        inner: W,
        keys: &ArtifactKeys,
        iv: &[u8; 16],
        repository: &RepositoryId,
        key_epoch: u32,
    ) -> io::Result<Self> {
        let header = Header {
            repository: repository.clone(),
            key_epoch,
            salt: keys.salt,
            iv: *iv,
            commit: keys.commit,
        };
        let mut writer = Self {
            inner,
            cipher: cbc::Encryptor::new(&keys.encryption.into(), iv.into()),
            mac: TrailerMac::new(keys),
            buffer: Vec::with_capacity(BUFFER_BYTES),
            summary: EncryptSummary {
                plain_bytes: 0,
                stored_bytes: 0,
            },
        };
        writer.emit(&header.render())?;
        Ok(writer)
    }

    /// Pads, and writes the last blocks and the trailer. The file is valid only at `object_key`.
    /// The key is an argument of this last call because it may depend on the content.
    ///
    /// # Errors
    /// Those of `inner`.
    pub fn finish_as(mut self, object_key: &ObjectKey) -> io::Result<(W, EncryptSummary)> {
        let padding = BLOCK_BYTES - self.buffer.len() % BLOCK_BYTES;
        let byte = u8::try_from(padding).unwrap_or(u8::MAX);
        self.buffer.resize(self.buffer.len() + padding, byte);
        self.encrypt_whole_blocks()?;
        let trailer = self.mac.finish(object_key);
        self.inner.write_all(&trailer)?;
        self.summary.stored_bytes += TRAILER_BYTES as u64;
        Ok((self.inner, self.summary))
    }

    fn encrypt_whole_blocks(&mut self) -> io::Result<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let whole = buffer.len() - buffer.len() % BLOCK_BYTES;
        let (blocks, _) = Array::slice_as_chunks_mut(&mut buffer[..whole]);
        self.cipher.encrypt_blocks(blocks);
        let result = self.emit(&buffer[..whole]);
        buffer.drain(..whole);
        self.buffer = buffer;
        result
    }

    fn emit(&mut self, stored: &[u8]) -> io::Result<()> {
        self.mac.update(stored);
        self.inner.write_all(stored)?;
        self.summary.stored_bytes += stored.len() as u64;
        Ok(())
    }
}

impl<W: Write> Write for EncryptWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = bytes.len().min(BUFFER_BYTES - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..length]);
        self.summary.plain_bytes += length as u64;
        if self.buffer.len() == BUFFER_BYTES {
            self.encrypt_whole_blocks()?;
        }
        Ok(length)
    }

    /// Writes all complete blocks. Up to 15 bytes wait for the next write.
    fn flush(&mut self) -> io::Result<()> {
        self.encrypt_whole_blocks()?;
        self.inner.flush()
    }
}
