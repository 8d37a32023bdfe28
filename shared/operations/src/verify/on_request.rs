//! A verification as the functions run it: within their time, one run at a time, and recorded.

use std::time::Duration;

use futures_util::{FutureExt as _, future::BoxFuture};
use holdfast_catalog::{CatalogError, VerifiedSoFar};
use holdfast_domain::{BackupId, BackupType, JobStatus, Manifest, ObjectKey, Secret, Timestamp, VerificationLevel};
use jiff::SignedDuration;

use super::{
    Findings, Judgement, Verification,
    claim::Claim,
    compare_with_job, content,
    drill::{NOT_CONTENT, drill},
    record_verification,
    steps::{Reached, Steps},
    verify,
};
use crate::{
    Holdfast, OperationError, Repository, RunLimits,
    content::proof::note_of_other_forms,
    heartbeat::persist,
    readers::{Purpose, protect},
};

/// Before the function's end, for what was begun to be given up, and the record.
const MARGIN: SignedDuration = SignedDuration::from_secs(45);
/// What is read in a second at the least.
const BYTES_PER_SECOND: u64 = 20 * 1024 * 1024;
/// What is answered at once has no more bytes and items.
const SMALL_BYTES: u64 = 64 * 1024 * 1024;
const SMALL_ITEMS: u64 = 1000;

/// What came of a verification.
#[derive(Debug, Clone)]
pub enum VerifyOutcome {
    /// It has a result, which is recorded.
    Done(Box<Verification>),
    /// The function's time ran out, and how far it came is kept: the caller asks for it again.
    HandOn,
    /// Another run is at it.
    Elsewhere,
    /// The backup was deleted meanwhile.
    Gone,
}

/// Refuses what has no such level: a full backup, which is its parts; a drill of files.
///
/// # Errors
/// [`OperationError::Invalid`].
pub fn expect_level(id: &BackupId, level: VerificationLevel) -> Result<(), OperationError> {
    match id.backup_type() {
        BackupType::Full => {
            Err(OperationError::Invalid(format!("{id} is a full backup: verify the backups it is made of")))
        }
        BackupType::Content if level == VerificationLevel::Drill => {
            Err(OperationError::Invalid(NOT_CONTENT.to_owned()))
        }
        _ => Ok(()),
    }
}

/// Refuses what cannot be verified at this level, is not finished, or is not there.
///
/// # Errors
/// As [`expect_level`]; [`OperationError::NotFound`], [`OperationError::NotVerifiable`]; [`OperationError::Drill`] without
/// a server for it.
pub async fn expect_verifiable(h: &Holdfast, id: &BackupId, level: VerificationLevel) -> Result<(), OperationError> {
    expect_level(id, level)?;
    expect_finished(h, id).await?;
    if level == VerificationLevel::Drill {
        drill_server(h)?;
    }
    Ok(())
}

async fn expect_finished(h: &Holdfast, id: &BackupId) -> Result<(), OperationError> {
    let status = match h.catalog.get(id).await {
        Ok(job) => Some(job.status),
        // What is wrong with the row is for the verification to tell.
        Err(CatalogError::Corrupt { .. }) => Some(JobStatus::Completed),
        Err(CatalogError::NotFound { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    match status {
        // That its manifest is missing is a result.
        Some(JobStatus::Completed) => Ok(()),
        Some(status) if status.is_active() => Err(OperationError::NotVerifiable { backup_id: id.clone(), status }),
        status => match (h.repository.store().head(&ObjectKey::manifest(id)).await, status) {
            (Ok(_), _) => Ok(()),
            (Err(error), Some(status)) if error.is_not_found() => {
                Err(OperationError::NotVerifiable { backup_id: id.clone(), status })
            }
            (Err(error), None) if error.is_not_found() => Err(OperationError::NotFound(id.clone())),
            (Err(error), _) => Err(error.into()),
        },
    }
}

/// Whether a verification of it is a matter of seconds.
pub async fn is_small(repository: &Repository, id: &BackupId, level: VerificationLevel) -> bool {
    let manifest = repository.unauthenticated(id).await;
    match level {
        VerificationLevel::Drill => false,
        VerificationLevel::Checksum | VerificationLevel::Structure => manifest.is_ok_and(|manifest| {
            total_bytes(&manifest) <= SMALL_BYTES
                && manifest.original_size <= 4 * SMALL_BYTES
                && manifest.content.is_none_or(|content| content.items.expected <= SMALL_ITEMS)
        }),
        VerificationLevel::Exists => {
            manifest.is_ok_and(|manifest| manifest.content.is_none_or(|content| content.items.expected <= SMALL_ITEMS))
        }
    }
}

/// Verifies a backup and records the result.
///
/// # Errors
/// As [`verify`] and [`drill`]; [`OperationError::Unfinished`] where the function's time is not enough for a level that
/// cannot be gone on with.
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
    let Some((claim, so_far)) = Claim::take(h, id, level).await? else { return Ok(VerifyOutcome::Elsewhere) };
    let lease = protect(h, &h.repository, id, Purpose::Verify).await;
    let verified = Box::pin(at_level(h, id, level, limits, now, &claim, so_far)).await;
    lease.release().await;
    end(h, claim, verified).await
}

/// The same for somebody who waits for the result; none where it takes longer than they do, and is left to be asked for.
///
/// # Errors
/// As [`verify_on_request`].
pub async fn verify_while_waiting(
    h: &Holdfast,
    id: &BackupId,
    level: VerificationLevel,
    patience: Duration,
    now: Timestamp,
) -> Result<Option<VerifyOutcome>, OperationError> {
    let now = h.catalog.by_server_clock(now).await?;
    let Some((claim, so_far)) = Claim::take(h, id, level).await? else { return Ok(Some(VerifyOutcome::Elsewhere)) };
    let lease = protect(h, &h.repository, id, Purpose::Verify).await;
    let verifying = Box::pin(at_level(h, id, level, RunLimits::none(), now, &claim, so_far));
    let verified = tokio::time::timeout(patience, verifying).await;
    lease.release().await;
    match verified {
        Ok(verified) => end(h, claim, verified).await.map(Some),
        // Or who does it next would take this run for one that is still at it.
        Err(_) => claim.end().await.map(|()| None),
    }
}

async fn end(
    h: &Holdfast,
    claim: Claim,
    verified: Result<Option<Verification>, OperationError>,
) -> Result<VerifyOutcome, OperationError> {
    match verified {
        Ok(Some(verification)) => {
            let outcome = record(h, verification).await;
            claim.end().await?;
            outcome
        }
        Ok(None) => Ok(VerifyOutcome::HandOn),
        // The hold stays, so that nobody tries the same again at once.
        Err(error @ OperationError::Unfinished(_)) => Err(error),
        Err(error) => {
            claim.end().await?;
            Err(error)
        }
    }
}

async fn record(h: &Holdfast, mut verification: Verification) -> Result<VerifyOutcome, OperationError> {
    compare_with_job(&h.catalog, &h.repository, &mut verification).await?;
    let id = &verification.backup_id;
    let is_deleted = matches!(h.catalog.get(id).await, Ok(job) if job.status == JobStatus::Deleted);
    if is_deleted {
        return Ok(VerifyOutcome::Gone);
    }
    persist(|| record_verification(&h.catalog, &verification)).await?;
    Ok(VerifyOutcome::Done(Box::new(verification)))
}

/// None where it is to be gone on with.
async fn at_level(
    h: &Holdfast,
    id: &BackupId,
    level: VerificationLevel,
    limits: RunLimits,
    now: Timestamp,
    claim: &Claim,
    so_far: VerifiedSoFar,
) -> Result<Option<Verification>, OperationError> {
    let verified = match level {
        VerificationLevel::Drill => {
            let server = drill_server(h)?.clone();
            drill_within(h.repository.clone(), id.clone(), server, limits, now).await
        }
        VerificationLevel::Checksum if claim.is_kept() && takes_steps(&h.repository, id, limits, &so_far).await => {
            return step_on(h, id, limits, now, claim, so_far).await;
        }
        level => tokio::select! {
            verified = verify_boxed(h.repository.clone(), id.clone(), level, now) => verified,
            () = time_is_over(limits) => Err(too_slow(id, level)),
        },
    };
    match verified {
        Ok(verification) => Ok(Some(verification)),
        // The catalogue has a completed job of it, or nobody would have asked.
        Err(OperationError::NotFound(_)) if claim.is_kept() => Ok(Some(without_manifest(h, id, level, now).await?)),
        Err(error) => Err(error),
    }
}

/// Boxed: so its type tells nothing of what it borrows, which no compiler could follow through all its callers.
fn verify_boxed(
    repository: Repository,
    id: BackupId,
    level: VerificationLevel,
    now: Timestamp,
) -> BoxFuture<'static, Result<Verification, OperationError>> {
    async move { verify(&repository, &id, level, now, |_, _| {}).await }.boxed()
}

/// Boxed: the future of a whole restore is too deep a type for the compiler's layout.
fn drill_within(
    repository: Repository,
    id: BackupId,
    server: Secret,
    limits: RunLimits,
    now: Timestamp,
) -> BoxFuture<'static, Result<Verification, OperationError>> {
    async move { drill(&repository, &id, &server, now, time_is_over(limits), &|_| {}).await }.boxed()
}

async fn without_manifest(
    h: &Holdfast,
    id: &BackupId,
    level: VerificationLevel,
    now: Timestamp,
) -> Result<Verification, OperationError> {
    let missing = OperationError::corrupt(id, format!("{} is missing", ObjectKey::manifest(id)));
    Judgement::begin(&h.repository, id, level, now).await?.end(Findings::default(), Err(missing))
}

async fn step_on(
    h: &Holdfast,
    id: &BackupId,
    limits: RunLimits,
    now: Timestamp,
    claim: &Claim,
    so_far: VerifiedSoFar,
) -> Result<Option<Verification>, OperationError> {
    let mut steps = Steps::new(&h.repository, claim, limits, so_far, now);
    let mut found = Findings::default();
    let reached = read_on(&mut steps, id, &mut found).await;
    if matches!(reached, Ok(Reached::TimeLimit)) {
        claim.hand_on(&steps.so_far).await?;
        return Ok(None);
    }
    let VerifiedSoFar { begun_at, bytes, spent_ms, problems, other_forms, .. } = steps.so_far;
    found.notes.extend(steps.note);
    found.notes.extend(note_of_other_forms(other_forms));
    (found.bytes_read, found.problems) = (bytes, problems);
    content::shorten(&mut found.problems);
    let (level, begun_at) = (VerificationLevel::Checksum, begun_at.unwrap_or(now));
    let judgement = Judgement::begin(&h.repository, id, level, begun_at).await?;
    let mut verification = judgement.end(found, reached.map(drop))?;
    verification.duration_ms = spent_ms;
    Ok(Some(verification))
}

async fn read_on(steps: &mut Steps<'_>, id: &BackupId, found: &mut Findings) -> Result<Reached, OperationError> {
    let manifest = steps.repository.manifest(id).await?;
    found.namespaces.clone_from(&manifest.namespaces);
    found.items = manifest.content.as_ref().map(|content| content.items);
    steps.read_on(&manifest).await
}

/// Whether one function's time may not be enough, or was not.
async fn takes_steps(repository: &Repository, id: &BackupId, limits: RunLimits, so_far: &VerifiedSoFar) -> bool {
    if *so_far != VerifiedSoFar::default() {
        return true;
    }
    let Some(left) = time_left(limits) else { return false };
    let in_half_the_time = left.as_secs() / 2 * BYTES_PER_SECOND;
    repository.unauthenticated(id).await.is_ok_and(|manifest| total_bytes(&manifest) > in_half_the_time)
}

/// Bytes that are read to verify it.
fn total_bytes(manifest: &Manifest) -> u64 {
    let artifacts: u64 = manifest.artifacts.iter().map(|artifact| artifact.size).sum();
    artifacts + if manifest.content.is_some() { manifest.original_size } else { 0 }
}

fn drill_server(h: &Holdfast) -> Result<&Secret, OperationError> {
    let missing = || OperationError::Drill("it is not set: it takes a server for scratch databases".to_owned(), false);
    h.settings.drill.uri.as_ref().ok_or_else(missing)
}

/// What is left of the function's time; none where there is no limit.
pub(super) fn time_left(limits: RunLimits) -> Option<Duration> {
    let left = limits.deadline?.duration_since(Timestamp::now()) - MARGIN;
    Some(Duration::try_from(left).unwrap_or_default())
}

/// Comes when the function's time is over; never where there is no limit.
async fn time_is_over(limits: RunLimits) {
    match time_left(limits) {
        Some(left) => tokio::time::sleep(left).await,
        None => std::future::pending().await,
    }
}

fn too_slow(id: &BackupId, level: VerificationLevel) -> OperationError {
    let level = level.as_str();
    OperationError::Unfinished(format!(
        "the function's time is not enough to verify backup {id} at level {level}: \
         `holdfast verify {id} --level {level}` from a machine has no limit"
    ))
}
