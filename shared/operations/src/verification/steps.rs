//! Verification by checksum in steps, for backups too large for one function's time. Each 8 MiB
//! segment has its own digest in the manifest, so it is checked alone and never read again.
//!
//! Memory: [`CONCURRENT_SEGMENTS`] segments of 8 MiB.

use std::{ops::Range, sync::Arc, time::Instant};

use futures_util::{TryStreamExt as _, future::try_join_all};
use holdfast_catalog::VerifiedSoFar;
use holdfast_codec::{HEADER_BYTES, Header, SegmentHasher};
use holdfast_domain::heartbeat::VERIFICATION_RECORD_EVERY;
use holdfast_domain::{Artifact, BackupType, Manifest, ObjectKey, SEGMENT_BYTES, Timestamp};
use holdfast_repository::{
    Damage, Repository,
    artifact_reader::{dump_of, master_of},
    content::read::blocking,
};
use holdfast_storage::StoreError;
use jiff::SignedDuration;

use super::claim::VerifyClaim;
use crate::{OperationError, RunLimits};

/// Reserve before the function's end, for the last step and the record.
const MARGIN: SignedDuration = SignedDuration::from_secs(30);
const CONCURRENT_SEGMENTS: usize = 4;

/// The verification of a backup by one run.
pub(super) struct Steps<'a> {
    pub(super) repository: &'a Repository,
    pub(super) claim: &'a VerifyClaim,
    limits: RunLimits,
    began: Instant,
    earlier_ms: u64,
    recorded_at: Instant,
    pub(super) so_far: VerifiedSoFar,
    /// A note about the complete list, after it was read.
    pub(super) note: Option<String>,
}

/// End of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StepEnd {
    /// Everything was read.
    Complete,
    /// The function's time ended.
    OutOfTime,
}

impl<'a> Steps<'a> {
    pub(super) fn new(
        repository: &'a Repository,
        claim: &'a VerifyClaim,
        limits: RunLimits,
        mut so_far: VerifiedSoFar,
        now: Timestamp,
    ) -> Self {
        so_far.begun_at.get_or_insert(now);
        let earlier_ms = so_far.spent_ms;
        let began = Instant::now();
        Self {
            repository,
            claim,
            limits,
            began,
            earlier_ms,
            recorded_at: began,
            so_far,
            note: None,
        }
    }

    /// Resumes at the end of the last run.
    pub(super) async fn read_artifacts(
        &mut self,
        manifest: &Manifest,
    ) -> Result<StepEnd, OperationError> {
        if manifest.backup_type == BackupType::Database {
            dump_of(manifest)?;
        }
        while let Some(artifact) = self.next_artifact(manifest) {
            if self.read_artifact(manifest, artifact).await? == StepEnd::OutOfTime {
                return Ok(StepEnd::OutOfTime);
            }
            self.so_far.artifacts += 1;
            self.so_far.segments = 0;
            let is_all = manifest.backup_type == BackupType::Database
                && self.next_artifact(manifest).is_none();
            if !is_all && self.is_out_of_time().await? {
                return Ok(StepEnd::OutOfTime);
            }
        }
        Ok(StepEnd::Complete)
    }

    fn next_artifact<'m>(&self, manifest: &'m Manifest) -> Option<&'m Artifact> {
        manifest
            .artifacts
            .get(usize::try_from(self.so_far.artifacts).ok()?)
    }

    /// An artifact is read until its first fault.
    async fn read_artifact(
        &mut self,
        manifest: &Manifest,
        artifact: &Artifact,
    ) -> Result<StepEnd, OperationError> {
        let hasher = match self.opened(manifest, artifact).await? {
            Ok(hasher) => Arc::new(hasher),
            Err(problem) => {
                self.so_far.problems.push(problem.into_string());
                return Ok(StepEnd::Complete);
            }
        };
        let count = artifact.segments.len() as u64;
        while self.so_far.segments < count {
            let from = self.so_far.segments;
            let numbers = from..(from + CONCURRENT_SEGMENTS as u64).min(count);
            let read = numbers.map(|number| {
                segment_problem(self.repository, artifact, Arc::clone(&hasher), number)
            });
            for problem in try_join_all(read).await? {
                if let Some(problem) = problem {
                    self.so_far.problems.push(problem.into_string());
                    return Ok(StepEnd::Complete);
                }
                self.so_far.bytes += range_of(artifact, self.so_far.segments).end
                    - self.so_far.segments * SEGMENT_BYTES;
                self.so_far.segments += 1;
            }
            if self.so_far.segments < count && self.is_out_of_time().await? {
                return Ok(StepEnd::OutOfTime);
            }
        }
        Ok(StepEnd::Complete)
    }

    /// The hasher for the artifact's segments, or the problem of the complete artifact.
    async fn opened(
        &self,
        manifest: &Manifest,
        artifact: &Artifact,
    ) -> Result<Result<SegmentHasher, Damage>, OperationError> {
        let Artifact {
            key,
            size,
            segment_bytes,
            segments,
            ..
        } = artifact;
        if *segment_bytes != SEGMENT_BYTES || size.div_ceil(SEGMENT_BYTES) != segments.len() as u64
        {
            return Ok(Err(format!(
                "its manifest has {} digests for the {size} bytes of {key}",
                segments.len()
            )
            .into()));
        }
        match self.repository.store().head(key).await {
            Ok(found) if found.size_bytes == *size => {}
            Ok(found) => {
                return Ok(Err(format!(
                    "{key} has {} bytes, but its manifest declares {size}",
                    found.size_bytes
                )
                .into()));
            }
            Err(StoreError::NotFound { .. }) => return Ok(Err(format!("{key} is missing").into())),
            Err(error) => return Err(error.into()),
        }
        let Some(master) = master_of(self.repository, manifest.encryption.as_ref()).await? else {
            return Ok(Ok(SegmentHasher::plain()));
        };
        let header = bytes_of(self.repository, key, 0..HEADER_BYTES as u64).await?;
        // The first segment contains the header, so its digest authenticates the header.
        let header = Header::parse(&header).map_err(|error| format!("{key}: {error}").into());
        Ok(header.map(|header| master.artifact_keys(&header.salt).segment_hasher()))
    }

    /// Records the progress at intervals. Returns whether the function's time is over.
    pub(super) async fn is_out_of_time(&mut self) -> Result<bool, OperationError> {
        let spent_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or_default();
        self.so_far.spent_ms = self.earlier_ms + spent_ms;
        if self
            .limits
            .deadline
            .is_some_and(|deadline| Timestamp::now() + MARGIN >= deadline)
        {
            return Ok(true);
        }
        if self.recorded_at.elapsed() > VERIFICATION_RECORD_EVERY {
            self.claim.record(&self.so_far).await?;
            self.recorded_at = Instant::now();
        }
        Ok(false)
    }
}

fn range_of(artifact: &Artifact, number: u64) -> Range<u64> {
    let start = number * SEGMENT_BYTES;
    start..(start + SEGMENT_BYTES).min(artifact.size)
}

async fn segment_problem(
    repository: &Repository,
    artifact: &Artifact,
    hasher: Arc<SegmentHasher>,
    number: u64,
) -> Result<Option<Damage>, OperationError> {
    let range = range_of(artifact, number);
    let (start, expected_bytes) = (range.start, range.end - range.start);
    let bytes = match bytes_of(repository, &artifact.key, range).await {
        Err(OperationError::Store(StoreError::NotFound { key, .. })) => {
            return Ok(Some(format!("{key} is missing").into()));
        }
        Err(OperationError::Store(error @ StoreError::Corrupt { .. })) => {
            return Ok(Some(error.to_string().into()));
        }
        bytes => bytes?,
    };
    if bytes.len() as u64 != expected_bytes {
        return Ok(Some(
            format!("{} ends within its segment {number}", artifact.key).into(),
        ));
    }
    let found = blocking("hash a segment", move || hasher.digest(number, &bytes)).await?;
    let expected = usize::try_from(number)
        .ok()
        .and_then(|number| artifact.segments.get(number));
    let problem = || {
        let end = start + expected_bytes;
        format!(
            "{}: segment {number} (bytes {start} to {end}) is not what was written",
            artifact.key
        )
    };
    Ok((Some(&found) != expected).then(|| problem().into()))
}

async fn bytes_of(
    repository: &Repository,
    key: &ObjectKey,
    range: Range<u64>,
) -> Result<Vec<u8>, OperationError> {
    let mut bytes =
        Vec::with_capacity(usize::try_from(range.end - range.start).unwrap_or_default());
    let mut pieces = repository.store().get(key, Some(range)).await?;
    while let Some(piece) = pieces.try_next().await? {
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}
