//! One attempt at one item: check the stored file, fetch the missing parts, settle the item. The
//! attempt is counted before it begins.
//!
//! The stored file is recorded before the item is settled. If a worker dies in between, the next
//! one finds its fetched file.

use std::time::Duration;

use holdfast_catalog::{Settled, SourceToStore};
use holdfast_content::{FetchError, Fetched, FetchedFile, Fetcher};
use holdfast_domain::{
    HostState, ItemFailure, ItemFailureCode, ItemRecord, Job, StorageType, StoredFile, Timestamp,
    file_name,
};
use holdfast_repository::writing_key::WritingKey;
use holdfast_storage::StoreError;
use jiff::SignedDuration;

use super::{
    fail_item,
    file_upload::{Destination, FileFault, FileUpload, UploadedFile},
    outcome::DownloadOutcome,
    placement::place_and_record,
    source::ItemSource,
    stored::{self, is_proved},
};
use crate::{Holdfast, OperationError, job::run::RunLimits};

/// Reserved at the end of the function, for storing the fetched file and settling its item.
const TIME_TO_STORE: SignedDuration = SignedDuration::from_secs(30);
/// Wait after the first failed attempt. Each further attempt triples it.
const FIRST_WAIT: Duration = Duration::from_secs(5);
const MAX_WAIT: Duration = Duration::from_mins(10);
/// Longest wait that an origin may request.
const MAX_REQUESTED_WAIT: Duration = Duration::from_mins(15);

/// Longest wait of an item for an unavailable host, without a request in between. Restarts and
/// short maintenance end sooner, and a night's backup has to end before the next day's work.
const MAX_POSTPONEMENT: SignedDuration = SignedDuration::from_hours(1);

/// Why an attempt did not succeed.
enum AttemptFault {
    Fetch(FetchError),
    Store(FileFault),
}

impl From<FileFault> for AttemptFault {
    fn from(error: FileFault) -> Self {
        Self::Store(error)
    }
}

impl From<OperationError> for AttemptFault {
    fn from(error: OperationError) -> Self {
        Self::Store(error.into())
    }
}

/// One counted attempt at one item.
pub(super) struct Attempt<'a> {
    pub(super) holdfast: &'a Holdfast,
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
        let stored = match stored::for_source(self.holdfast, &self.job, &source).await {
            Ok(stored) => stored,
            // If the stored file is unknown, the item cannot fail.
            Err(OperationError::Store(error)) if error.is_transient() => {
                return self.postpone(from_store(&error), None).await;
            }
            Err(error) => return self.conclude(error.into(), None).await,
        };
        match self.file(&source, stored.as_ref()).await {
            Ok(file) => self.settle(&file, None).await,
            Err(fault) => self.conclude(fault, stored.as_ref()).await,
        }
    }

    /// Ends an item whose last attempt died, by the stored file of its source. That attempt may
    /// have stored it.
    pub(super) async fn end_stopped(self) -> Result<DownloadOutcome, OperationError> {
        let stored = match ItemSource::of(&self.record.item) {
            Ok(source) => stored::for_source(self.holdfast, &self.job, &source).await?,
            Err(_) => None,
        };
        let begun = self.record.attempts;
        let message = format!(
            "{begun} downloads were begun, and the last was stopped before it came to an end"
        );
        self.end_without_file(ItemFailureCode::Stopped, message, stored.as_ref())
            .await
    }

    /// The item's file, stored or fetched.
    async fn file(
        &self,
        source: &ItemSource,
        stored: Option<&StoredFile>,
    ) -> Result<StoredFile, AttemptFault> {
        match stored {
            // Another item has stored it since discovery, or an attempt died before it reported its
            // file.
            Some(stored)
                if source.storage_type == StorageType::Ipfs
                    && is_proved(source.storage_type, stored) =>
            {
                Ok(stored.clone())
            }
            stored => self.fetch(source, stored).await,
        }
    }

    async fn fetch(
        &self,
        source: &ItemSource,
        stored: Option<&StoredFile>,
    ) -> Result<StoredFile, AttemptFault> {
        let (holdfast, key) = (self.holdfast, self.key);
        // The forms of a backup are those of its row. The settings may have changed since it began.
        let compression_level = self
            .job
            .compressed
            .then_some(holdfast.settings.database.compression_level);
        let (upload, chunks) = FileUpload::begin(
            &holdfast.repository,
            &holdfast.settings,
            key,
            Destination::File { compression_level },
        )?;
        let validator = stored.and_then(|stored| stored.validator.as_ref());
        let fetched = self
            .in_time(self.fetcher.fetch(&source.location, validator, &chunks))
            .await;
        drop(chunks);
        match (fetched, stored) {
            (Ok(Fetched::File(fetched)), _) => {
                Ok(self.place(source, upload.finish().await?, *fetched).await?)
            }
            (Ok(Fetched::NotModified), Some(stored)) => {
                upload.abort().await;
                Ok(stored.clone())
            }
            (Ok(Fetched::NotModified), None) => {
                upload.abort().await;
                let message = "the origin answered 304 to a request without a condition";
                Err(AttemptFault::Fetch(FetchError::new(
                    ItemFailureCode::InvalidAnswer,
                    message,
                )))
            }
            (Err(error), _) => match upload.abort().await {
                // The store failed, so the upload stopped the fetch.
                Some(store) if error.code == ItemFailureCode::Stopped => {
                    Err(FileFault::Store(store).into())
                }
                _ => Err(AttemptFault::Fetch(error)),
            },
        }
    }

    /// Moves a fetched file to its place, under the served path. An ambiguous URL is also recorded
    /// under its own text. So the next backup does not try the longer names again.
    async fn place(
        &self,
        source: &ItemSource,
        sent: UploadedFile,
        fetched: FetchedFile,
    ) -> Result<StoredFile, FileFault> {
        let (holdfast, key) = (self.holdfast, self.key);
        let Some(served) = source.served(fetched.path.as_ref()) else {
            return place_and_record(holdfast, key, source, sent, fetched).await;
        };
        let address = sent.made.address;
        let file = place_and_record(holdfast, key, &served, sent, fetched).await?;
        let address_of_url = SourceToStore {
            storage_type: source.storage_type,
            locator: &source.locator,
            address: &address,
        };
        holdfast
            .catalog
            .record_stored(&address_of_url, &file, file.fetched_at)
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
        file: &StoredFile,
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
            .holdfast
            .catalog
            .settle_item(
                id,
                content_id,
                settled_as,
                self.holdfast.catalog.now().await?,
            )
            .await?;
        tracing::debug!(backupId = %id, contentId = content_id, bytes = file.size, servedBy = file.served_by, "an item's file is stored");
        Ok(if by_this {
            DownloadOutcome::Settled
        } else {
            DownloadOutcome::AlreadySettled
        })
    }

    async fn fail(
        &self,
        code: ItemFailureCode,
        message: String,
    ) -> Result<DownloadOutcome, OperationError> {
        let (id, content_id) = (&self.job.backup_id, &self.record.item.content_id);
        let by_this = fail_item(&self.holdfast.catalog, id, content_id, code, message).await?;
        Ok(if by_this {
            DownloadOutcome::Settled
        } else {
            DownloadOutcome::AlreadySettled
        })
    }

    /// Ends an item without an available file. The stored file may be the last copy: without a
    /// reference from this backup, it would be collected with the older backups.
    async fn end_without_file(
        &self,
        code: ItemFailureCode,
        message: String,
        stored: Option<&StoredFile>,
    ) -> Result<DownloadOutcome, OperationError> {
        let Some(file) = stored else {
            return self.fail(code, message).await;
        };
        let (id, content_id) = (&self.job.backup_id, &self.record.item.content_id);
        tracing::info!(backupId = %id, contentId = content_id, %code, reason = message, "an item could not be fetched, so its stored file is used");
        self.settle(file, Some(&ItemFailure { code, message }))
            .await
    }

    async fn conclude(
        &self,
        fault: AttemptFault,
        stored: Option<&StoredFile>,
    ) -> Result<DownloadOutcome, OperationError> {
        match fault {
            AttemptFault::Store(FileFault::Own(error)) => Err(error),
            // The stored object may be the damaged one.
            AttemptFault::Store(FileFault::Damaged(problem)) => {
                self.fail(ItemFailureCode::Store, problem).await
            }
            // The store has no room for other files either, so the whole backup fails at once.
            AttemptFault::Store(FileFault::Store(error @ StoreError::Full { .. })) => {
                Err(error.into())
            }
            AttemptFault::Store(FileFault::Store(error)) => {
                self.retry_or_fail(from_store(&error), stored).await
            }
            AttemptFault::Fetch(error) if !error.was_asked => self.postpone(error, stored).await,
            AttemptFault::Fetch(error) if error.is_transient() => {
                self.retry_or_fail(error, stored).await
            }
            AttemptFault::Fetch(error) => {
                self.end_without_file(error.code, error.message, stored)
                    .await
            }
        }
    }

    /// Postpones the item. No request was sent, so this does not count as an attempt. The wait for
    /// an unavailable host is limited.
    async fn postpone(
        &self,
        error: FetchError,
        stored: Option<&StoredFile>,
    ) -> Result<DownloadOutcome, OperationError> {
        let (id, content_id) = (&self.job.backup_id, &self.record.item.content_id);
        let now = self.holdfast.catalog.now().await?;
        let since = self
            .holdfast
            .catalog
            .postpone_attempt(id, content_id, error.host, now)
            .await?;
        let waited = since.map_or(SignedDuration::ZERO, |since| now.duration_since(since));
        if error.host == HostState::Down && waited >= MAX_POSTPONEMENT {
            let message = format!(
                "{}; the item waited {} minutes for it",
                error.message,
                waited.as_mins()
            );
            return self.end_without_file(error.code, message, stored).await;
        }
        let after = wait_after(self.record.attempts, error.retry_after);
        tracing::debug!(backupId = %id, contentId = content_id, reason = error.message, "a download was put off");
        Ok(DownloadOutcome::Retry {
            after,
            reason: error.message,
        })
    }

    async fn retry_or_fail(
        &self,
        error: FetchError,
        stored: Option<&StoredFile>,
    ) -> Result<DownloadOutcome, OperationError> {
        let (attempt, limit) = (
            self.record.attempts,
            self.holdfast.settings.content.retry_attempts,
        );
        if attempt >= limit {
            let message = format!("{} (attempt {attempt} of {limit})", error.message);
            return self.end_without_file(error.code, message, stored).await;
        }
        self.holdfast
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
fn from_store(error: &StoreError) -> FetchError {
    FetchError::new(ItemFailureCode::Store, error.to_string())
}

/// Longer after each attempt, and at least as long as the origin requested.
fn wait_after(attempt: u32, asked: Option<Duration>) -> Duration {
    let own = FIRST_WAIT
        .saturating_mul(3_u32.saturating_pow(attempt.saturating_sub(1)))
        .min(MAX_WAIT);
    own.max(asked.unwrap_or_default().min(MAX_REQUESTED_WAIT))
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
        assert_eq!(wait_after(u32::MAX, None), MAX_WAIT);
    }
}
