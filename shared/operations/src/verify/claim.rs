//! A run's hold on the verification of one backup: no second run reads it at the same time, and one that died is gone on
//! with.

use holdfast_catalog::{Catalog, VerificationClaim, VerifiedSoFar};
use holdfast_codec::random_bytes;
use holdfast_domain::{BackupId, Timestamp, VerificationLevel};
use jiff::SignedDuration;

use crate::{Holdfast, OperationError, heartbeat::persist};

/// A function is dead after its 15 minutes.
pub(super) const DEAD_AFTER: SignedDuration = SignedDuration::from_mins(16);

/// A hold; without a catalogue's row there is nothing to hold, and it keeps nothing.
pub(super) struct Claim {
    catalog: Catalog,
    backup_id: BackupId,
    level: VerificationLevel,
    run: String,
    has_row: bool,
}

impl Claim {
    /// Takes it, with what earlier runs did; none where another run has it.
    pub(super) async fn take(
        h: &Holdfast,
        id: &BackupId,
        level: VerificationLevel,
    ) -> Result<Option<(Self, VerifiedSoFar)>, OperationError> {
        let (run, now) = (hex::encode(random_bytes::<8>()?), h.catalog.now().await?);
        let claimed = h.catalog.begin_verification(id, level, &run, now - DEAD_AFTER, now).await?;
        let (has_row, so_far) = match claimed {
            VerificationClaim::Taken(so_far) => (true, so_far),
            VerificationClaim::NoJob => (false, VerifiedSoFar::default()),
            VerificationClaim::Elsewhere => return Ok(None),
        };
        Ok(Some((Self { catalog: h.catalog.clone(), backup_id: id.clone(), level, run, has_row }, so_far)))
    }

    /// Writes how far it came; an error where another run has it by now.
    pub(super) async fn keep(&self, so_far: &VerifiedSoFar) -> Result<(), OperationError> {
        let now = persist(|| async { Ok(self.catalog.now().await?) }).await?;
        self.write(so_far, now).await
    }

    /// The same, for another run that may go on at once.
    pub(super) async fn hand_on(&self, so_far: &VerifiedSoFar) -> Result<(), OperationError> {
        self.write(so_far, Timestamp::UNIX_EPOCH).await
    }

    async fn write(&self, so_far: &VerifiedSoFar, touched_at: Timestamp) -> Result<(), OperationError> {
        let (id, level, run) = (&self.backup_id, self.level, &self.run);
        let record = || async { Ok(self.catalog.record_verified(id, level, run, so_far, touched_at).await?) };
        if self.has_row && !persist(record).await? {
            return Err(OperationError::AlreadyVerifying(self.backup_id.clone()));
        }
        Ok(())
    }

    /// Whether there is a row that keeps how far it came.
    pub(super) const fn is_kept(&self) -> bool {
        self.has_row
    }

    /// Gives it back.
    pub(super) async fn end(self) -> Result<(), OperationError> {
        persist(|| async { Ok(self.catalog.end_verification(&self.backup_id, &self.run).await?) }).await
    }
}
