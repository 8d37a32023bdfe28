//! Sends an object to the second store: one segment in one request, a larger object in parts. The
//! receipts of the parts are recorded, so another run resumes the same upload.

use std::ops::Range;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use holdfast_catalog::{CopiedPart, CopyUpload};
use holdfast_domain::{SEGMENT_BYTES, StoredObject};
use holdfast_storage::{PutMode, StoreError, UploadId, UploadedPart, upload::MAX_PARTS};

use super::{
    copier::Copier,
    object::{Judge, Unreadable},
    wanted::Wanted,
};
use crate::OperationError;

/// Concurrent parts. Parts larger than [`LARGE_PART`] are sent one at a time.
const CONCURRENT_PARTS: usize = 3;
/// Objects of 640 GiB and more have such parts.
const LARGE_PART: u64 = 64 << 20;

impl Copier<'_> {
    /// Sends a missing object, and checks each byte before. If the first store has another
    /// authentic form than the record, that form is sent.
    pub(super) async fn send(&self, wanted: &Wanted<'_>) -> Result<(), OperationError> {
        match self.send_form(wanted.stored()).await {
            Err(SendFault::First(Unreadable::Damaged(problem))) => {
                let form = wanted
                    .form_in_first(problem)
                    .await
                    .map_err(|fault| self.primary_failed(fault))?;
                self.send_form(&form)
                    .await
                    .map_err(|fault| self.from_send_fault(fault))
            }
            sent => sent.map_err(|fault| self.from_send_fault(fault)),
        }
    }

    /// Sends an object in exactly this form.
    pub(super) async fn send_form(&self, object: &StoredObject) -> Result<(), SendFault> {
        let (from, key, size) = (
            self.primary.store().as_ref(),
            &object.artifact.key,
            object.artifact.size,
        );
        if size > SEGMENT_BYTES {
            return self.send_large(object).await;
        }
        let bytes = self.checker.read_small(from, object).await?;
        match self.second.store().put(key, bytes, PutMode::IfAbsent).await {
            Ok(_) => {
                self.with_work(|work| work.bytes += size);
                Ok(())
            }
            Err(error) => Err(SendFault::Other(self.not_taken(object, error))),
        }
    }

    async fn send_large(&self, object: &StoredObject) -> Result<(), SendFault> {
        let (from, key, size) = (
            self.primary.store().as_ref(),
            &object.artifact.key,
            object.artifact.size,
        );
        // A grown object is detected only by its size.
        let found = from.head(key).await.map_err(Unreadable::from)?;
        if found.size_bytes != size {
            return Err(Unreadable::Damaged(format!(
                "{key} has {} bytes instead of {size}",
                found.size_bytes
            ))
            .into());
        }
        let judge = self.checker.judge(from, object).await?;
        self.send_in_parts(object, &judge).await
    }

    /// Resumes the upload of an earlier run. If the second store does not know it, a new one
    /// begins.
    async fn send_in_parts(&self, object: &StoredObject, judge: &Judge) -> Result<(), SendFault> {
        let is_resumed = self
            .work()
            .upload
            .is_some_and(|upload| is_of(&upload, object));
        match self.parts_of_one_upload(object, judge).await {
            Err(SendFault::NoUpload(error)) if is_resumed => {
                tracing::warn!(key = %object.artifact.key, reason = %error, "the second store does not know the upload: a new one begins");
                self.with_work(|work| work.upload = None);
                self.parts_of_one_upload(object, judge).await
            }
            sent => sent,
        }
    }

    async fn parts_of_one_upload(
        &self,
        object: &StoredObject,
        judge: &Judge,
    ) -> Result<(), SendFault> {
        let (key, store) = (&object.artifact.key, self.second.store());
        let upload = self.begun(object).await?;
        let id = UploadId(upload.upload_id.clone());
        let missing = |number: &u32| upload.parts.iter().all(|part| part.number != *number);
        let sending = (1..=parts_in(&upload))
            .filter(missing)
            .map(|number| self.part(judge, &id, &upload, number));
        let at_a_time = if upload.part_bytes > LARGE_PART {
            1
        } else {
            CONCURRENT_PARTS
        };
        stream::iter(sending.collect::<Vec<_>>())
            .buffer_unordered(at_a_time)
            .try_collect::<Vec<()>>()
            .await?;
        let mut parts = self
            .work()
            .upload
            .map(|upload| upload.parts)
            .unwrap_or_default();
        parts.sort_by_key(|part| part.number);
        let parts: Vec<UploadedPart> = parts.into_iter().map(uploaded).collect();
        match store.complete_upload(key, &id, &parts).await {
            Ok(_) => {
                self.with_work(|work| work.upload = None);
                Ok(())
            }
            Err(error) => {
                let fault = if error.is_not_found() {
                    SendFault::NoUpload(error)
                } else {
                    SendFault::Other(self.not_taken(object, error.clone()))
                };
                // The receipts are useless, unless the store was only unavailable.
                if !matches!(&fault, SendFault::Other(error) if error.is_transient()) {
                    self.abort_upload().await;
                }
                Err(fault)
            }
        }
    }

    /// Returns the upload to resume, or a new one, and records it for later runs.
    async fn begun(&self, object: &StoredObject) -> Result<CopyUpload, SendFault> {
        let earlier = self.work().upload;
        if let Some(upload) = earlier.clone().filter(|upload| is_of(upload, object)) {
            return Ok(upload);
        }
        if earlier.is_some() {
            self.abort_upload().await;
        }
        let (key, size) = (object.artifact.key.clone(), object.artifact.size);
        let begun = self.second.store().begin_upload(&key).await;
        let UploadId(upload_id) =
            begun.map_err(|error| SendFault::Other(self.second_failed(error)))?;
        let (form, part_bytes) = (Some(object.artifact.sha256), part_bytes(size));
        let upload = CopyUpload {
            key,
            size,
            form,
            part_bytes,
            upload_id,
            parts: Vec::new(),
        };
        self.with_work(|work| work.upload = Some(upload.clone()));
        Ok(upload)
    }

    async fn part(
        &self,
        judge: &Judge,
        id: &UploadId,
        upload: &CopyUpload,
        number: u32,
    ) -> Result<(), SendFault> {
        let bytes = judge
            .read(self.primary.store().as_ref(), range_of(upload, number))
            .await;
        let bytes = bytes?;
        let size = bytes.len() as u64;
        let part = match self
            .second
            .store()
            .upload_part(&upload.key, id, number, bytes)
            .await
        {
            Ok(part) => part,
            Err(error) if error.is_not_found() => return Err(SendFault::NoUpload(error)),
            Err(error) => return Err(SendFault::Other(self.second_failed(error))),
        };
        self.with_work(|work| {
            work.bytes += size;
            if let Some(upload) = &mut work.upload {
                upload.parts.push(kept(part));
            }
        });
        Ok(())
    }

    /// Aborts the incomplete upload.
    pub(super) async fn abort_upload(&self) {
        let Some(upload) = self.with_work(|work| work.upload.take()) else {
            return;
        };
        let id = UploadId(upload.upload_id);
        if let Err(error) = self.second.store().abort_upload(&upload.key, &id).await {
            tracing::warn!(key = %upload.key, reason = %error, "an upload to the second store could not be aborted: \
                retention in that store aborts it later");
        }
    }

    /// The error for a damaged or unreadable object of the first store. Such an object is not sent.
    pub(super) fn primary_failed(&self, fault: Unreadable) -> OperationError {
        match fault {
            Unreadable::Damaged(problem) => {
                OperationError::corrupt(self.id, format!("{problem}: it was not copied"))
            }
            Unreadable::Store(error) => error.into(),
            Unreadable::Other(error) => error,
        }
    }

    fn not_taken(&self, object: &StoredObject, error: StoreError) -> OperationError {
        match error {
            StoreError::AlreadyExists { cause, .. } => self.differs(&object.artifact.key, cause),
            error => self.second_failed(error),
        }
    }

    pub(super) fn from_send_fault(&self, fault: SendFault) -> OperationError {
        match fault {
            SendFault::First(fault) => self.primary_failed(fault),
            SendFault::NoUpload(error) => self.second_failed(error),
            SendFault::Other(error) => error,
        }
    }
}

/// The reason for an unsent object.
pub(super) enum SendFault {
    /// It could not be read from the first store.
    First(Unreadable),
    /// The second store does not know the upload.
    NoUpload(StoreError),
    Other(OperationError),
}

impl From<Unreadable> for SendFault {
    fn from(fault: Unreadable) -> Self {
        Self::First(fault)
    }
}

/// Bytes of a part: complete segments, so that each part can be checked alone, and enough for the
/// maximum number of parts.
fn part_bytes(size: u64) -> u64 {
    size.div_ceil(SEGMENT_BYTES * u64::from(MAX_PARTS)).max(1) * SEGMENT_BYTES
}

fn parts_in(upload: &CopyUpload) -> u32 {
    u32::try_from(upload.size.div_ceil(upload.part_bytes)).unwrap_or(MAX_PARTS)
}

fn range_of(upload: &CopyUpload, number: u32) -> Range<u64> {
    let start = u64::from(number - 1) * upload.part_bytes;
    start..(start + upload.part_bytes).min(upload.size)
}

fn is_of(upload: &CopyUpload, object: &StoredObject) -> bool {
    let (key, size, form) = (
        &object.artifact.key,
        object.artifact.size,
        Some(object.artifact.sha256),
    );
    upload.key == *key
        && upload.size == size
        && upload.form == form
        && upload.part_bytes == part_bytes(size)
}

fn kept(part: UploadedPart) -> CopiedPart {
    CopiedPart {
        number: part.number,
        size: part.size_bytes,
        sha256: part.sha256,
        etag: part.etag,
    }
}

fn uploaded(part: CopiedPart) -> UploadedPart {
    UploadedPart {
        number: part.number,
        size_bytes: part.size,
        sha256: part.sha256,
        etag: part.etag,
    }
}

#[cfg(test)]
mod tests {
    use holdfast_domain::{Artifact, Encoding, ObjectKey, Sha256Digest};

    use super::*;

    #[test]
    fn parts_are_whole_segments_and_never_too_many() {
        for size in [
            SEGMENT_BYTES + 1,
            80 << 30,
            (SEGMENT_BYTES * 10_000) + 1,
            5 << 40,
        ] {
            let part = part_bytes(size);
            assert_eq!(part % SEGMENT_BYTES, 0);
            assert!(size.div_ceil(part) <= 10_000, "{size}");
        }
        assert_eq!(part_bytes(80 << 30) / SEGMENT_BYTES, 2);
    }

    #[test]
    fn an_upload_is_never_resumed_with_another_form_of_its_object() {
        let sha256 = |byte| Sha256Digest::new([byte; 32]);
        let key = ObjectKey::content_object(&sha256(1), Encoding::ENCRYPTED);
        let size = 3 * SEGMENT_BYTES;
        let form = |byte| StoredObject {
            artifact: Artifact {
                key: key.clone(),
                size,
                sha256: sha256(byte),
                segment_bytes: SEGMENT_BYTES,
                segments: vec![sha256(byte); 3],
            },
            compression: None,
            encryption: None,
        };
        let (upload_id, parts, part_bytes) = ("u".to_owned(), Vec::new(), part_bytes(size));
        let begun = CopyUpload {
            key: key.clone(),
            size,
            form: Some(sha256(2)),
            part_bytes,
            upload_id,
            parts,
        };
        assert!(is_of(&begun, &form(2)) && !is_of(&begun, &form(3)));
        assert!(
            !is_of(
                &CopyUpload {
                    form: None,
                    ..begun
                },
                &form(2)
            ),
            "an earlier version did not record the form"
        );
    }
}
