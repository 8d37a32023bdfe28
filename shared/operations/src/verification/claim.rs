//! A run's claim on the verification of one backup. It excludes concurrent runs, and another run
//! resumes after a crash.

use holdfast_catalog::{Catalog, VerificationClaim, VerifiedSoFar};
use holdfast_codec::random_bytes;
use holdfast_domain::{BackupId, Timestamp, VerificationLevel};
use jiff::SignedDuration;

use crate::{Holdfast, OperationError, job::heartbeat::persist};

/// A function is dead after its 15 minutes.
pub(super) const DEAD_AFTER: SignedDuration = SignedDuration::from_mins(16);

/// A claim. Without a row in the catalogue it excludes no other run and records nothing.
pub(super) struct VerifyClaim {
    catalog: Catalog,
    backup_id: BackupId,
    level: VerificationLevel,
    run: String,
    has_row: bool,
}

impl VerifyClaim {
    /// Takes the claim with the progress of earlier runs. Returns `None` if another run holds it.
    pub(super) async fn take(
        h: &Holdfast,
        id: &BackupId,
        level: VerificationLevel,
    ) -> Result<Option<(Self, VerifiedSoFar)>, OperationError> {
        let (run, now) = (hex::encode(random_bytes::<8>()?), h.catalog.now().await?);
        let claimed = h
            .catalog
            .begin_verification(id, level, &run, now - DEAD_AFTER, now)
            .await?;
        let (has_row, so_far) = match claimed {
            VerificationClaim::Taken(so_far) => (true, so_far),
            VerificationClaim::NoJob => (false, VerifiedSoFar::default()),
            VerificationClaim::Elsewhere => return Ok(None),
        };
        Ok(Some((
            Self {
                catalog: h.catalog.clone(),
                backup_id: id.clone(),
                level,
                run,
                has_row,
            },
            so_far,
        )))
    }

    /// Records the progress. Returns an error if another run took over.
    pub(super) async fn record(&self, so_far: &VerifiedSoFar) -> Result<(), OperationError> {
        let now = persist(|| async { Ok(self.catalog.now().await?) }).await?;
        self.write(so_far, now).await
    }

    /// Records the progress, and permits another run to resume at once.
    pub(super) async fn suspend(&self, so_far: &VerifiedSoFar) -> Result<(), OperationError> {
        self.write(so_far, Timestamp::UNIX_EPOCH).await
    }

    async fn write(
        &self,
        so_far: &VerifiedSoFar,
        touched_at: Timestamp,
    ) -> Result<(), OperationError> {
        let (id, level, run) = (&self.backup_id, self.level, &self.run);
        let record = || async {
            Ok(self
                .catalog
                .record_verified(id, level, run, so_far, touched_at)
                .await?)
        };
        if self.has_row && !persist(record).await? {
            return Err(OperationError::AlreadyVerifying(self.backup_id.clone()));
        }
        Ok(())
    }

    /// Whether a row records the progress.
    pub(super) const fn is_recorded(&self) -> bool {
        self.has_row
    }

    /// Releases the claim.
    pub(super) async fn end(self) -> Result<(), OperationError> {
        persist(|| async {
            Ok(self
                .catalog
                .end_verification(&self.backup_id, &self.run)
                .await?)
        })
        .await
    }
}
