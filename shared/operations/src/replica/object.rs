//! Checks an object's bytes segment by segment, each against its own digest. So altered bytes are
//! never sent, and each part can be checked alone.

use std::{ops::Range, sync::Arc};

use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt as _;
use holdfast_codec::{HEADER_BYTES, Header, SegmentHasher, TRAILER_BYTES};
use holdfast_domain::{Artifact, SEGMENT_BYTES, StoredObject};
use holdfast_repository::{Repository, artifact_reader::master_of, content::read::blocking};
use holdfast_storage::{Store, StoreError, read_all};

use crate::OperationError;

/// Checks bytes against the manifest or the list of items.
pub(super) struct Checker {
    primary: Repository,
}

/// The data for checks of an object's segments.
#[derive(Clone)]
pub(super) struct Judge {
    artifact: Arc<Artifact>,
    hasher: Arc<SegmentHasher>,
}

/// The reason against an object.
pub(super) enum Unreadable {
    /// Its bytes are altered, or it is missing.
    Damaged(String),
    /// The store failed.
    Store(StoreError),
    /// Another failure, such as a missing key.
    Other(OperationError),
}

impl Checker {
    pub(super) fn new(primary: &Repository) -> Self {
        Self {
            primary: primary.clone(),
        }
    }

    /// Prepares the checks of an object in this store. An encrypted object needs its key.
    pub(super) async fn judge(
        &self,
        store: &dyn Store,
        object: &StoredObject,
    ) -> Result<Judge, Unreadable> {
        let header = match object.encryption {
            None => Bytes::new(),
            Some(_) => bytes_of(store, &object.artifact, 0..HEADER_BYTES as u64).await?,
        };
        self.judge_by(&header, object).await
    }

    /// Prepares the checks from the first bytes. An unencrypted object needs none of them.
    async fn judge_by(&self, first: &[u8], object: &StoredObject) -> Result<Judge, Unreadable> {
        let Artifact {
            key,
            size,
            segment_bytes,
            segments,
            ..
        } = &object.artifact;
        if *segment_bytes != SEGMENT_BYTES || size.div_ceil(SEGMENT_BYTES) != segments.len() as u64
        {
            let count = segments.len();
            return Err(Unreadable::Damaged(format!(
                "its record has {count} digests for the {size} bytes of {key}"
            )));
        }
        let master = master_of(&self.primary, object.encryption.as_ref())
            .await
            .map_err(|error| Unreadable::Other(error.into()))?;
        let hasher = match master {
            None => SegmentHasher::plain(),
            Some(master) => {
                // The first segment contains the header, so its digest authenticates the header.
                let header = Header::parse(&first[..first.len().min(HEADER_BYTES)]);
                let header =
                    header.map_err(|error| Unreadable::Damaged(format!("{key}: {error}")))?;
                master.artifact_keys(&header.salt).segment_hasher()
            }
        };
        Ok(Judge {
            artifact: Arc::new(object.artifact.clone()),
            hasher: Arc::new(hasher),
        })
    }

    /// Reads an object of at most one segment in one request. It returns only authentic bytes.
    pub(super) async fn read_small(
        &self,
        store: &dyn Store,
        object: &StoredObject,
    ) -> Result<Bytes, Unreadable> {
        let Artifact { key, size, .. } = &object.artifact;
        let other = |what: &str| {
            Unreadable::Damaged(format!(
                "{key} has {what} bytes than the {size} in its record"
            ))
        };
        let limit = usize::try_from(*size).unwrap_or(usize::MAX);
        let bytes = match read_all(store, key, limit).await {
            Err(StoreError::Limit { .. }) => return Err(other("more")),
            read => read?,
        };
        if bytes.len() < limit {
            return Err(other("fewer"));
        }
        self.judge_by(&bytes, object).await?.judged(0, bytes).await
    }
}

/// The header and the trailer of an encrypted object. They are equal if and only if the stored
/// bytes are equal.
#[derive(PartialEq, Eq)]
pub(super) struct Ends {
    header: Bytes,
    trailer: Bytes,
}

impl Ends {
    /// Reads both from an object of the recorded size, in two short requests.
    pub(super) async fn read(store: &dyn Store, object: &StoredObject) -> Result<Self, Unreadable> {
        let Artifact { key, size, .. } = &object.artifact;
        let (of_header, of_trailer) = (HEADER_BYTES as u64, TRAILER_BYTES as u64);
        let Some(trailer_at) = size.checked_sub(of_trailer).filter(|at| *at >= of_header) else {
            return Err(Unreadable::Damaged(format!(
                "{key} has {size} bytes, too few for an encrypted object"
            )));
        };
        let header = bytes_of(store, &object.artifact, 0..of_header).await?;
        Ok(Self {
            header,
            trailer: bytes_of(store, &object.artifact, trailer_at..*size).await?,
        })
    }
}

impl Checker {
    /// Whether the second store has another authentic form of the first store's object. A different
    /// salt distinguishes another form from damage, because the header is committed to the
    /// salt.
    pub(super) async fn is_another_form(
        &self,
        first: &Ends,
        second: &Ends,
        object: &StoredObject,
    ) -> Result<bool, OperationError> {
        let (Ok(ours), Ok(theirs)) = (Header::parse(&first.header), Header::parse(&second.header))
        else {
            return Ok(false);
        };
        let master = master_of(&self.primary, object.encryption.as_ref()).await?;
        let is_of_the_same =
            ours.repository == theirs.repository && ours.key_epoch == theirs.key_epoch;
        let is_committed = master.is_some_and(|master| theirs.is_committed_to(&master));
        Ok(ours.salt != theirs.salt && is_of_the_same && is_committed)
    }
}

impl Judge {
    /// Reads this range of the object from the start of a segment. It returns only authentic bytes.
    pub(super) async fn read(
        &self,
        store: &dyn Store,
        range: Range<u64>,
    ) -> Result<Bytes, Unreadable> {
        let bytes = bytes_of(store, &self.artifact, range.clone()).await?;
        self.judged(range.start, bytes).await
    }

    async fn judged(&self, start: u64, bytes: Bytes) -> Result<Bytes, Unreadable> {
        let (judge, judged) = (self.clone(), bytes.clone());
        let problem = blocking("hash a segment", move || judge.problem(start, &judged)).await;
        match problem.map_err(|error| Unreadable::Other(error.into()))? {
            Some(problem) => Err(Unreadable::Damaged(problem)),
            None => Ok(bytes),
        }
    }

    fn problem(&self, start: u64, bytes: &[u8]) -> Option<String> {
        let segment = usize::try_from(SEGMENT_BYTES).ok()?;
        (start / SEGMENT_BYTES..)
            .zip(bytes.chunks(segment))
            .find_map(|(number, bytes)| {
                let expected = usize::try_from(number)
                    .ok()
                    .and_then(|number| self.artifact.segments.get(number));
                let is_right = Some(&self.hasher.digest(number, bytes)) == expected;
                let (key, from) = (&self.artifact.key, number * SEGMENT_BYTES);
                let to = from + bytes.len() as u64;
                (!is_right).then(|| {
                    format!(
                        "{key}: segment {number} (bytes {from} to {to}) is not what was written"
                    )
                })
            })
    }

    /// Reads the complete object, a segment at a time.
    pub(super) async fn read_through(&self, store: &dyn Store) -> Result<(), Unreadable> {
        for number in 0..self.artifact.segments.len() as u64 {
            let start = number * SEGMENT_BYTES;
            self.read(
                store,
                start..(start + SEGMENT_BYTES).min(self.artifact.size),
            )
            .await?;
        }
        Ok(())
    }
}

impl From<StoreError> for Unreadable {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound { key, .. } => Self::Damaged(format!("{key} is missing")),
            StoreError::Corrupt { .. } => Self::Damaged(error.to_string()),
            error => Self::Store(error),
        }
    }
}

/// Reads exactly these bytes of an object. An empty object needs no request.
async fn bytes_of(
    store: &dyn Store,
    artifact: &Artifact,
    range: Range<u64>,
) -> Result<Bytes, Unreadable> {
    let wanted = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
    let mut bytes = BytesMut::with_capacity(wanted);
    if wanted > 0 {
        let mut pieces = store
            .get(&artifact.key, Some(range))
            .await
            .map_err(|error| past_its_end(error, artifact))?;
        while let Some(piece) = pieces.try_next().await? {
            bytes.extend_from_slice(&piece);
        }
    }
    if bytes.len() == wanted {
        return Ok(bytes.freeze());
    }
    Err(Unreadable::Damaged(format!(
        "{} has fewer bytes than the {} in its record",
        artifact.key, artifact.size
    )))
}

/// Describes a range past the end of a truncated object.
fn past_its_end(error: StoreError, artifact: &Artifact) -> Unreadable {
    match error {
        StoreError::Invalid { cause, .. } => {
            Unreadable::Damaged(format!("{} is cut: {cause}", artifact.key))
        }
        error => error.into(),
    }
}
