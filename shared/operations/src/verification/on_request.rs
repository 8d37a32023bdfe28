//! A verification by a function: within its time, one run at a time, and recorded.

use std::time::Duration;

use futures_util::{FutureExt as _, future::BoxFuture};
use holdfast_catalog::{CatalogError, VerifiedSoFar};
use holdfast_domain::{
    BackupId, BackupType, JobStatus, Manifest, ObjectKey, Secret, Timestamp, VerificationLevel,
};
use holdfast_recovery::{
    readers::Purpose,
    verification::{
        Findings, Judgement, Verification, content,
        drill::{NOT_CONTENT, drill},
        verify,
    },
};
use holdfast_repository::{Repository, RepositoryError, content::proof::note_of_other_forms};
use jiff::SignedDuration;

use super::{
    claim::VerifyClaim,
    content_steps::read_items,
    job_row::compare_with_job,
    record::record_verification,
    steps::{StepEnd, Steps},
};
use crate::{Holdfast, OperationError, RunLimits, job::heartbeat::persist, readers::protect};

/// Reserve before the function's end, for ending the current step and for the record.
const MARGIN: SignedDuration = SignedDuration::from_secs(45);
/// Minimum reading speed.
const BYTES_PER_SECOND: u64 = 20 * 1024 * 1024;
/// Limits of a verification with an immediate answer.
const SMALL_BYTES: u64 = 64 * 1024 * 1024;
const SMALL_ITEMS: u64 = 1000;

/// Outcome of a verification.
#[derive(Debug, Clone)]
pub enum VerifyOutcome {
    /// It has a recorded result.
    Done(Box<Verification>),
    /// The function's time ended, and the progress is recorded: the caller requests it again.
    Continue,
    /// Another run is active.
    Elsewhere,
    /// The backup was deleted meanwhile.
    Gone,
}

/// Refuses an unsupported level: any level of a full backup, and a drill of a content backup.
///
/// # Errors
/// [`OperationError::Invalid`].
pub fn expect_level(id: &BackupId, level: VerificationLevel) -> Result<(), OperationError> {
    match id.backup_type() {
        BackupType::Full => Err(OperationError::Invalid(format!(
            "{id} is a full backup: verify the backups it is made of"
        ))),
        BackupType::Content if level == VerificationLevel::Drill => {
            Err(OperationError::Invalid(NOT_CONTENT.to_owned()))
        }
        _ => Ok(()),
    }
}

/// Refuses an unsupported level, an unfinished backup, and a missing backup.
///
/// # Errors
/// As [`expect_level`], and [`OperationError::NotFound`], [`OperationError::NotVerifiable`], and
/// [`OperationError::Drill`] without a server for drills.
pub async fn expect_verifiable(
    h: &Holdfast,
    id: &BackupId,
    level: VerificationLevel,
) -> Result<(), OperationError> {
    expect_level(id, level)?;
    expect_finished(h, id).await?;
    if level == VerificationLevel::Drill {
        drill_server(h)?;
    }
    Ok(())
}

pub(super) async fn expect_finished(h: &Holdfast, id: &BackupId) -> Result<(), OperationError> {
    let status = match h.catalog.get(id).await {
        Ok(job) => Some(job.status),
        // The verification reports the fault of the row.
        Err(CatalogError::Corrupt { .. }) => Some(JobStatus::Completed),
        Err(CatalogError::NotFound { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    match status {
        // A missing manifest is a result of the verification.
        Some(JobStatus::Completed) => Ok(()),
        Some(status) if status.is_active() => Err(OperationError::NotVerifiable {
            backup_id: id.clone(),
            status,
        }),
        status => match (
            h.repository.store().head(&ObjectKey::manifest(id)).await,
            status,
        ) {
            (Ok(_), _) => Ok(()),
            (Err(error), Some(status)) if error.is_not_found() => {
                Err(OperationError::NotVerifiable {
                    backup_id: id.clone(),
                    status,
                })
            }
            (Err(error), None) if error.is_not_found() => Err(OperationError::NotFound(id.clone())),
            (Err(error), _) => Err(error.into()),
        },
    }
}

/// Whether its verification takes only seconds.
pub async fn is_small(repository: &Repository, id: &BackupId, level: VerificationLevel) -> bool {
    let manifest = repository.unauthenticated(id).await;
    match level {
        VerificationLevel::Drill => false,
        VerificationLevel::Checksum | VerificationLevel::Structure => {
            manifest.is_ok_and(|manifest| {
                total_bytes(&manifest) <= SMALL_BYTES
                    && manifest.original_size <= 4 * SMALL_BYTES
                    && manifest
                        .content
                        .is_none_or(|content| content.items.expected <= SMALL_ITEMS)
            })
        }
        VerificationLevel::Exists => manifest.is_ok_and(|manifest| {
            manifest
                .content
                .is_none_or(|content| content.items.expected <= SMALL_ITEMS)
        }),
    }
}

/// Verifies a backup and records the result.
///
/// # Errors
/// As [`verify`] and [`drill`]. [`OperationError::Unfinished`] if the function's time is too short
/// for a level that cannot be resumed.
pub async fn verify_on_request(
    h: &Holdfast,
    id: &BackupId,
    level: VerificationLevel,
    limits: RunLimits,
    now: Timestamp,
) -> Result<VerifyOutcome, OperationError> {
    verify_at(h, id, level, limits, h.catalog.by_server_clock(now).await?).await
}

/// The same at this time of the catalogue's server.
pub(super) async fn verify_at(
    h: &Holdfast,
    id: &BackupId,
    level: VerificationLevel,
    limits: RunLimits,
    now: Timestamp,
) -> Result<VerifyOutcome, OperationError> {
    let Some((claim, so_far)) = VerifyClaim::take(h, id, level).await? else {
        return Ok(VerifyOutcome::Elsewhere);
    };
    let lease = protect(h, &h.repository, id, Purpose::Verify).await;
    let verified = Box::pin(at_level(h, id, level, limits, now, &claim, so_far)).await;
    lease.release().await;
    end(h, claim, verified).await
}

async fn end(
    h: &Holdfast,
    claim: VerifyClaim,
    verified: Result<Option<Verification>, OperationError>,
) -> Result<VerifyOutcome, OperationError> {
    match verified {
        Ok(Some(verification)) => {
            let outcome = record(h, verification).await;
            claim.end().await?;
            outcome
        }
        Ok(None) => Ok(VerifyOutcome::Continue),
        // The claim stays, so the same attempt is not repeated at once.
        Err(error @ OperationError::Unfinished(_)) => Err(error),
        Err(error) => {
            claim.end().await?;
            Err(error)
        }
    }
}

async fn record(
    h: &Holdfast,
    mut verification: Verification,
) -> Result<VerifyOutcome, OperationError> {
    compare_with_job(&h.catalog, &h.repository, &mut verification).await?;
    let id = &verification.backup_id;
    let is_deleted = matches!(h.catalog.get(id).await, Ok(job) if job.status == JobStatus::Deleted);
    if is_deleted {
        return Ok(VerifyOutcome::Gone);
    }
    persist(|| record_verification(&h.catalog, &verification)).await?;
    Ok(VerifyOutcome::Done(Box::new(verification)))
}

/// Returns `None` if another run must resume.
async fn at_level(
    h: &Holdfast,
    id: &BackupId,
    level: VerificationLevel,
    limits: RunLimits,
    now: Timestamp,
    claim: &VerifyClaim,
    so_far: VerifiedSoFar,
) -> Result<Option<Verification>, OperationError> {
    let verified = match level {
        VerificationLevel::Drill => {
            let server = drill_server(h)?.clone();
            drill_within(h.repository.clone(), id.clone(), server, limits, now).await
        }
        VerificationLevel::Checksum
            if claim.is_recorded() && needs_steps(&h.repository, id, limits, &so_far).await =>
        {
            return verify_in_steps(h, id, limits, now, claim, so_far).await;
        }
        level => tokio::select! {
            verified = verify_boxed(h.repository.clone(), id.clone(), level, now) => verified,
            () = time_is_over(limits) => Err(too_slow(id, level)),
        },
    };
    match verified {
        Ok(verification) => Ok(Some(verification)),
        // The catalogue has a completed job for it, otherwise the request would have been refused.
        Err(OperationError::NotFound(_)) if claim.is_recorded() => {
            Ok(Some(without_manifest(h, id, level, now).await?))
        }
        Err(error) => Err(error),
    }
}

/// Boxed: the compiler cannot follow the borrows of its type through all callers.
fn verify_boxed(
    repository: Repository,
    id: BackupId,
    level: VerificationLevel,
    now: Timestamp,
) -> BoxFuture<'static, Result<Verification, OperationError>> {
    async move { Ok(verify(&repository, &id, level, now, |_, _| {}).await?) }.boxed()
}

/// Boxed: the future of a complete restore is too deep a type for the compiler's layout.
fn drill_within(
    repository: Repository,
    id: BackupId,
    server: Secret,
    limits: RunLimits,
    now: Timestamp,
) -> BoxFuture<'static, Result<Verification, OperationError>> {
    async move {
        Ok(drill(
            &repository,
            &id,
            &server,
            now,
            time_is_over(limits),
            &|_| {},
        )
        .await?)
    }
    .boxed()
}

async fn without_manifest(
    h: &Holdfast,
    id: &BackupId,
    level: VerificationLevel,
    now: Timestamp,
) -> Result<Verification, OperationError> {
    let missing = RepositoryError::corrupt(id, format!("{} is missing", ObjectKey::manifest(id)));
    Ok(Judgement::begin(&h.repository, id, level, now)
        .await?
        .end(Findings::default(), Err(missing.into()))?)
}

async fn verify_in_steps(
    h: &Holdfast,
    id: &BackupId,
    limits: RunLimits,
    now: Timestamp,
    claim: &VerifyClaim,
    so_far: VerifiedSoFar,
) -> Result<Option<Verification>, OperationError> {
    let mut steps = Steps::new(&h.repository, claim, limits, so_far, now);
    let mut found = Findings::default();
    let reached = read_all(&mut steps, id, &mut found).await;
    if matches!(reached, Ok(StepEnd::OutOfTime)) {
        claim.suspend(&steps.so_far).await?;
        return Ok(None);
    }
    let VerifiedSoFar {
        begun_at,
        bytes,
        spent_ms,
        problems,
        other_forms,
        ..
    } = steps.so_far;
    found.notes.extend(steps.note);
    found.notes.extend(note_of_other_forms(other_forms));
    (found.bytes_read, found.problems) = (bytes, problems);
    content::shorten(&mut found.problems);
    let (level, begun_at) = (VerificationLevel::Checksum, begun_at.unwrap_or(now));
    let judgement = Judgement::begin(&h.repository, id, level, begun_at).await?;
    let judged = match reached.map_err(OperationError::into_repository) {
        Ok(_) => Ok(()),
        Err(Ok(error)) => Err(error.into()),
        Err(Err(error)) => return Err(error),
    };
    let mut verification = judgement.end(found, judged)?;
    verification.duration_ms = spent_ms;
    Ok(Some(verification))
}

async fn read_all(
    steps: &mut Steps<'_>,
    id: &BackupId,
    found: &mut Findings,
) -> Result<StepEnd, OperationError> {
    let manifest = steps.repository.manifest(id).await?;
    found.namespaces.clone_from(&manifest.namespaces);
    found.items = manifest.content.as_ref().map(|content| content.items);
    let reached = steps.read_artifacts(&manifest).await?;
    if reached == StepEnd::Complete && manifest.backup_type == BackupType::Content {
        return read_items(steps, &manifest).await;
    }
    Ok(reached)
}

/// Whether one function's time may be too short, or was too short.
async fn needs_steps(
    repository: &Repository,
    id: &BackupId,
    limits: RunLimits,
    so_far: &VerifiedSoFar,
) -> bool {
    if *so_far != VerifiedSoFar::default() {
        return true;
    }
    let Some(left) = time_left(limits) else {
        return false;
    };
    let in_half_the_time = left.as_secs() / 2 * BYTES_PER_SECOND;
    repository
        .unauthenticated(id)
        .await
        .is_ok_and(|manifest| total_bytes(&manifest) > in_half_the_time)
}

/// Number of bytes for its verification.
fn total_bytes(manifest: &Manifest) -> u64 {
    let artifacts: u64 = manifest
        .artifacts
        .iter()
        .map(|artifact| artifact.size)
        .sum();
    artifacts
        + if manifest.content.is_some() {
            manifest.original_size
        } else {
            0
        }
}

fn drill_server(h: &Holdfast) -> Result<&Secret, OperationError> {
    h.settings.drill.uri.as_ref().ok_or_else(no_drill_server)
}

/// The refusal of a drill without a server for it.
#[must_use]
pub fn no_drill_server() -> OperationError {
    OperationError::Drill {
        reason: "it is not set: set it to a server for scratch databases".to_owned(),
        is_transient: false,
    }
}

/// The remaining time of the function, or `None` without a limit.
pub(super) fn time_left(limits: RunLimits) -> Option<Duration> {
    let left = limits.deadline?.duration_since(Timestamp::now()) - MARGIN;
    Some(Duration::try_from(left).unwrap_or_default())
}

/// Completes at the end of the function's time, or never without a limit.
async fn time_is_over(limits: RunLimits) {
    match time_left(limits) {
        Some(left) => tokio::time::sleep(left).await,
        None => std::future::pending().await,
    }
}

fn too_slow(id: &BackupId, level: VerificationLevel) -> OperationError {
    let level = level.as_str();
    OperationError::Unfinished(format!(
        "the function's time is too short to verify backup {id} at level {level}: \
         run `holdfast verify {id} --level {level}` on a machine, without a time limit"
    ))
}
