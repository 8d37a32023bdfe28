//! A reader's lease: recorded before the backup is read, renewed during the work, and released at its end in every
//! case. A killed process releases nothing, but its lease expires without a beat.

use std::sync::Arc;

use holdfast_domain::heartbeat::{BEAT_EVERY, SILENCE_LIMIT};
use holdfast_domain::{BackupId, Timestamp};
use tokio::{
    runtime::Handle,
    task::JoinHandle,
    time::{Instant, MissedTickBehavior},
};

use super::{NoLeases, Protection, Purpose, Reader, ReaderLeases};
use holdfast_repository::Repository;

/// A lease until its drop.
pub struct ReaderLease {
    leases: Arc<dyn ReaderLeases>,
    reader: Option<Reader>,
    protection: Protection,
    beats: Option<JoinHandle<()>>,
}

impl ReaderLease {
    /// Acquires a lease on a backup of this repository. A failure does not prevent the reading: [`Self::protection`]
    /// then contains the reason.
    pub async fn acquire(
        leases: Arc<dyn ReaderLeases>,
        repository: &Repository,
        id: &BackupId,
        purpose: Purpose,
    ) -> Self {
        let reader = match Reader::new(repository, id, purpose, Timestamp::now()) {
            Ok(reader) => reader,
            Err(error) => return Self::none(error.to_string()),
        };
        let protection = match leases.acquire(&reader).await {
            Ok(protection) => protection,
            Err(error) => Protection::Unprotected(error.to_string()),
        };
        let beats = tokio::spawn(beat(Arc::clone(&leases), reader.clone()));
        Self { leases, reader: Some(reader), protection, beats: Some(beats) }
    }

    fn none(reason: String) -> Self {
        let protection = Protection::Unprotected(reason.clone());
        Self { leases: Arc::new(NoLeases(reason)), reader: None, protection, beats: None }
    }

    /// Whether the backup is protected.
    #[must_use]
    pub const fn protection(&self) -> &Protection {
        &self.protection
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
        let (reader, leases) = (self.reader.take()?, Arc::clone(&self.leases));
        Some(async move {
            if let Err(error) = leases.release(&reader).await {
                tracing::warn!(backupId = %reader.backup_id, %error, "a reader's lease could not be released: it expires within a minute");
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

/// A beat also records a reader after a failed first record.
async fn beat(leases: Arc<dyn ReaderLeases>, reader: Reader) {
    let mut beats = tokio::time::interval(BEAT_EVERY);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    beats.tick().await;
    let (mut last_beat, mut is_silent) = (Instant::now(), false);
    loop {
        beats.tick().await;
        match leases.beat(&reader).await {
            Ok(()) => (last_beat, is_silent) = (Instant::now(), false),
            // Other runs will soon treat the reader as dead, so log it before.
            Err(error) if last_beat.elapsed() > SILENCE_LIMIT && !is_silent => {
                is_silent = true;
                tracing::warn!(backupId = %reader.backup_id, %error, "nothing protects the backup while it is read: its lease cannot be renewed");
            }
            Err(error) => tracing::debug!(backupId = %reader.backup_id, %error, "a reader's beat failed"),
        }
    }
}
