//! Proves an object by its own bytes: digests and trailer in one pass, content in another.

use std::{io::Read, ops::Range};

use holdfast_codec::{
    ArtifactDigest, ArtifactPlace, DigestWriter, HEADER_BYTES, Header, MemberReader, SegmentHasher,
};
use holdfast_content::ipfs::DagRecord;
use holdfast_domain::{Artifact, Encryption, ObjectKey, SEGMENT_BYTES, StoredObject};
use holdfast_storage::ByteReader;

use crate::{
    RepositoryError,
    artifact_reader::Depth,
    content::{
        proof::{ContentObject, Holds, MAX_RECORD_BYTES},
        read::{ObjectSource, Plain, ReadFault, blocking, digest_of},
    },
};

impl ObjectSource {
    /// Reads an object to its end and returns its present stored form.
    ///
    /// # Errors
    /// [`ReadFault::Damaged`] if it is missing, its trailer does not match, or it holds other
    /// content. [`ReadFault::Other`] if the store is unavailable, or no key at hand opens it.
    pub async fn prove(&self, object: &ContentObject) -> Result<StoredObject, ReadFault> {
        self.expect_plausible_size(object).await?;
        let form = self.present_form(&object.stored).await?;
        match &object.holds {
            Holds::File(expected) => self.expect_file(&form, *expected).await?,
            Holds::Blocks { path, file_size } => {
                self.expect_blocks(&form, path.as_deref(), *file_size)
                    .await?;
            }
        }
        Ok(form)
    }

    /// Reads and checks every stored byte: against the record, or after a second storing against
    /// the object's own proof.
    ///
    /// # Errors
    /// [`ReadFault::Damaged`] if the object is missing, or neither check succeeds.
    /// [`ReadFault::Other`] if the store is unavailable, or no key at hand opens the object.
    pub async fn authenticate(&self, object: &ContentObject) -> Result<(), ReadFault> {
        let read = async {
            let mut reader = self.open_to(&object.stored, Depth::Decrypted).await?;
            let read = blocking("read an object", move || digest_of(&mut reader)).await?;
            read.map_err(|error| ReadFault::of(&error, object.key()))
        };
        match read.await {
            Ok(_) => Ok(()),
            Err(ReadFault::Damaged(problem)) => self.prove_or(object, problem).await.map(drop),
            Err(other) => Err(other),
        }
    }

    /// Returns the problem of an object with this many bytes, if any. An object of the recorded
    /// size is not read.
    ///
    /// # Errors
    /// If the store is unavailable, or no key at hand opens the object.
    pub async fn problem_of_size(
        &self,
        object: &ContentObject,
        size_bytes: u64,
    ) -> Result<Option<String>, RepositoryError> {
        let recorded = object.stored.artifact.size;
        if size_bytes == recorded {
            return Ok(None);
        }
        let problem = format!(
            "{} has {size_bytes} bytes, {recorded} were stored",
            object.key()
        );
        match self.prove_or(object, problem).await {
            Ok(_) => Ok(None),
            Err(ReadFault::Damaged(problem)) => Ok(Some(problem)),
            Err(ReadFault::Other(error)) => Err(error),
        }
    }

    /// The present form of an object, if it has a valid one. Its recorded form was not found.
    /// `problem` is the damage otherwise.
    ///
    /// # Errors
    /// [`ReadFault::Damaged`] with `problem` if the object has no valid form. [`ReadFault::Other`]
    /// if the store is unavailable, or no key at hand opens the object.
    pub async fn prove_or(
        &self,
        object: &ContentObject,
        problem: String,
    ) -> Result<StoredObject, ReadFault> {
        if !object.has_other_forms() {
            return Err(ReadFault::Damaged(problem));
        }
        match self.prove(object).await {
            Ok(form) => {
                tracing::info!(key = %object.key(), "an object was stored again: it is proved by its content");
                self.count_other_form();
                Ok(form)
            }
            Err(ReadFault::Damaged(reason)) => {
                tracing::debug!(key = %object.key(), reason, "an object is not proved by its content");
                Err(ReadFault::Damaged(problem))
            }
            Err(other) => Err(other),
        }
    }

    /// Bounds every read: an attacker with write access to the store could put an endless object
    /// there.
    async fn expect_plausible_size(&self, object: &ContentObject) -> Result<(), ReadFault> {
        let found = self.store().head(object.key()).await?.size_bytes;
        if found <= object.holds.most_stored_bytes() {
            return Ok(());
        }
        Err(ReadFault::Damaged(format!(
            "{} has {found} bytes: no form of its content has so many",
            object.key()
        )))
    }

    /// The digests of the present form of an object. An encrypted object is authentic.
    async fn present_form(&self, recorded: &StoredObject) -> Result<StoredObject, ReadFault> {
        let key = &recorded.artifact.key;
        let (digest, encryption) = match &recorded.encryption {
            None => (self.digest_of_stored(key).await?, None),
            Some(encryption) => {
                let (digest, key_epoch) = self.verify(key, encryption).await?;
                (
                    digest,
                    Some(Encryption {
                        key_epoch,
                        ..encryption.clone()
                    }),
                )
            }
        };
        let ArtifactDigest {
            size_bytes: size,
            sha256,
            segments,
        } = digest;
        let artifact = Artifact {
            key: key.clone(),
            size,
            sha256,
            segment_bytes: SEGMENT_BYTES,
            segments,
        };
        Ok(StoredObject {
            artifact,
            compression: recorded.compression,
            encryption,
        })
    }

    async fn digest_of_stored(&self, key: &ObjectKey) -> Result<ArtifactDigest, ReadFault> {
        self.read_stored(key, None, |mut reader| {
            let mut writer = DigestWriter::new(std::io::sink(), SegmentHasher::plain());
            std::io::copy(&mut reader, &mut writer)?;
            Ok(writer.finish()?.1)
        })
        .await
    }

    async fn verify(
        &self,
        key: &ObjectKey,
        recorded: &Encryption,
    ) -> Result<(ArtifactDigest, u32), ReadFault> {
        let size_bytes = self.store().head(key).await?.size_bytes;
        if size_bytes < HEADER_BYTES as u64 {
            return Err(ReadFault::Damaged(format!(
                "{key} is shorter than a header"
            )));
        }
        let header = self
            .read_stored(key, Some(0..HEADER_BYTES as u64), Header::read_from)
            .await?;
        let key_epoch = header.key_epoch;
        let master = match self.master_of_epoch(key_epoch).await {
            // The header is not authentic yet. An epoch known only from the header is damage.
            Err(ReadFault::Other(error @ (RepositoryError::Key(_) | RepositoryError::File(_))))
                if key_epoch != recorded.key_epoch =>
            {
                return Err(ReadFault::Damaged(format!(
                    "{key} names key epoch {key_epoch}: {error}"
                )));
            }
            master => master?,
        };
        let place = ArtifactPlace {
            repository: self.id().clone(),
            key_epoch,
            object_key: key.clone(),
        };
        let verify = move |reader| holdfast_codec::verify(reader, size_bytes, &master, &place);
        Ok((self.read_stored(key, None, verify).await?, key_epoch))
    }

    /// Reads an object as stored, on a blocking thread.
    async fn read_stored<T: Send + 'static>(
        &self,
        key: &ObjectKey,
        range: Option<Range<u64>>,
        read: impl FnOnce(ByteReader) -> std::io::Result<T> + Send + 'static,
    ) -> Result<T, ReadFault> {
        let reader = ByteReader::new(self.store().get(key, range).await?);
        let read = blocking("read an object", move || read(reader)).await?;
        read.map_err(|error| ReadFault::of(&error, key))
    }

    /// Expands at most the size of the file and one byte.
    async fn expect_file(&self, form: &StoredObject, expected: Plain) -> Result<(), ReadFault> {
        let found = self
            .content(form, expected.size.saturating_add(1), |mut reader| {
                digest_of(&mut reader)
            })
            .await?;
        if found == expected {
            return Ok(());
        }
        Err(ReadFault::Damaged(format!(
            "{} holds another file: the SHA-256 differs",
            form.artifact.key
        )))
    }

    async fn expect_blocks(
        &self,
        form: &StoredObject,
        path: Option<&str>,
        file_size: u64,
    ) -> Result<(), ReadFault> {
        let key = &form.artifact.key;
        let bytes = self.content(form, MAX_RECORD_BYTES, |mut reader| {
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes).map(|_| bytes)
        });
        let record = DagRecord::from_bytes(&bytes.await?);
        let record = record.map_err(|error| ReadFault::Damaged(format!("{key}: {error}")))?;
        if Some(record.path().to_string().as_str()) == path && record.size() == file_size {
            return Ok(());
        }
        Err(ReadFault::Damaged(format!(
            "{key} rebuilds the blocks of another file"
        )))
    }

    /// The content of a form, at most `limit_bytes` of it. Without encryption nothing else proves
    /// the bytes of a gzip stream, so only Holdfast's own gzip form is accepted.
    async fn content<T: Send + 'static>(
        &self,
        form: &StoredObject,
        limit_bytes: u64,
        read: impl FnOnce(Box<dyn Read + Send>) -> std::io::Result<T> + Send + 'static,
    ) -> Result<T, ReadFault> {
        let stored = self.open_to(form, Depth::Decrypted).await?;
        let is_compressed = form.compression.is_some();
        let content: Box<dyn Read + Send> = if is_compressed {
            Box::new(MemberReader::new(stored))
        } else {
            Box::new(stored)
        };
        let read = blocking("read an object", move || {
            read(Box::new(content.take(limit_bytes)))
        })
        .await?;
        read.map_err(|error| ReadFault::of(&error, &form.artifact.key))
    }
}
