//! A reader's lease: recorded before the backup is read, renewed during the work, and released at
//! its end in every case. A killed process releases nothing, but its lease expires without a beat.

use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use holdfast_database::Confirmation;
use holdfast_domain::heartbeat::SILENCE_LIMIT;
use holdfast_domain::{BackupId, Timestamp};
use holdfast_repository::Repository;
use jiff::SignedDuration;
use tokio::{runtime::Handle, task::JoinHandle};

use super::{LeaseError, Protection, Purpose, Reader, ReaderLeases};
use crate::heartbeat::{Rhythm, Stopped, beat_until_stopped};

/// A lease until its drop.
pub struct ReaderLease {
    shared: Option<Arc<SharedLease>>,
    protection: Protection,
    beats: Option<JoinHandle<()>>,
}

/// The lease, as its beat and its holder share it.
struct SharedLease {
    leases: Arc<dyn ReaderLeases>,
    reader: Reader,
    /// Protection at the beginning.
    first: Protection,
    state: Mutex<LeaseState>,
}

/// The last answer of the catalogue. Times are of the wall clock, because other clocks stop while a
/// machine is suspended.
struct LeaseState {
    protection: Protection,
    /// The last answer.
    answered_at: Option<Timestamp>,
    /// The last request.
    requested_at: Timestamp,
}

impl SharedLease {
    /// Renews the lease. If other runs may have taken the reader for dead, the backup's job is read
    /// again.
    async fn renew(&self, now: Timestamp) -> Result<(), LeaseError> {
        if !self.is_overdue(now) {
            self.leases.beat(&self.reader).await?;
            let mut state = self.state();
            state.answered_at = Some(now);
            return Ok(());
        }
        let answer = self.leases.acquire(&self.reader).await;
        let mut state = self.state();
        state.requested_at = now;
        state.protection = answer?;
        state.answered_at = Some(now);
        Ok(())
    }

    /// Whether other runs may have taken the reader for dead.
    fn is_overdue(&self, now: Timestamp) -> bool {
        self.state()
            .answered_at
            .is_none_or(|at| now.duration_since(at).unsigned_abs() > SILENCE_LIMIT)
    }

    /// Returns an error if retention began to delete the backup while the lease was dead. An
    /// unavailable catalogue is no error.
    async fn confirm(&self, now: Timestamp) -> Result<(), String> {
        let was_just_requested =
            now.duration_since(self.state().requested_at).abs() < SignedDuration::from_secs(10);
        if self.is_overdue(now)
            && !was_just_requested
            && let Err(error) = self.renew(now).await
        {
            tracing::warn!(backupId = %self.reader.backup_id, %error, "nothing protects the backup while it is read: its lease cannot be renewed");
        }
        let is_lost = self.state().protection == Protection::BeingDeleted
            && self.first != Protection::BeingDeleted;
        if is_lost {
            Err(lost(&self.reader.backup_id))
        } else {
            Ok(())
        }
    }

    fn state(&self) -> MutexGuard<'_, LeaseState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lost(id: &BackupId) -> String {
    format!(
        "retention began to delete backup {id} while this process was paused. Nothing more is dropped or replaced"
    )
}

impl ReaderLease {
    /// Acquires a lease on a backup of this repository. A failure does not prevent the reading:
    /// [`Self::protection`] then contains the reason.
    pub async fn acquire(
        leases: Arc<dyn ReaderLeases>,
        repository: &Repository,
        id: &BackupId,
        purpose: Purpose,
    ) -> Self {
        let now = Timestamp::now();
        let reader = match Reader::new(repository, id, purpose, now) {
            Ok(reader) => reader,
            Err(error) => return Self::none(error.to_string()),
        };
        let (protection, answered_at) = match leases.acquire(&reader).await {
            Ok(protection) => (protection, Some(now)),
            Err(error) => (Protection::Unprotected(error.to_string()), None),
        };
        let state = Mutex::new(LeaseState {
            protection: protection.clone(),
            answered_at,
            requested_at: now,
        });
        let shared = Arc::new(SharedLease {
            leases,
            reader,
            first: protection.clone(),
            state,
        });
        let beats = tokio::spawn(beat(Arc::clone(&shared)));
        Self {
            shared: Some(shared),
            protection,
            beats: Some(beats),
        }
    }

    fn none(reason: String) -> Self {
        Self {
            shared: None,
            protection: Protection::Unprotected(reason),
            beats: None,
        }
    }

    /// Whether the backup is protected.
    #[must_use]
    pub const fn protection(&self) -> &Protection {
        &self.protection
    }

    /// Checks the lease again if the process was suspended, or the catalogue unavailable, for
    /// longer than the lease lives.
    ///
    /// # Errors
    /// The reason, if retention began to delete the backup meanwhile.
    pub async fn confirm(&self, now: Timestamp) -> Result<(), String> {
        match &self.shared {
            Some(shared) => shared.confirm(now).await,
            None => Ok(()),
        }
    }

    /// [`Self::confirm`], for a restore to call before it drops or replaces anything.
    #[must_use]
    pub fn confirmation(&self) -> Option<Confirmation> {
        let shared = Arc::clone(self.shared.as_ref()?);
        Some(Confirmation::new(move || {
            let shared = Arc::clone(&shared);
            Box::pin(async move { shared.confirm(Timestamp::now()).await })
        }))
    }

    /// Releases it, and waits for the release.
    pub async fn release(mut self) {
        if let Some(release) = self.end() {
            release.await;
        }
    }

    fn end(&mut self) -> Option<impl Future<Output = ()> + Send + 'static> {
        if let Some(beats) = self.beats.take() {
            beats.abort();
        }
        let shared = self.shared.take()?;
        Some(async move {
            if let Err(error) = shared.leases.release(&shared.reader).await {
                tracing::warn!(backupId = %shared.reader.backup_id, %error, "a reader's lease could not be released: it expires within a minute");
            }
        })
    }
}

impl Drop for ReaderLease {
    fn drop(&mut self) {
        if let (Some(release), Ok(runtime)) = (self.end(), Handle::try_current()) {
            runtime.spawn(release);
        }
    }
}

/// Beats until the task is aborted. A beat also records a reader after a failed first record.
async fn beat(shared: Arc<SharedLease>) {
    let id = &shared.reader.backup_id;
    let is_silent = AtomicBool::new(false);
    let renew = || async {
        shared.renew(Timestamp::now()).await?;
        is_silent.store(false, Ordering::Relaxed);
        Ok::<_, LeaseError>(None::<Infallible>)
    };
    let failed = |error: &str| tracing::debug!(backupId = %id, error, "a reader's beat failed");
    let mut rhythm = Rhythm::LEASE.after_acquisition();
    loop {
        let Stopped::Silent(error) = beat_until_stopped(rhythm, renew, failed).await;
        // Other runs will soon treat the reader as dead, so log it before.
        if !is_silent.swap(true, Ordering::Relaxed) {
            tracing::warn!(backupId = %id, error, "nothing protects the backup while it is read: its lease cannot be renewed");
        }
        rhythm = Rhythm::LEASE;
    }
}
