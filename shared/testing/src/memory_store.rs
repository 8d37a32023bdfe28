//! A store in memory with its own clock, for histories of years in seconds. It passes the suite of
//! all stores.

use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt as _, stream};
use holdfast_domain::{ObjectKey, Sha256Digest, Timestamp};
use holdfast_storage::{
    ByteStream, Checksum, CompositeDigest, Lock, ObjectInfo, ObjectStream, PutMode, Store,
    StoreError, Stored, UnfinishedUpload, UploadId, UploadedPart,
};
use sha2::{Digest as _, Sha256};

/// A store in memory. It ends with the process.
#[derive(Default)]
pub struct MemoryStore {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    clock: Option<Timestamp>,
    written: u64,
    objects: BTreeMap<ObjectKey, Object>,
    locks: BTreeMap<ObjectKey, Lock>,
    uploads: BTreeMap<String, Upload>,
}

#[derive(Clone)]
struct Object {
    body: Bytes,
    at: Timestamp,
    etag: String,
    parts: Option<Vec<Sha256Digest>>,
}

struct Upload {
    key: ObjectKey,
    begun_at: Timestamp,
    parts: BTreeMap<u32, Bytes>,
}

impl MemoryStore {
    /// An empty store with the machine's clock, until another time is set.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Later writes get this time.
    pub fn set_clock(&self, at: Timestamp) {
        self.state().clock = Some(at);
    }

    /// Locks an object, or unlocks it by [`Lock::default`].
    pub fn set_lock(&self, key: &ObjectKey, lock: Lock) {
        self.state().locks.insert(key.clone(), lock);
    }

    /// Every key, in order.
    #[must_use]
    pub fn keys(&self) -> Vec<ObjectKey> {
        self.state().objects.keys().cloned().collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn now(&self) -> Timestamp {
        self.clock.unwrap_or_else(Timestamp::now)
    }

    fn write(&mut self, key: &ObjectKey, body: Bytes, parts: Option<Vec<Sha256Digest>>) -> Stored {
        self.written += 1;
        let object = Object {
            at: self.now(),
            etag: format!("\"{}\"", self.written),
            parts,
            body,
        };
        let stored = object.stored();
        self.objects.insert(key.clone(), object);
        stored
    }

    fn object(&self, key: &ObjectKey) -> Result<&Object, StoreError> {
        let cause = || "there is no such object".to_owned();
        self.objects.get(key).ok_or_else(|| StoreError::NotFound {
            key: key.to_string(),
            cause: cause(),
        })
    }

    /// Builds an object from parts if its key is free. An identical existing object counts as a
    /// success.
    fn complete(
        &mut self,
        key: &ObjectKey,
        body: Bytes,
        parts: Vec<Sha256Digest>,
    ) -> Result<Stored, StoreError> {
        match self.objects.get(key) {
            None => Ok(self.write(key, body, Some(parts))),
            Some(object) if object.body == body && object.parts.as_ref() == Some(&parts) => {
                Ok(object.stored())
            }
            Some(_) => Err(taken(key)),
        }
    }
}

impl Object {
    fn stored(&self) -> Stored {
        let checksum = match &self.parts {
            None => Checksum::Full(sha256(&self.body)),
            Some(parts) => Checksum::Composite(CompositeDigest::of(parts)),
        };
        Stored {
            size_bytes: self.body.len() as u64,
            checksum,
        }
    }

    fn info(&self, key: &ObjectKey) -> ObjectInfo {
        let (size_bytes, etag) = (self.body.len() as u64, self.etag.clone());
        ObjectInfo {
            key: key.clone(),
            size_bytes,
            last_modified_at: self.at,
            etag,
        }
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn put(&self, key: &ObjectKey, body: Bytes, mode: PutMode) -> Result<Stored, StoreError> {
        let mut state = self.state();
        let there = state.objects.get(key);
        match mode {
            PutMode::Replace => {}
            PutMode::IfAbsent => match there {
                None => {}
                Some(object) if object.body == body => return Ok(object.stored()),
                Some(_) => return Err(taken(key)),
            },
            PutMode::IfUnchanged(etag) if there.is_some_and(|object| object.etag == etag) => {}
            PutMode::IfUnchanged(_) => return Err(taken(key)),
        }
        Ok(state.write(key, body, None))
    }

    async fn begin_upload(&self, key: &ObjectKey) -> Result<UploadId, StoreError> {
        let mut state = self.state();
        state.written += 1;
        let (id, begun_at) = (state.written.to_string(), state.now());
        state.uploads.insert(
            id.clone(),
            Upload {
                key: key.clone(),
                begun_at,
                parts: BTreeMap::new(),
            },
        );
        Ok(UploadId(id))
    }

    async fn upload_part(
        &self,
        key: &ObjectKey,
        upload: &UploadId,
        number: u32,
        body: Bytes,
    ) -> Result<UploadedPart, StoreError> {
        let mut state = self.state();
        let upload = state
            .uploads
            .get_mut(&upload.0)
            .ok_or_else(|| no_upload(key))?;
        let part = UploadedPart {
            number,
            size_bytes: body.len() as u64,
            sha256: sha256(&body),
            etag: format!("\"part {number}\""),
        };
        upload.parts.insert(number, body);
        Ok(part)
    }

    async fn complete_upload(
        &self,
        key: &ObjectKey,
        upload: &UploadId,
        parts: &[UploadedPart],
    ) -> Result<Stored, StoreError> {
        let mut state = self.state();
        let digests: Vec<Sha256Digest> = parts.iter().map(|part| part.sha256).collect();
        let Some(found) = state.uploads.get(&upload.0) else {
            let done = state
                .objects
                .get(key)
                .filter(|object| object.parts.as_ref() == Some(&digests));
            return done.map(Object::stored).ok_or_else(|| no_upload(key));
        };
        let mut body = BytesMut::new();
        for part in parts {
            let sent = found
                .parts
                .get(&part.number)
                .filter(|sent| sha256(sent) == part.sha256);
            body.extend_from_slice(sent.ok_or_else(|| altered(key))?);
        }
        let stored = state.complete(key, body.freeze(), digests)?;
        state.uploads.remove(&upload.0);
        Ok(stored)
    }

    async fn abort_upload(&self, _key: &ObjectKey, upload: &UploadId) -> Result<(), StoreError> {
        self.state().uploads.remove(&upload.0);
        Ok(())
    }

    async fn copy(
        &self,
        from: &ObjectKey,
        to: &ObjectKey,
        parts: &[UploadedPart],
    ) -> Result<Stored, StoreError> {
        let mut state = self.state();
        let (body, mut rest) = (
            state.object(from)?.body.clone(),
            state.object(from)?.body.clone(),
        );
        for part in parts {
            let length = usize::try_from(part.size_bytes).unwrap_or(usize::MAX);
            if rest.len() < length || sha256(&rest.split_to(length)) != part.sha256 {
                return Err(altered(from));
            }
        }
        if parts.is_empty() || !rest.is_empty() {
            return Err(altered(from));
        }
        state.complete(to, body, parts.iter().map(|part| part.sha256).collect())
    }

    async fn get(
        &self,
        key: &ObjectKey,
        range: Option<Range<u64>>,
    ) -> Result<ByteStream, StoreError> {
        let body = self.state().object(key)?.body.clone();
        let length = body.len() as u64;
        let range = range.unwrap_or(0..length);
        if range.start > length || (range.start == length && range.end > range.start) {
            let cause = format!(
                "the range begins at {}, but the object has {length} bytes",
                range.start
            );
            return Err(StoreError::Invalid {
                key: key.to_string(),
                cause,
            });
        }
        let at = |byte: u64| usize::try_from(byte.min(length)).unwrap_or(usize::MAX);
        let wanted = body.slice(at(range.start)..at(range.end));
        Ok(stream::iter([Ok(wanted)]).boxed())
    }

    async fn head(&self, key: &ObjectKey) -> Result<ObjectInfo, StoreError> {
        Ok(self.state().object(key)?.info(key))
    }

    fn list(&self, prefix: &str) -> ObjectStream {
        let state = self.state();
        let found = state
            .objects
            .iter()
            .filter(|(key, _)| key.as_str().starts_with(prefix));
        let found: Vec<_> = found.map(|(key, object)| Ok(object.info(key))).collect();
        stream::iter(found).boxed()
    }

    async fn delete(&self, key: &ObjectKey) -> Result<(), StoreError> {
        self.state().objects.remove(key);
        Ok(())
    }

    async fn lock(&self, key: &ObjectKey) -> Result<Lock, StoreError> {
        Ok(self.state().locks.get(key).copied().unwrap_or_default())
    }

    async fn list_unfinished_uploads(
        &self,
        prefix: &str,
    ) -> Result<Vec<UnfinishedUpload>, StoreError> {
        let state = self.state();
        let found = state
            .uploads
            .iter()
            .filter(|(_, upload)| upload.key.as_str().starts_with(prefix));
        let unfinished = |(id, upload): (&String, &Upload)| UnfinishedUpload {
            key: upload.key.clone(),
            upload_id: UploadId(id.clone()),
            initiated_at: upload.begun_at,
        };
        Ok(found.map(unfinished).collect())
    }
}

fn sha256(body: &[u8]) -> Sha256Digest {
    Sha256Digest::new(Sha256::digest(body).into())
}

fn taken(key: &ObjectKey) -> StoreError {
    StoreError::AlreadyExists {
        key: key.to_string(),
        cause: "another object exists under the key".to_owned(),
    }
}

fn no_upload(key: &ObjectKey) -> StoreError {
    StoreError::NotFound {
        key: key.to_string(),
        cause: "there is no such upload".to_owned(),
    }
}

fn altered(key: &ObjectKey) -> StoreError {
    StoreError::Corrupt {
        key: key.to_string(),
        cause: "a part differs from the sent one".to_owned(),
    }
}
