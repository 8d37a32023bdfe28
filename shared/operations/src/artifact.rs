//! Reading a stored artifact back: each segment authenticated, then decrypted, then unzipped. No byte is released
//! before its authenticity was checked.

use std::{
    io::{self, Read},
    sync::Arc,
};

use holdfast_archive::ContentHash;
use holdfast_codec::{ArtifactDigest, ArtifactPlace, DecryptReader, GunzipReader, MasterKey, SegmentReader};
use holdfast_domain::{Artifact, Manifest, ObjectKey, SEGMENT_BYTES, Sha256Digest};
use holdfast_storage::{ByteReader, StoreError};

use crate::{OperationError, Repository};

/// The one artifact of a database backup.
pub(crate) fn dump_of(manifest: &Manifest) -> Result<&Artifact, OperationError> {
    match manifest.artifacts.as_slice() {
        [artifact] if artifact.key.backup().as_ref() != Some(&manifest.backup_id) => Err(OperationError::corrupt(
            &manifest.backup_id,
            format!("its manifest names {}, which is elsewhere", artifact.key),
        )),
        [artifact] if artifact.segment_bytes == SEGMENT_BYTES => Ok(artifact),
        [_] => Err(OperationError::corrupt(&manifest.backup_id, "its manifest names another segment size")),
        artifacts => Err(OperationError::corrupt(
            &manifest.backup_id,
            format!("its manifest names {} artifacts, a database backup has one", artifacts.len()),
        )),
    }
}

/// What opens an artifact, gathered before any byte is read.
pub(crate) struct Opener {
    pub(crate) master: Option<Arc<MasterKey>>,
    place: Option<ArtifactPlace>,
    digest: ArtifactDigest,
    gzip: bool,
}

impl Opener {
    /// Looks up the key, where one is needed.
    pub(crate) async fn new(repository: &Repository, manifest: &Manifest) -> Result<Self, OperationError> {
        let artifact = dump_of(manifest)?;
        let (master, place) = match &manifest.encryption {
            None => (None, None),
            Some(encryption) => {
                let place = ArtifactPlace {
                    repository: manifest.repository.clone(),
                    key_epoch: encryption.key_epoch,
                    object_key: artifact.key.clone(),
                };
                (Some(repository.master_key(encryption.key_epoch).await?), Some(place))
            }
        };
        let digest =
            ArtifactDigest { size_bytes: artifact.size, sha256: artifact.sha256, segments: artifact.segments.clone() };
        Ok(Self { master, place, digest, gzip: manifest.compression.is_some() })
    }

    /// A content hash as the manifest holds it: keyed where the backup is encrypted.
    pub(crate) fn content_digest(&self, hash: ContentHash) -> Sha256Digest {
        content_digest(self.master.as_deref(), hash)
    }

    /// The artifact's bytes, checked and decrypted, not unzipped.
    fn open<R: Read + Send + 'static>(&self, stored: R) -> io::Result<Box<dyn Read + Send>> {
        let digest = self.digest.clone();
        Ok(match (&self.master, &self.place) {
            (Some(master), Some(place)) => Box::new(DecryptReader::open(stored, master, place, digest)?),
            _ => Box::new(
                SegmentReader::new(stored, digest)
                    .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?,
            ),
        })
    }
}

/// A content hash as a manifest holds it: keyed where the backup is encrypted.
pub(crate) fn content_digest(master: Option<&MasterKey>, hash: ContentHash) -> Sha256Digest {
    master.map_or_else(|| hash.digest(), |master| master.content_hash(&hash.to_be_bytes()))
}

/// How far an [`ArchiveReader`] goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Authenticated and decrypted.
    Decrypted,
    /// And unzipped: the mongodump archive.
    Archive,
}

/// Reads an artifact on a blocking thread; opened by the first read, because opening reads the header.
pub(crate) struct ArchiveReader {
    opener: Arc<Opener>,
    stored: Option<Box<dyn Read + Send>>,
    opened: Option<Box<dyn Read + Send>>,
    depth: Depth,
}

impl ArchiveReader {
    /// The artifact at `key` of the store, from its first byte.
    pub(crate) async fn from_store(
        repository: &Repository,
        key: &ObjectKey,
        opener: Arc<Opener>,
        depth: Depth,
    ) -> Result<Self, OperationError> {
        let bytes = match (repository.store().get(key, None).await, key.backup()) {
            (Err(StoreError::NotFound { .. }), Some(id)) => {
                return Err(OperationError::corrupt(&id, format!("{key} is missing")));
            }
            (bytes, _) => bytes?,
        };
        Ok(Self { opener, stored: Some(Box::new(ByteReader::new(bytes))), opened: None, depth })
    }

    /// The same, telling how many stored bytes were read so far.
    pub(crate) fn metered(mut self, meter: impl FnMut(u64) + Send + 'static) -> Self {
        if let Some(inner) = self.stored.take() {
            self.stored = Some(Box::new(Metered { inner, read: 0, meter }));
        }
        self
    }
}

impl Read for ArchiveReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(stored) = self.stored.take() {
            let plain = self.opener.open(stored)?;
            let unzip = self.depth == Depth::Archive && self.opener.gzip;
            self.opened = Some(if unzip { Box::new(GunzipReader::new(plain)) } else { plain });
        }
        match &mut self.opened {
            Some(opened) => opened.read(buffer),
            None => Err(io::Error::other("the artifact could not be opened")),
        }
    }
}

struct Metered<R, F> {
    inner: R,
    read: u64,
    meter: F,
}

impl<R: Read, F: FnMut(u64)> Read for Metered<R, F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.read += count as u64;
        (self.meter)(self.read);
        Ok(count)
    }
}
