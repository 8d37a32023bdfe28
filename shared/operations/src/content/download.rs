//! A message's item: is there anything to do, and may it be tried again? The attempt is counted before it is made. A
//! message may come twice, late, or after its backup ended: only the item's row says what is to be done.

use std::{sync::Arc, time::Duration};

use holdfast_content::{FetchSettings, Fetcher, Gateway, Origin};
use holdfast_domain::{
    DownloadMessage, ItemRecord, Timestamp,
    settings::{ContentSettings, Settings},
};
use jiff::SignedDuration;
use tokio::{sync::Mutex, time::Instant};

use super::{attempt::Attempt, fan_in::running};
use crate::{
    Holdfast, OperationError,
    run::RunLimits,
    writing_key::{WritingKey, writing_key},
};

/// With less time than this nothing is begun.
const LEAST_TIME: SignedDuration = SignedDuration::from_secs(60);
/// An attempt that was begun longer ago than a function can run is dead.
const ATTEMPT_LASTS: SignedDuration = SignedDuration::from_mins(20);
/// How long to wait for another attempt that may be at work.
const WAIT_FOR_ANOTHER: Duration = Duration::from_mins(5);
/// How long a repository and its key are taken to be as they were read.
const KEY_LASTS: Duration = Duration::from_mins(1);
/// At least so fast, in bytes a second, and some time for asking: a fetch may not take longer.
const SLOWEST: u64 = 256 * 1024;
const TIME_TO_ASK: Duration = Duration::from_mins(5);

/// What downloads share in a process: connections, breakers, the key. Cheap to clone.
#[derive(Clone)]
pub struct Downloader {
    fetcher: Fetcher,
    key: Arc<Mutex<Option<KnownKey>>>,
}

/// The repository and its key, and when they were read.
struct KnownKey {
    read_at: Instant,
    key: Arc<WritingKey>,
}

impl std::fmt::Debug for Downloader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Downloader").finish_non_exhaustive()
    }
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DownloadOutcome {
    /// This call settled the item: its file is stored, or will not be.
    Settled,
    /// There was nothing to do: the item is settled, or its backup has ended.
    AlreadySettled,
    /// It did not succeed, and may.
    Retry {
        /// When.
        after: Duration,
        /// What failed.
        reason: String,
    },
    /// Nothing was begun: too little of the function's time is left.
    NoTime,
}

impl DownloadOutcome {
    pub(super) const fn of(settled_by_this: bool) -> Self {
        if settled_by_this { Self::Settled } else { Self::AlreadySettled }
    }
}

/// The gateways of the settings.
pub(crate) fn gateways(content: &ContentSettings) -> Result<Vec<Gateway>, OperationError> {
    let gateway = |gateway: &holdfast_domain::settings::Gateway| {
        let mark = if gateway.trustless { "" } else { "plain+" };
        format!("{mark}{}", gateway.url).parse::<Gateway>()
    };
    content.gateways.iter().map(gateway).collect::<Result<_, _>>().map_err(|error| unusable(&error))
}

fn unusable(error: &dyn std::fmt::Display) -> OperationError {
    OperationError::internal("set downloads up", error)
}

impl Downloader {
    /// What these settings ask for.
    ///
    /// # Errors
    /// Where TLS cannot be set up, or a gateway's address cannot be used.
    pub fn new(settings: &Settings) -> Result<Self, OperationError> {
        let content = &settings.content;
        let origins: Result<Vec<_>, _> =
            content.allowed_origins.iter().map(|url| url.as_str().parse::<Origin>()).collect();
        let fetcher = Fetcher::new(FetchSettings {
            gateways: gateways(content)?,
            allowed_origins: origins.map_err(|error| unusable(&error))?,
            idle_timeout: content.timeout,
            total_timeout: TIME_TO_ASK + Duration::from_secs(content.max_file_size / SLOWEST),
            max_file_size: content.max_file_size,
            per_host: usize::try_from(content.concurrency).unwrap_or(usize::MAX),
        });
        Ok(Self { fetcher: fetcher.map_err(|error| unusable(&error))?, key: Arc::default() })
    }

    /// What fetches.
    pub(crate) const fn fetcher(&self) -> &Fetcher {
        &self.fetcher
    }

    /// The repository and its key: read once in a while, not for each of many small files.
    async fn key(&self, h: &Holdfast) -> Result<Arc<WritingKey>, OperationError> {
        let encrypt = h.settings.content.encryption;
        let mut known = self.key.lock().await;
        if let Some(KnownKey { read_at, key }) = &*known
            && read_at.elapsed() < KEY_LASTS
            && key.encryption.is_some() == encrypt
        {
            return Ok(Arc::clone(key));
        }
        let key = Arc::new(writing_key(h, encrypt).await?);
        *known = Some(KnownKey { read_at: Instant::now(), key: Arc::clone(&key) });
        Ok(key)
    }
}

/// Does what a message asks for.
///
/// # Errors
/// Where the catalogue, the repository or its key is not to be had: nothing is settled, and the message has to come again.
pub async fn download_item(
    h: &Holdfast,
    downloader: &Downloader,
    message: &DownloadMessage,
    limits: RunLimits,
) -> Result<DownloadOutcome, OperationError> {
    if limits.deadline.is_some_and(|deadline| deadline.duration_since(Timestamp::now()) < LEAST_TIME) {
        return Ok(DownloadOutcome::NoTime);
    }
    let Some(job) = running(h, &message.backup_id).await? else { return Ok(DownloadOutcome::AlreadySettled) };
    // Before an attempt is counted: that the repository is away is no fault of the item's.
    let key = downloader.key(h).await?;
    let attempt = |record: Box<ItemRecord>| {
        let record = *record;
        Attempt { h, fetcher: &downloader.fetcher, key: &key, job, record, limits }
    };
    // Boxed: everything between network and store is inside, and callers embed this future in their own.
    match begin(h, message).await? {
        Begun::Attempt(record) => Box::pin(attempt(record).run()).await,
        Begun::Stopped(record) => Box::pin(attempt(record).stopped()).await,
        Begun::Ended(outcome) => Ok(outcome),
    }
}

enum Begun {
    Attempt(Box<ItemRecord>),
    /// All attempts are used up, and the last one died.
    Stopped(Box<ItemRecord>),
    Ended(DownloadOutcome),
}

/// Counts the attempt before it is made. The last one may have been counted by a worker that is still at it, or died.
async fn begin(h: &Holdfast, message: &DownloadMessage) -> Result<Begun, OperationError> {
    let DownloadMessage { backup_id, content_id } = message;
    let most = h.settings.content.retry_attempts;
    let found = h.catalog.get_item(backup_id, content_id).await?;
    let Some(record) = found else { return Ok(Begun::Ended(DownloadOutcome::AlreadySettled)) };
    if record.attempts < most {
        let begun = h.catalog.begin_attempt(backup_id, content_id, h.catalog.now().await?).await?;
        return Ok(
            begun.map_or(Begun::Ended(DownloadOutcome::AlreadySettled), |record| Begun::Attempt(Box::new(record)))
        );
    }
    if h.catalog.attempted_since(backup_id, content_id, h.catalog.now().await? - ATTEMPT_LASTS).await? {
        let reason = "its last attempt may be at work".to_owned();
        return Ok(Begun::Ended(DownloadOutcome::Retry { after: WAIT_FOR_ANOTHER, reason }));
    }
    Ok(Begun::Stopped(Box::new(record)))
}
