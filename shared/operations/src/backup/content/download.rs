//! Decides whether the item of a message is settled, and whether another attempt is allowed. The
//! attempt is counted before it is made. A message may arrive twice, late, or after the end of its
//! backup, so only the item's row decides.

use std::{sync::Arc, time::Duration};

use holdfast_content::{FetchSettings, Fetcher, Gateway, Origin};
use holdfast_domain::{
    DownloadMessage, ItemRecord, Job, Timestamp,
    settings::{ContentSettings, Settings},
};
use holdfast_repository::writing_key::{WritingKey, existing_writing_key};
use jiff::SignedDuration;
use tokio::{sync::Mutex, time::Instant};

use super::{attempt::Attempt, fan_in::running_job, outcome::DownloadOutcome};
use crate::{Holdfast, OperationError, job::run::RunLimits};

/// Least time of the function for a new attempt.
const MIN_TIME: SignedDuration = SignedDuration::from_secs(60);
/// An attempt is dead if it began longer ago than a function can run.
const ATTEMPT_LIFETIME: SignedDuration = SignedDuration::from_mins(20);
/// Wait for another attempt that may still run.
const OTHER_ATTEMPT_WAIT: Duration = Duration::from_mins(5);
/// How long a repository and its key are reused without reading them again.
const KEY_LIFETIME: Duration = Duration::from_mins(1);
/// Slowest allowed fetch, in bytes a second. A fixed time for the request is added.
const MIN_BYTES_PER_SECOND: u64 = 256 * 1024;
const REQUEST_TIME: Duration = Duration::from_mins(5);

/// Shared state of the downloads of a process: connections, breakers, the key. Cheap to clone.
#[derive(Clone)]
pub struct Downloader {
    fetcher: Fetcher,
    key: Arc<Mutex<Option<KnownKey>>>,
}

/// The repository and its key, and the time of reading them.
struct KnownKey {
    read_at: Instant,
    key: Arc<WritingKey>,
}

impl std::fmt::Debug for Downloader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Downloader").finish_non_exhaustive()
    }
}

/// The gateways of the settings.
pub(crate) fn gateways(content: &ContentSettings) -> Result<Vec<Gateway>, OperationError> {
    let gateway = |gateway: &holdfast_domain::settings::Gateway| {
        let mark = if gateway.trustless { "" } else { "plain+" };
        format!("{mark}{}", gateway.url).parse::<Gateway>()
    };
    content
        .gateways
        .iter()
        .map(gateway)
        .collect::<Result<_, _>>()
        .map_err(|error| unusable(&error))
}

fn unusable(error: &dyn std::fmt::Display) -> OperationError {
    OperationError::internal("set downloads up", error)
}

impl Downloader {
    /// A downloader with these settings.
    ///
    /// # Errors
    /// If TLS cannot be set up, or the address of a gateway is invalid.
    pub fn new(settings: &Settings) -> Result<Self, OperationError> {
        let content = &settings.content;
        let origins: Result<Vec<_>, _> = content
            .allowed_origins
            .iter()
            .map(|url| url.as_str().parse::<Origin>())
            .collect();
        let fetcher = Fetcher::new(FetchSettings {
            gateways: gateways(content)?,
            allowed_origins: origins.map_err(|error| unusable(&error))?,
            idle_timeout: content.timeout,
            total_timeout: REQUEST_TIME
                + Duration::from_secs(content.max_file_size / MIN_BYTES_PER_SECOND),
            max_file_size: content.max_file_size,
            per_host: usize::try_from(content.concurrency).unwrap_or(usize::MAX),
        });
        Ok(Self {
            fetcher: fetcher.map_err(|error| unusable(&error))?,
            key: Arc::default(),
        })
    }

    /// The fetcher.
    pub(crate) const fn fetcher(&self) -> &Fetcher {
        &self.fetcher
    }

    /// The repository and its key. They are read once a minute, not for each of many small files.
    async fn key(&self, h: &Holdfast, job: &Job) -> Result<Arc<WritingKey>, OperationError> {
        let mut known = self.key.lock().await;
        if let Some(KnownKey { read_at, key }) = &*known
            && read_at.elapsed() < KEY_LIFETIME
            && key.encryption.is_some() == job.encrypted
        {
            return Ok(Arc::clone(key));
        }
        let key = Arc::new(existing_writing_key(&h.repository, job.encrypted.into()).await?);
        *known = Some(KnownKey {
            read_at: Instant::now(),
            key: Arc::clone(&key),
        });
        Ok(key)
    }
}

/// Downloads the item of a message.
///
/// # Errors
/// If the catalogue, the repository or its key is unavailable. Nothing is settled, and the message
/// must be delivered again.
pub async fn download_item(
    h: &Holdfast,
    downloader: &Downloader,
    message: &DownloadMessage,
    limits: RunLimits,
) -> Result<DownloadOutcome, OperationError> {
    if limits
        .deadline
        .is_some_and(|deadline| deadline.duration_since(Timestamp::now()) < MIN_TIME)
    {
        return Ok(DownloadOutcome::NoTime);
    }
    let Some(job) = running_job(h, &message.backup_id).await? else {
        return Ok(DownloadOutcome::AlreadySettled);
    };
    // Read before an attempt is counted: an unavailable repository is no fault of the item.
    let key = downloader.key(h, &job).await?;
    let attempt = |record: Box<ItemRecord>| {
        let record = *record;
        Attempt {
            h,
            fetcher: &downloader.fetcher,
            key: &key,
            job,
            record,
            limits,
        }
    };
    // Boxed, because callers embed the future of the entire attempt in their own.
    match begin(h, message).await? {
        AttemptStart::Attempt(record) => Box::pin(attempt(record).run()).await,
        AttemptStart::Stopped(record) => Box::pin(attempt(record).end_stopped()).await,
        AttemptStart::Ended(outcome) => Ok(outcome),
    }
}

enum AttemptStart {
    Attempt(Box<ItemRecord>),
    /// All attempts are used up, and the last one died.
    Stopped(Box<ItemRecord>),
    Ended(DownloadOutcome),
}

/// Counts the attempt before it is made. The worker of the last counted attempt may still run, or
/// have died.
async fn begin(h: &Holdfast, message: &DownloadMessage) -> Result<AttemptStart, OperationError> {
    let DownloadMessage {
        backup_id,
        content_id,
    } = message;
    let limit = h.settings.content.retry_attempts;
    let found = h.catalog.get_item(backup_id, content_id).await?;
    let Some(record) = found else {
        return Ok(AttemptStart::Ended(DownloadOutcome::AlreadySettled));
    };
    if record.attempts < limit {
        let begun = h
            .catalog
            .begin_attempt(backup_id, content_id, h.catalog.now().await?)
            .await?;
        return Ok(begun.map_or(
            AttemptStart::Ended(DownloadOutcome::AlreadySettled),
            |record| AttemptStart::Attempt(Box::new(record)),
        ));
    }
    if h.catalog
        .attempted_since(
            backup_id,
            content_id,
            h.catalog.now().await? - ATTEMPT_LIFETIME,
        )
        .await?
    {
        let reason = "its last attempt may be at work".to_owned();
        return Ok(AttemptStart::Ended(DownloadOutcome::Retry {
            after: OTHER_ATTEMPT_WAIT,
            reason,
        }));
    }
    Ok(AttemptStart::Stopped(Box::new(record)))
}
