//! Reads a stored artifact: each segment is authenticated, then decrypted, then unzipped. No byte
//! is released before its authentication.

use std::{
    io::{self, Read},
    sync::Arc,
};

use holdfast_archive::ContentHash;
use holdfast_codec::{
    ArtifactDigest, ArtifactPlace, DecryptReader, GunzipReader, MasterKey, SegmentReader,
};
use holdfast_domain::{
    Artifact, Encryption, Manifest, ObjectKey, RepositoryId, SEGMENT_BYTES, Sha256Digest,
    StoredObject,
};
use holdfast_storage::{ByteReader, ByteStream, StoreError};

use crate::{Repository, RepositoryError};

/// The one artifact of a database backup.
///
/// # Errors
/// [`RepositoryError::Corrupt`] if the manifest does not name exactly one artifact, in the folder
/// of the backup and with segments of [`SEGMENT_BYTES`].
pub fn dump_of(manifest: &Manifest) -> Result<&Artifact, RepositoryError> {
    match manifest.artifacts.as_slice() {
        [artifact] if artifact.key.backup().as_ref() != Some(&manifest.backup_id) => {
            Err(RepositoryError::corrupt(
                &manifest.backup_id,
                format!(
                    "its manifest names {}, outside the folder of the backup",
                    artifact.key
                ),
            ))
        }
        [artifact] if artifact.segment_bytes == SEGMENT_BYTES => Ok(artifact),
        [_] => Err(RepositoryError::corrupt(
            &manifest.backup_id,
            "its manifest names another segment size",
        )),
        artifacts => Err(RepositoryError::corrupt(
            &manifest.backup_id,
            format!(
                "its manifest names {} artifacts, a database backup has one",
                artifacts.len()
            ),
        )),
    }
}

/// An artifact of a manifest, as an object of its own.
#[must_use]
pub fn stored_object(manifest: &Manifest, artifact: &Artifact) -> StoredObject {
    StoredObject {
        artifact: artifact.clone(),
        compression: manifest.compression,
        encryption: manifest.encryption.clone(),
    }
}

/// The master key of an encrypted object. `None` for an unencrypted one.
///
/// # Errors
/// Those of [`Repository::master_key`].
pub async fn master_of(
    repository: &Repository,
    encryption: Option<&Encryption>,
) -> Result<Option<Arc<MasterKey>>, RepositoryError> {
    match encryption {
        None => Ok(None),
        Some(encryption) => Ok(Some(repository.master_key(encryption.key_epoch).await?)),
    }
}

/// The inputs for opening an artifact, collected before any byte is read.
pub struct Opener {
    master: Option<Arc<MasterKey>>,
    place: Option<ArtifactPlace>,
    digest: ArtifactDigest,
    gzip: bool,
}

impl Opener {
    /// For the dump of a database backup. Reads its key, if it is encrypted.
    ///
    /// # Errors
    /// Those of [`dump_of`] and [`Repository::master_key`].
    pub async fn new(
        repository: &Repository,
        manifest: &Manifest,
    ) -> Result<Self, RepositoryError> {
        let object = stored_object(manifest, dump_of(manifest)?);
        let master = master_of(repository, object.encryption.as_ref()).await?;
        Ok(Self::of(object, &manifest.repository, master))
    }

    /// For any object. `master` is the key of its epoch.
    pub(crate) fn of(
        object: StoredObject,
        repository: &RepositoryId,
        master: Option<Arc<MasterKey>>,
    ) -> Self {
        let StoredObject {
            artifact,
            compression,
            encryption,
        } = object;
        let place = encryption.map(|encryption| ArtifactPlace {
            repository: repository.clone(),
            key_epoch: encryption.key_epoch,
            object_key: artifact.key,
        });
        let digest = ArtifactDigest {
            size_bytes: artifact.size,
            sha256: artifact.sha256,
            segments: artifact.segments,
        };
        Self {
            master,
            place,
            digest,
            gzip: compression.is_some(),
        }
    }

    /// A content hash in the form of the manifest: keyed if the backup is encrypted.
    #[must_use]
    pub fn content_digest(&self, hash: ContentHash) -> Sha256Digest {
        content_digest(self.master.as_deref(), hash)
    }

    /// The artifact's bytes, checked and decrypted, not unzipped.
    fn open<R: Read + Send + 'static>(&self, stored: R) -> io::Result<Box<dyn Read + Send>> {
        let digest = self.digest.clone();
        Ok(match (&self.master, &self.place) {
            (Some(master), Some(place)) => {
                Box::new(DecryptReader::open(stored, master, place, digest)?)
            }
            (None, None) => Box::new(
                SegmentReader::new(stored, digest)
                    .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?,
            ),
            _ => {
                return Err(io::Error::other(
                    "an encrypted artifact was to be opened without its key",
                ));
            }
        })
    }
}

/// A content hash in the form of a manifest: keyed if the backup is encrypted.
#[must_use]
pub fn content_digest(master: Option<&MasterKey>, hash: ContentHash) -> Sha256Digest {
    master.map_or_else(
        || hash.digest(),
        |master| master.content_hash(&hash.to_be_bytes()),
    )
}

/// How far an [`ArtifactReader`] goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Authenticated and decrypted.
    Decrypted,
    /// Authenticated, decrypted and unzipped: the original bytes.
    Plain,
}

/// Reads an artifact on a blocking thread. The first read opens it, because opening reads the
/// header.
pub struct ArtifactReader {
    opener: Arc<Opener>,
    stored: Option<Box<dyn Read + Send>>,
    opened: Option<Box<dyn Read + Send>>,
    depth: Depth,
}

impl ArtifactReader {
    /// The artifact at `key` of the store, from its first byte.
    ///
    /// # Errors
    /// [`RepositoryError::Corrupt`] if an artifact of a backup is missing.
    /// [`RepositoryError::Store`] if the store is unavailable, or an object outside of backups
    /// is missing.
    pub async fn from_store(
        repository: &Repository,
        key: &ObjectKey,
        opener: Arc<Opener>,
        depth: Depth,
    ) -> Result<Self, RepositoryError> {
        let bytes = match (repository.store().get(key, None).await, key.backup()) {
            (Err(StoreError::NotFound { .. }), Some(id)) => {
                return Err(RepositoryError::corrupt(&id, format!("{key} is missing")));
            }
            (bytes, _) => bytes?,
        };
        Ok(Self::of(bytes, opener, depth))
    }

    /// An artifact from a byte stream. Call it inside a runtime, like [`ByteReader::new`].
    pub(crate) fn of(bytes: ByteStream, opener: Arc<Opener>, depth: Depth) -> Self {
        Self {
            opener,
            stored: Some(Box::new(ByteReader::new(bytes))),
            opened: None,
            depth,
        }
    }

    /// The same, with a report of the stored bytes read so far.
    #[must_use]
    pub fn metered(mut self, meter: impl FnMut(u64) + Send + 'static) -> Self {
        if let Some(inner) = self.stored.take() {
            self.stored = Some(Box::new(Metered {
                inner,
                read: 0,
                meter,
            }));
        }
        self
    }
}

impl Read for ArtifactReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(stored) = self.stored.take() {
            let plain = self.opener.open(stored)?;
            let unzip = self.depth == Depth::Plain && self.opener.gzip;
            self.opened = Some(if unzip {
                Box::new(GunzipReader::new(plain))
            } else {
                plain
            });
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
