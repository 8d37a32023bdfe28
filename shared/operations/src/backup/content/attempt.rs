//! One attempt at one item: check the held file, fetch the missing parts, settle the item. The
//! attempt is counted before it begins.
//!
//! The held file is recorded before the item is settled. If a worker dies in between, the next one
//! finds its fetched file.

use std::time::Duration;

use holdfast_catalog::{HoldSource, Settled};
use holdfast_content::{FetchError, Fetched, FetchedFile, Fetcher};
use holdfast_domain::{
    HostState, ItemFailure, ItemFailureCode, ItemRecord, Job, KeptFile, StorageType, Timestamp,
    file_name,
};
use holdfast_repository::writing_key::WritingKey;
use holdfast_storage::StoreError;
use jiff::SignedDuration;

use super::{
    adopt::settle_in_place,
    fail_item,
    held::{self, is_proved},
    keep::{KeepError, Keeping, Naming, Sent},
    outcome::DownloadOutcome,
    source::ItemSource,
};
use crate::{Holdfast, OperationError, job::run::RunLimits};

/// Reserved at the end of the function, for storing the fetched file and settling its item.
const TIME_TO_STORE: SignedDuration = SignedDuration::from_secs(30);
/// Wait after the first failed attempt. Each further attempt triples it.
const FIRST_WAIT: Duration = Duration::from_secs(5);
const LONGEST_WAIT: Duration = Duration::from_mins(10);
/// Longest wait that an origin may request.
const LONGEST_ASKED_WAIT: Duration = Duration::from_mins(15);

/// An item waits at most this long for a host that is down, without a request in between. Restarts
/// and short maintenance end sooner, and a night's backup has to end before the next day's work.
const LONGEST_PUT_OFF: SignedDuration = SignedDuration::from_hours(1);

/// Why an attempt did not succeed.
enum Fault {
    Fetch(FetchError),
    Keep(KeepError),
}

impl From<KeepError> for Fault {
    fn from(error: KeepError) -> Self {
        Self::Keep(error)
    }
}

impl From<OperationError> for Fault {
    fn from(error: OperationError) -> Self {
        Self::Keep(error.into())
    }
}

/// One counted attempt at one item.
pub(super) struct Attempt<'a> {
    pub(super) h: &'a Holdfast,
    pub(super) fetcher: &'a Fetcher,
    pub(super) key: &'a WritingKey,
    pub(super) job: Job,
    pub(super) record: ItemRecord,
    pub(super) limits: RunLimits,
}

impl Attempt<'_> {
    pub(super) async fn run(self) -> Result<DownloadOutcome, OperationError> {
        let source = match ItemSource::of(&self.record.item) {
            Ok(source) => source,
            Err(unsupported) => return self.fail(unsupported.code, unsupported.reason).await,
        };
        let held = match held::of_source(self.h, &source).await {
            Ok(held) => held,
            // If the held file is unknown, the item cannot fail.
            Err(OperationError::Store(error)) if error.is_transient() => {
                return self.put_off(of_store(&error), None).await;
            }
            Err(error) => return self.conclude(error.into(), None).await,
        };
        match self.file(&source, held.as_ref()).await {
            Ok(file) => self.settle(&file, None).await,
            Err(fault) => self.conclude(fault, held.as_ref()).await,
        }
    }

    /// Ends an item whose last attempt died, by the held file of its source. That attempt may have
    /// stored it.
    pub(super) async fn stopped(self) -> Result<DownloadOutcome, OperationError> {
        let held = match ItemSource::of(&self.record.item) {
            Ok(source) => held::of_source(self.h, &source).await?,
            Err(_) => None,
        };
        let begun = self.record.attempts;
        let message = format!(
            "{begun} downloads were begun, and the last was stopped before it came to an end"
        );
        self.end(ItemFailureCode::Stopped, message, held.as_ref())
            .await
    }

    /// The item's file, held or fetched.
    async fn file(&self, source: &ItemSource, held: Option<&KeptFile>) -> Result<KeptFile, Fault> {
        match held {
            // Another item has stored it since discovery, or an attempt died before it reported its
            // file.
            Some(held)
                if source.storage_type == StorageType::Ipfs
                    && is_proved(source.storage_type, held) =>
            {
                Ok(held.clone())
            }
            held => self.fetch(source, held).await,
        }
    }

    async fn fetch(&self, source: &ItemSource, held: Option<&KeptFile>) -> Result<KeptFile, Fault> {
        let (h, key) = (self.h, self.key);
        let compression_level = h
            .settings
            .content
            .compression
            .then_some(h.settings.database.compression_level);
        let (keeping, chunks) = Keeping::begin(h, key, Naming::File { compression_level })?;
        let validator = held.and_then(|held| held.validator.as_ref());
        let fetched = self
            .in_time(self.fetcher.fetch(&source.location, validator, &chunks))
            .await;
        drop(chunks);
        match (fetched, held) {
            (Ok(Fetched::File(fetched)), _) => {
                Ok(self.keep(source, keeping.finish().await?, *fetched).await?)
            }
            (Ok(Fetched::NotModified), Some(held)) => {
                keeping.give_up().await;
                Ok(held.clone())
            }
            (Ok(Fetched::NotModified), None) => {
                keeping.give_up().await;
                let message = "the origin answered 304 to a request without a condition";
                Err(Fault::Fetch(FetchError::new(
                    ItemFailureCode::InvalidAnswer,
                    message,
                )))
            }
            (Err(error), _) => match keeping.give_up().await {
                // The store failed, so the upload stopped the fetch.
                Some(store) if error.code == ItemFailureCode::Stopped => {
                    Err(KeepError::Store(store).into())
                }
                _ => Err(Fault::Fetch(error)),
            },
        }
    }

    /// Moves a fetched file to its place, under the served path. An ambiguous URL is also recorded
    /// under its own text, so that the next backup does not try the longer names again.
    async fn keep(
        &self,
        source: &ItemSource,
        sent: Sent,
        fetched: FetchedFile,
    ) -> Result<KeptFile, KeepError> {
        let (h, key) = (self.h, self.key);
        let Some(served) = source.served(fetched.path.as_ref()) else {
            return settle_in_place(h, key, source, sent, fetched).await;
        };
        let address = sent.made.address;
        let file = settle_in_place(h, key, &served, sent, fetched).await?;
        let hold = HoldSource {
            storage_type: source.storage_type,
            locator: &source.locator,
            address: &address,
        };
        h.catalog
            .hold(&hold, &file, file.fetched_at)
            .await
            .map_err(OperationError::from)?;
        Ok(file)
    }

    /// Ends each fetch early enough to clean up within the function's time.
    async fn in_time<T>(
        &self,
        fetch: impl Future<Output = Result<T, FetchError>>,
    ) -> Result<T, FetchError> {
        let Some(deadline) = self.limits.deadline else {
            return fetch.await;
        };
        let left = deadline.duration_since(Timestamp::now()) - TIME_TO_STORE;
        let left = Duration::try_from(left).unwrap_or_default();
        tokio::time::timeout(left, fetch).await.unwrap_or_else(|_| {
            let message = format!(
                "the fetch did not end within the remaining {} s of the function",
                left.as_secs()
            );
            Err(FetchError::new(ItemFailureCode::TimedOut, message))
        })
    }

    /// Settles the item as `done` if this backup fetched the file, by any attempt for any item. A
    /// file from an earlier backup replaces a failed fetch, and the item records this failure.
    async fn settle(
        &self,
        file: &KeptFile,
        failure: Option<&ItemFailure>,
    ) -> Result<DownloadOutcome, OperationError> {
        let file_name = &file_name(&self.record.item, file.content_type.as_deref());
        let settled_as = match failure {
            _ if file.fetched_at >= self.job.created_at => Settled::Done { file_name, file },
            None => Settled::Unchanged { file_name, file },
            Some(failure) => Settled::Stale {
                file_name,
                file,
                failure,
            },
        };
        let (id, content_id) = (&self.job.backup_id, &self.record.item.content_id);
        let by_this = self
            .h
            .catalog
            .settle_item(id, content_id, settled_as, self.h.catalog.now().await?)
            .await?;
        tracing::debug!(backupId = %id, contentId = content_id, bytes = file.size, servedBy = file.served_by, "an item's file is held");
        Ok(DownloadOutcome::of(by_this))
    }

    async fn fail(
        &self,
        code: ItemFailureCode,
        message: String,
    ) -> Result<DownloadOutcome, OperationError> {
        let (id, content_id) = (&self.job.backup_id, &self.record.item.content_id);
        Ok(DownloadOutcome::of(
            fail_item(self.h, id, content_id, code, message).await?,
        ))
    }

    /// Ends an item without an available file. The held file may be the last copy: without a
    /// reference from this backup, it would be collected with the older backups.
    async fn end(
        &self,
        code: ItemFailureCode,
        message: String,
        held: Option<&KeptFile>,
    ) -> Result<DownloadOutcome, OperationError> {
        let Some(file) = held else {
            return self.fail(code, message).await;
        };
        let (id, content_id) = (&self.job.backup_id, &self.record.item.content_id);
        tracing::info!(backupId = %id, contentId = content_id, %code, reason = message, "an item could not be fetched, so its held file is used");
        self.settle(file, Some(&ItemFailure { code, message }))
            .await
    }

    async fn conclude(
        &self,
        fault: Fault,
        held: Option<&KeptFile>,
    ) -> Result<DownloadOutcome, OperationError> {
        match fault {
            Fault::Keep(KeepError::Own(error)) => Err(error),
            // The held object may be the damaged one.
            Fault::Keep(KeepError::Damaged(problem)) => {
                self.fail(ItemFailureCode::Store, problem).await
            }
            // The store has no room for other files either, so the whole backup fails at once.
            Fault::Keep(KeepError::Store(error @ StoreError::Full { .. })) => Err(error.into()),
            Fault::Keep(KeepError::Store(error)) => self.again_or_end(of_store(&error), held).await,
            Fault::Fetch(error) if !error.was_asked => self.put_off(error, held).await,
            Fault::Fetch(error) if error.is_transient() => self.again_or_end(error, held).await,
            Fault::Fetch(error) => self.end(error.code, error.message, held).await,
        }
    }

    /// Puts the attempt off. No request was sent, so this is no attempt. An item waits for a host
    /// that is down, but not without end.
    async fn put_off(
        &self,
        error: FetchError,
        held: Option<&KeptFile>,
    ) -> Result<DownloadOutcome, OperationError> {
        let (id, content_id) = (&self.job.backup_id, &self.record.item.content_id);
        let now = self.h.catalog.now().await?;
        let since = self
            .h
            .catalog
            .put_attempt_off(id, content_id, error.host, now)
            .await?;
        let waited = since.map_or(SignedDuration::ZERO, |since| now.duration_since(since));
        if error.host == HostState::Down && waited >= LONGEST_PUT_OFF {
            let message = format!(
                "{}; the item waited {} minutes for it",
                error.message,
                waited.as_mins()
            );
            return self.end(error.code, message, held).await;
        }
        let after = wait_after(self.record.attempts, error.retry_after);
        tracing::debug!(backupId = %id, contentId = content_id, reason = error.message, "a download was put off");
        Ok(DownloadOutcome::Retry {
            after,
            reason: error.message,
        })
    }

    async fn again_or_end(
        &self,
        error: FetchError,
        held: Option<&KeptFile>,
    ) -> Result<DownloadOutcome, OperationError> {
        let (attempt, most) = (self.record.attempts, self.h.settings.content.retry_attempts);
        if attempt >= most {
            let message = format!("{} (attempt {attempt} of {most})", error.message);
            return self.end(error.code, message, held).await;
        }
        self.h
            .catalog
            .end_wait_for_host(&self.job.backup_id, &self.record.item.content_id)
            .await?;
        let after = wait_after(attempt, error.retry_after);
        tracing::info!(
            backupId = %self.job.backup_id, contentId = self.record.item.content_id, attempt,
            waitSeconds = after.as_secs(), reason = error.message, "a download failed and is tried again"
        );
        Ok(DownloadOutcome::Retry {
            after,
            reason: error.message,
        })
    }
}

/// The store may be available at the next attempt, even after a permanent error.
fn of_store(error: &StoreError) -> FetchError {
    FetchError::new(ItemFailureCode::Store, error.to_string())
}

/// Longer after each attempt, and at least as long as the origin requested.
fn wait_after(attempt: u32, asked: Option<Duration>) -> Duration {
    let own = FIRST_WAIT
        .saturating_mul(3_u32.saturating_pow(attempt.saturating_sub(1)))
        .min(LONGEST_WAIT);
    own.max(asked.unwrap_or_default().min(LONGEST_ASKED_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_limit_and_are_never_shorter_than_requested() {
        let seconds = |attempt, asked: Option<u64>| {
            wait_after(attempt, asked.map(Duration::from_secs)).as_secs()
        };
        assert_eq!(
            [1, 2, 3, 4, 5, 9].map(|attempt| seconds(attempt, None)),
            [5, 15, 45, 135, 405, 600]
        );
        assert_eq!(seconds(1, Some(100)), 100);
        assert_eq!(seconds(4, Some(100)), 135);
        assert_eq!(seconds(1, Some(86_400)), 900);
        assert_eq!(wait_after(u32::MAX, None), LONGEST_WAIT);
    }
}
