//! Discovery: creates a row for each content item of the platform. It settles stored items, fails
//! impossible ones and queues the rest, page by page. Every step may be repeated. The next run
//! resumes at the last page.

mod page;

use holdfast_catalog::{Catalog, ContentWork, MAX_ADDED};
use holdfast_database::{Connection, ContentItems};
use holdfast_domain::heartbeat::REPEAT_AFTER;
use holdfast_domain::{
    BackupId, BackupType, DownloadMessage, ItemCounts, ItemFailureCode, Job, JobStatus, Timestamp,
    settings::{SettingError, SettingsError},
};
use holdfast_repository::writing_key::writing_key;
use jiff::SignedDuration;

use super::{
    DOWNLOADS_END_AFTER, fail_item,
    fan_in::finalize_if_settled_at,
    queue::{DownloadQueue, RefusedMessage},
    stored::KeyEpochs,
    wait_for_next_run, wait_until,
};
use crate::{
    Holdfast, InvalidOperation, Observer, OperationError, StopReason, Unfinished,
    job::{
        claim::{JobClaim, claim},
        commit::{RunFault, refuse_if_committed},
        ending::{RunEnding, ending_of},
        finish,
        lost_lease::{LostLease, state_after_lost_lease},
        persist::persist,
        run::{BackupOutcome, BackupRequest, Run, RunLimits, SkipReason},
        trigger,
        watch::Watch,
    },
};

const APP_NAME: &str = "holdfast-content";
/// Reserved at the end of the function, for the current page and the dispatch of the next run.
const DISPATCH_RESERVE: SignedDuration = SignedDuration::from_secs(60);
/// Runs of one discovery. A million items need far fewer.
const MAX_ROUNDS: u32 = 100;

/// How a run of discovery ended.
#[derive(Debug, Clone)]
pub enum DiscoveryOutcome {
    /// Its time ran out: the caller dispatches the next run.
    Continue {
        /// The backup.
        backup_id: BackupId,
    },
    /// Every item was found, and downloads are under way. The last download dispatches the next
    /// step.
    Queued {
        /// The backup.
        backup_id: BackupId,
        /// Counts of the items and of their states.
        counts: ItemCounts,
    },
    /// No download is pending: the caller dispatches the last step.
    Finalize {
        /// The backup.
        backup_id: BackupId,
    },
    /// The backup failed. The job has the reason.
    Failed(Box<Job>),
    /// This run had nothing to do.
    Skipped {
        /// The backup.
        backup_id: BackupId,
        /// Why.
        reason: SkipReason,
    },
}

/// Discovers the items of a backup, from the beginning or from the last page of an earlier run.
///
/// # Errors
/// If discovery could not begin or could not be recorded. The event's source should retry.
pub async fn discover_content(
    holdfast: &Holdfast,
    queue: &dyn DownloadQueue,
    request: BackupRequest,
    limits: RunLimits,
) -> Result<DiscoveryOutcome, OperationError> {
    let backup_id = request.backup_id();
    if backup_id.backup_type() != BackupType::Content {
        return Err(InvalidOperation::NotContent(backup_id).into());
    }
    if matches!(request, BackupRequest::Scheduled { .. })
        && trigger::switched_off(&holdfast.settings, BackupType::Content).is_some()
    {
        return Ok(DiscoveryOutcome::Skipped {
            backup_id,
            reason: SkipReason::Disabled,
        });
    }
    let run = match claim(holdfast, &request, limits).await? {
        JobClaim::Run(run) => run,
        JobClaim::Skip(reason) => return Ok(DiscoveryOutcome::Skipped { backup_id, reason }),
    };
    let watch = Watch::begin(holdfast, &run, limits, || None);
    let result = discover(holdfast, queue, &run, limits, &watch).await;
    drop(watch);
    conclude(&holdfast.catalog, holdfast.observer.as_ref(), &run, result).await
}

/// Discovers the items, for a run with the lease.
pub(crate) async fn discover(
    holdfast: &Holdfast,
    queue: &dyn DownloadQueue,
    run: &Run,
    limits: RunLimits,
    watch: &Watch,
) -> Result<DiscoveryEnd, RunFault> {
    let discovery = Discovery {
        holdfast,
        queue,
        run,
        limits,
        watch,
    };
    // Boxed, because callers embed the future of the entire discovery in their own.
    Box::pin(discovery.run()).await
}

/// How far a run came.
pub(crate) enum DiscoveryEnd {
    Complete,
    OutOfTime,
}

struct Discovery<'a> {
    holdfast: &'a Holdfast,
    queue: &'a dyn DownloadQueue,
    run: &'a Run,
    limits: RunLimits,
    watch: &'a Watch,
}

impl Discovery<'_> {
    /// Resumes at the last recorded page, after each transient failure of the catalogue.
    async fn run(&self) -> Result<DiscoveryEnd, RunFault> {
        const TRIES_WITHOUT_A_PAGE: u32 = 6;
        let (mut found, mut tries) = (0, 0);
        loop {
            let before = found;
            let result = Box::pin(self.attempt(&mut found)).await;
            tries = if found > before { 0 } else { tries + 1 };
            match result {
                Err(RunFault::Failed(OperationError::Catalog(error)))
                    if error.is_transient() && tries < TRIES_WITHOUT_A_PAGE =>
                {
                    tracing::warn!(backupId = %self.id(), %error, "discovery resumes at its last page");
                    self.watch.guard(pause()).await?;
                }
                result => return result,
            }
        }
    }

    async fn attempt(&self, found: &mut u64) -> Result<DiscoveryEnd, RunFault> {
        let (holdfast, watch) = (self.holdfast, self.watch);
        if let Some(switch) = trigger::switched_off(&holdfast.settings, BackupType::Content) {
            return Err(OperationError::Disabled(switch).into());
        }
        refuse_if_committed(holdfast, self.run, watch).await?;
        let mut work = watch
            .guard(async { Ok(holdfast.catalog.content_work(self.id()).await?) })
            .await?;
        if work.discovered_at.is_some() {
            return Ok(DiscoveryEnd::Complete);
        }
        work.rounds += 1;
        if work.rounds > MAX_ROUNDS {
            return Err(too_many_rounds(&work).into());
        }
        self.record(&work).await?;
        // Impossible encryption is found here, not by every worker.
        watch
            .guard(async {
                Ok(writing_key(&holdfast.repository, self.run.job.encrypted.into()).await?)
            })
            .await?;
        let mut items = watch.guard(self.open(&mut work)).await?;
        Ok(self.pages(&mut items, &mut work, found).await?)
    }

    fn id(&self) -> &BackupId {
        &self.run.job.backup_id
    }

    async fn open(&self, work: &mut ContentWork) -> Result<ContentItems, OperationError> {
        let settings = &self.holdfast.settings;
        let preference = settings.database.read_preference;
        let connection = Connection::open(&settings.mongodb_uri, preference, APP_NAME).await?;
        let Some(database) = connection.default_database().map(str::to_owned) else {
            let problem = "names no database: add the database of the content items after the host, as in \
                           mongodb://host/platform";
            return Err(SettingsError(vec![SettingError::new("MONGODB_URI", problem)]).into());
        };
        connection
            .server_version()
            .clone_into(&mut work.server_version);
        work.source_uri =
            holdfast_database::redacted_uri(&settings.mongodb_uri).unwrap_or_default();
        let collection = &settings.content.collection;
        Ok(ContentItems::new(
            &connection,
            &database,
            collection,
            work.cursor.as_deref(),
        )?)
    }

    async fn pages(
        &self,
        items: &mut ContentItems,
        work: &mut ContentWork,
        recorded: &mut u64,
    ) -> Result<DiscoveryEnd, OperationError> {
        let mut epochs = KeyEpochs::default();
        loop {
            let page = self
                .watch
                .guard(async { Ok(items.next_page(MAX_ADDED).await?) })
                .await?;
            if page.is_empty() {
                work.discovered_at = Some(Timestamp::now());
                self.record(work).await?;
                return Ok(DiscoveryEnd::Complete);
            }
            let found = page.len() as u64;
            self.watch
                .guard(self.ingest_page(page, &mut epochs))
                .await?;
            work.cursor = items.position();
            work.found += found;
            self.record(work).await?;
            *recorded = work.found;
            tracing::debug!(backupId = %self.id(), found = work.found, "a page of items was discovered");
            if self.is_out_of_time() {
                return Ok(DiscoveryEnd::OutOfTime);
            }
        }
    }

    fn is_out_of_time(&self) -> bool {
        self.limits
            .deadline
            .is_some_and(|deadline| Timestamp::now() + DISPATCH_RESERVE >= deadline)
    }

    /// Records the progress. Only the newest run may write it.
    async fn record(&self, work: &ContentWork) -> Result<(), OperationError> {
        let recording = || async {
            Ok(self
                .holdfast
                .catalog
                .record_work(self.id(), self.run.fence, work)
                .await?)
        };
        if self.watch.persist(recording).await? {
            return Ok(());
        }
        // The job has another run by now, or is settled. A beat shows the difference.
        self.watch.confirm().await?;
        Err(StopReason::LeaseLost.into())
    }
}

/// Sends items to the workers, and marks their rows as sent. An item fails if the queue refuses its
/// message.
pub(crate) async fn send(
    catalog: &Catalog,
    queue: &dyn DownloadQueue,
    backup_id: &BackupId,
    content_ids: &[String],
) -> Result<(), OperationError> {
    let message = |content_id: &String| DownloadMessage {
        backup_id: backup_id.clone(),
        content_id: content_id.clone(),
    };
    let messages: Vec<_> = content_ids.iter().map(message).collect();
    let refused = queue.send(&messages).await?;
    for RefusedMessage { content_id, reason } in &refused {
        let message = format!("the download queue refused the item's message: {reason}");
        fail_item(
            catalog,
            backup_id,
            content_id,
            ItemFailureCode::NotDelivered,
            message,
        )
        .await?;
    }
    let content_ids: Vec<&str> = content_ids.iter().map(String::as_str).collect();
    Ok(catalog
        .mark_sent(backup_id, &content_ids, catalog.now().await?)
        .await?)
}

async fn pause() -> Result<(), OperationError> {
    tokio::time::sleep(REPEAT_AFTER).await;
    Ok(())
}

fn too_many_rounds(work: &ContentWork) -> OperationError {
    Unfinished::Discovery {
        rounds: MAX_ROUNDS,
        found: work.found,
    }
    .into()
}

async fn conclude(
    catalog: &Catalog,
    observer: &dyn Observer,
    run: &Run,
    result: Result<DiscoveryEnd, RunFault>,
) -> Result<DiscoveryOutcome, OperationError> {
    let backup_id = run.job.backup_id.clone();
    let fault = match result {
        Ok(DiscoveryEnd::Complete) => return queued(catalog, observer, run).await,
        Ok(DiscoveryEnd::OutOfTime) => return end_for_next_run(catalog, run).await,
        Err(fault) => fault,
    };
    let skipped = |status| {
        Ok(DiscoveryOutcome::Skipped {
            backup_id: backup_id.clone(),
            reason: SkipReason::AlreadyFinished(status),
        })
    };
    // After a transient fault the next run resumes at the cursor. The event's source retries, and
    // later the sweep dispatches the step.
    match ending_of(catalog, run, fault).await? {
        RunEnding::CommittedBefore => skipped(JobStatus::Completed),
        RunEnding::Cancelled => skipped(JobStatus::Cancelled),
        RunEnding::LostLease(state) => Ok(outcome_of(state, run)),
        RunEnding::Failed(OperationError::Stopped(StopReason::Deadline)) => {
            end_for_next_run(catalog, run).await
        }
        RunEnding::Failed(error) => {
            if error.is_transient() && should_resume(catalog, run).await {
                return Err(error);
            }
            tracing::error!(backupId = %backup_id, code = %error.code(), %error, "the discovery failed");
            Ok(DiscoveryOutcome::Failed(Box::new(
                finish::fail_run(catalog, observer, run, error.failure()).await?,
            )))
        }
    }
}

/// Every item was found. The backup advances at once if no download is pending.
async fn queued(
    catalog: &Catalog,
    observer: &dyn Observer,
    run: &Run,
) -> Result<DiscoveryOutcome, OperationError> {
    let backup_id = run.job.backup_id.clone();
    persist(|| wait_until(catalog, run, run.job.created_at + DOWNLOADS_END_AFTER)).await?;
    if finalize_if_settled_at(catalog, observer, &backup_id, catalog.now().await?).await? {
        return Ok(DiscoveryOutcome::Finalize { backup_id });
    }
    let counts = persist(|| async { Ok(catalog.item_counts(&backup_id).await?) }).await?;
    tracing::info!(backupId = %backup_id, items = counts.expected, unchanged = counts.unchanged, "every item was found");
    Ok(DiscoveryOutcome::Queued { backup_id, counts })
}

async fn end_for_next_run(
    catalog: &Catalog,
    run: &Run,
) -> Result<DiscoveryOutcome, OperationError> {
    if wait_for_next_run(catalog, run).await? {
        let backup_id = run.job.backup_id.clone();
        return Ok(DiscoveryOutcome::Continue { backup_id });
    }
    Ok(outcome_of(state_after_lost_lease(catalog, run).await?, run))
}

fn outcome_of(state: LostLease, run: &Run) -> DiscoveryOutcome {
    match state.outcome(run) {
        BackupOutcome::Completed(job) | BackupOutcome::Failed(job) => DiscoveryOutcome::Failed(job),
        BackupOutcome::Skipped { backup_id, reason } => {
            DiscoveryOutcome::Skipped { backup_id, reason }
        }
    }
}

/// Whether another run should resume this discovery after a transient fault. With a cursor, the
/// event's source retries, and later the sweep. Without a cursor, the discovery fails at once and
/// reports the reason.
async fn should_resume(catalog: &Catalog, run: &Run) -> bool {
    let found = catalog
        .content_work(&run.job.backup_id)
        .await
        .is_ok_and(|work| work.found > 0);
    found && wait_for_next_run(catalog, run).await.unwrap_or(false)
}
