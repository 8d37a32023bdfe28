//! The stages between plain bytes and an artifact, stacked on one blocking thread: `gzip → encrypt
//! → digest → meter → parts`.
//!
//! Memory does not depend on the size: the gzip members in flight and the part buffers of the
//! uploader. The documentation of each crate states its bound. Only [`ArtifactWriter::finish`] or
//! [`ArtifactWriter::finish_as`] sends the end of the data. The upload of a dropped writer cannot
//! be completed.

use std::{
    io::{self, Write},
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use holdfast_codec::{
    ArtifactDigest, ArtifactKeys, ArtifactPlace, ArtifactSecrets, DigestWriter, EncryptWriter,
    GzipWriter, MasterKey, SegmentHasher,
};
use holdfast_domain::{ObjectKey, Progress};
use holdfast_storage::upload::PartSink;

/// The settings of the stages.
pub struct Recipe {
    /// Level of gzip, from 1 (fastest) to 12 (smallest). `None` for no compression.
    pub compression_level: Option<u8>,
    /// The master key, and the place of the artifact. `None` for no encryption.
    pub encryption: Option<(Arc<MasterKey>, ArtifactPlace)>,
}

/// Bytes for progress. Clones share the counts.
#[derive(Default, Clone)]
pub struct Meters {
    /// Bytes of input so far.
    pub read: Arc<AtomicU64>,
    /// Bytes of output so far, compressed and encrypted.
    pub stored: Arc<AtomicU64>,
    /// Estimated total bytes of input.
    pub expected: Arc<AtomicU64>,
}

impl Meters {
    /// A function with the present progress of a run.
    pub fn progress(&self) -> impl Fn() -> Option<Progress> + Send + 'static {
        let meters = self.clone();
        move || {
            Some(Progress {
                bytes_read: meters.read.load(Ordering::Relaxed),
                bytes_expected: meters.expected.load(Ordering::Relaxed),
                bytes_stored: meters.stored.load(Ordering::Relaxed),
            })
        }
    }
}

type Bottom = DigestWriter<Meter<PartSink>>;

/// The stack.
pub struct ArtifactWriter(Compress<Encrypt<Bottom>>);

impl ArtifactWriter {
    /// Builds the stages of the recipe above an upload.
    ///
    /// # Errors
    /// `InvalidInput` if the compression level is not from 1 to 12. Otherwise a failure of the
    /// system, if it has no randomness or no thread.
    pub fn new(recipe: &Recipe, meters: &Meters, sink: PartSink) -> io::Result<Self> {
        let sink = Meter::new(sink, &meters.stored);
        let encrypted = match &recipe.encryption {
            None => Encrypt::Plain(DigestWriter::new(sink, SegmentHasher::plain())),
            Some((master, place)) => {
                let secrets = ArtifactSecrets::random().map_err(io::Error::other)?;
                let keys: ArtifactKeys = master.artifact_keys(&secrets.salt);
                let digest = DigestWriter::new(sink, keys.segment_hasher());
                let writer = EncryptWriter::new(
                    digest,
                    &keys,
                    &secrets.iv,
                    &place.repository,
                    place.key_epoch,
                )?;
                Encrypt::Aes(Box::new(writer), place.object_key.clone())
            }
        };
        Ok(Self(match recipe.compression_level {
            None => Compress::Plain(encrypted),
            Some(level) => Compress::Gzip(GzipWriter::new(encrypted, level, cores())?),
        }))
    }

    /// Ends every stage, and sends the end of the data to the uploader.
    ///
    /// # Errors
    /// `BrokenPipe` if the upload has ended. Otherwise the failure of a stage.
    pub fn finish(self) -> io::Result<ArtifactDigest> {
        self.end(None)
    }

    /// The same for an artifact with a key known only now.
    ///
    /// # Errors
    /// Those of [`Self::finish`].
    pub fn finish_as(self, key: &ObjectKey) -> io::Result<ArtifactDigest> {
        self.end(Some(key))
    }

    fn end(self, place: Option<&ObjectKey>) -> io::Result<ArtifactDigest> {
        let encrypted = match self.0 {
            Compress::Gzip(gzip) => gzip.finish()?.0,
            Compress::Plain(inner) => inner,
        };
        let digest = match encrypted {
            Encrypt::Aes(encrypt, begun_at) => encrypt.finish_as(place.unwrap_or(&begun_at))?.0,
            Encrypt::Plain(inner) => inner,
        };
        let (sink, artifact) = digest.finish()?;
        sink.into_inner().finish()?;
        Ok(artifact)
    }
}

impl Write for ArtifactWriter {
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

/// Counts the bytes written through it.
pub struct Meter<W> {
    inner: W,
    bytes: Arc<AtomicU64>,
}

impl<W> Meter<W> {
    /// Adds the bytes written to `inner` to this count.
    pub fn new(inner: W, bytes: &Arc<AtomicU64>) -> Self {
        Self {
            inner,
            bytes: Arc::clone(bytes),
        }
    }

    /// The inner writer.
    pub fn into_inner(self) -> W {
        self.inner
    }
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
    /// With the key of the resulting object.
    Aes(Box<EncryptWriter<W>>, ObjectKey),
    Plain(W),
}

impl<W: Write> Write for Encrypt<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Aes(inner, _) => inner.write(bytes),
            Self::Plain(inner) => inner.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Aes(inner, _) => inner.flush(),
            Self::Plain(inner) => inner.flush(),
        }
    }
}
