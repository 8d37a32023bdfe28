//! The stages between the engine and the store, stacked on one blocking thread:
//! `meter → inspect → gzip → encrypt → digest → meter → parts`.
//!
//! Memory, whatever the size of the backup: the archive walker's one document, the gzip members in flight, and the
//! uploader's part buffers; each crate's header gives its bound. Only [`Stages::finish`] sends the end of the data: a
//! stack that is dropped leaves an upload that cannot be completed.

use std::{
    io::{self, Write},
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use holdfast_archive::{Inspector, Summary};
use holdfast_codec::{
    ArtifactDigest, ArtifactKeys, ArtifactPlace, ArtifactSecrets, DigestWriter, EncryptWriter, GzipWriter, MasterKey,
    SegmentHasher,
};
use holdfast_storage::upload::PartSink;

/// What the stages are to do.
pub(super) struct Recipe {
    pub(super) compression_level: Option<u8>,
    pub(super) encryption: Option<(Arc<MasterKey>, ArtifactPlace)>,
}

/// Bytes that went in at the top, came out at the bottom, and are expected in all: for progress.
#[derive(Default, Clone)]
pub(super) struct Meters {
    pub(super) read: Arc<AtomicU64>,
    pub(super) stored: Arc<AtomicU64>,
    pub(super) expected: Arc<AtomicU64>,
}

/// What the stream was, once it is whole.
pub(super) struct Proof {
    pub(super) summary: Summary,
    pub(super) artifact: ArtifactDigest,
}

type Bottom = DigestWriter<Meter<PartSink>>;

/// The stack. Implements `Write` for the engine.
pub(super) struct Stages(Meter<Inspector<Compress<Encrypt<Bottom>>>>);

impl Stages {
    pub(super) fn new(recipe: &Recipe, meters: &Meters, sink: PartSink) -> io::Result<Self> {
        let sink = Meter { inner: sink, bytes: Arc::clone(&meters.stored) };
        let encrypted = match &recipe.encryption {
            None => Encrypt::Plain(DigestWriter::new(sink, SegmentHasher::plain())),
            Some((master, place)) => {
                let secrets = ArtifactSecrets::random().map_err(io::Error::other)?;
                let keys: ArtifactKeys = master.artifact_keys(&secrets.salt);
                let digest = DigestWriter::new(sink, keys.segment_hasher());
                Encrypt::Aes(Box::new(EncryptWriter::new(digest, &keys, &secrets.iv, place)?))
            }
        };
        let compressed = match recipe.compression_level {
            None => Compress::Plain(encrypted),
            Some(level) => Compress::Gzip(GzipWriter::new(encrypted, level, cores())?),
        };
        Ok(Self(Meter { inner: Inspector::new(compressed), bytes: Arc::clone(&meters.read) }))
    }

    /// Proves the archive whole, ends every stage, and tells the uploader that this was all.
    pub(super) fn finish(self) -> io::Result<Proof> {
        let (compressed, summary) = self.0.inner.finish()?;
        let encrypted = match compressed {
            Compress::Gzip(gzip) => gzip.finish()?.0,
            Compress::Plain(inner) => inner,
        };
        let digest = match encrypted {
            Encrypt::Aes(encrypt) => encrypt.finish()?.0,
            Encrypt::Plain(inner) => inner,
        };
        let (sink, artifact) = digest.finish()?;
        sink.inner.finish()?;
        Ok(Proof { summary, artifact })
    }
}

impl Write for Stages {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn cores() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// Counts what passes.
struct Meter<W> {
    inner: W,
    bytes: Arc<AtomicU64>,
}

impl<W: Write> Write for Meter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.bytes.fetch_add(written as u64, Ordering::Relaxed);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

enum Compress<W: Write> {
    Gzip(GzipWriter<W>),
    Plain(W),
}

impl<W: Write> Write for Compress<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Gzip(inner) => inner.write(bytes),
            Self::Plain(inner) => inner.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Gzip(inner) => inner.flush(),
            Self::Plain(inner) => inner.flush(),
        }
    }
}

enum Encrypt<W: Write> {
    Aes(Box<EncryptWriter<W>>),
    Plain(W),
}

impl<W: Write> Write for Encrypt<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Aes(inner) => inner.write(bytes),
            Self::Plain(inner) => inner.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Aes(inner) => inner.flush(),
            Self::Plain(inner) => inner.flush(),
        }
    }
}
