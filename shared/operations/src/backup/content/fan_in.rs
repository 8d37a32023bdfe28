//! Fan-in: once every item is settled, exactly one caller advances the backup. It counts settled
//! items, never messages.

use holdfast_catalog::{Catalog, CatalogError, JobChange, Settled, Source};
use holdfast_domain::{
    BackupId, ContentItem, DownloadMessage, ItemFailure, ItemFailureCode, Job, JobStatus,
    Timestamp, file_name,
};

use super::{NEXT_RUN_WITHIN, fail_item, source::ItemSource, stored};
use crate::{Holdfast, Observer, OperationError, StopReason, job::run::Run};

/// The job, if its downloads are under way.
pub(super) async fn running_job(
    catalog: &Catalog,
    id: &BackupId,
) -> Result<Option<Job>, OperationError> {
    match catalog.get(id).await {
        Ok(job) => Ok((job.status == JobStatus::Running).then_some(job)),
        Err(CatalogError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Advances a backup to `finalizing` if every item is found and settled. Returns `true` for exactly
/// one caller. This caller must dispatch [`crate::finalize_content`].
///
/// # Errors
/// Those of the catalogue. The sweep checks again.
pub async fn finalize_if_settled(
    holdfast: &Holdfast,
    id: &BackupId,
    now: Timestamp,
) -> Result<bool, OperationError> {
    finalize_if_settled_at(
        &holdfast.catalog,
        holdfast.observer.as_ref(),
        id,
        holdfast.catalog.by_server_clock(now).await?,
    )
    .await
}

/// The same at this time of the catalogue's server.
pub(crate) async fn finalize_if_settled_at(
    catalog: &Catalog,
    observer: &dyn Observer,
    id: &BackupId,
    now: Timestamp,
) -> Result<bool, OperationError> {
    if running_job(catalog, id).await?.is_none()
        || catalog.content_work(id).await?.discovered_at.is_none()
        || catalog.any_pending(id).await?
    {
        return Ok(false);
    }
    let job = match catalog
        .transition(id, JobStatus::Finalizing, JobChange::default(), None)
        .await
    {
        Ok(job) => job,
        Err(CatalogError::Conflict { .. }) => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    observer.job_changed(&job).await;
    // If another run has the lease by now, that run is the finalizer.
    let waits = catalog
        .wait(Source::Content, id, job.fence, now + NEXT_RUN_WITHIN, now)
        .await;
    if let Err(error) = waits {
        tracing::warn!(backupId = %id, %error, "cannot make the lease wait for the next run: the sweep dispatches it");
    }
    Ok(true)
}

/// The same for the run that holds the lease and finalizes the backup itself. Its lease does not
/// wait. Returns `false` while items are pending.
pub(crate) async fn finalize_leased_if_settled(
    catalog: &Catalog,
    observer: &dyn Observer,
    run: &Run,
) -> Result<bool, OperationError> {
    let id = &run.job.backup_id;
    if catalog.any_pending(id).await? {
        return Ok(false);
    }
    match catalog
        .transition(
            id,
            JobStatus::Finalizing,
            JobChange::default(),
            Some(run.fence),
        )
        .await
    {
        Ok(job) => observer.job_changed(&job).await,
        // The answer of an earlier call was lost.
        Err(CatalogError::Conflict {
            status: JobStatus::Finalizing,
            fence,
            ..
        }) if fence == run.fence => {}
        Err(CatalogError::Conflict {
            status: JobStatus::Cancelled,
            ..
        }) => return Err(StopReason::Cancelled.into()),
        Err(CatalogError::Conflict { .. }) => return Err(StopReason::LeaseLost.into()),
        Err(error) => return Err(error.into()),
    }
    Ok(true)
}

/// Settles an item after the queue gave up on it. Returns `true` if this call did it: call
/// [`finalize_if_settled`] then.
///
/// # Errors
/// Those of the catalogue. The dead letter must be delivered again.
pub async fn settle_undelivered(
    holdfast: &Holdfast,
    message: &DownloadMessage,
    now: Timestamp,
) -> Result<bool, OperationError> {
    let DownloadMessage {
        backup_id,
        content_id,
    } = message;
    let Some(job) = running_job(&holdfast.catalog, backup_id).await? else {
        return Ok(false);
    };
    let Some(record) = holdfast.catalog.get_item(backup_id, content_id).await? else {
        return Ok(false);
    };
    tracing::warn!(backupId = %backup_id, contentId = content_id, at = %now, "the queue gave an item up");
    let reason = format!(
        "the queue reached its limit of deliveries, and none of {} begun downloads completed: see the workers' \
         log",
        record.attempts
    );
    settle_undownloaded(holdfast, &job, &record.item, reason).await
}

/// Settles an item without a completed download. Returns `true` if this call did it. A stored file
/// of its source is used, so that its only copy keeps a reference, and the list records this.
/// Without a stored file, the item fails.
pub(crate) async fn settle_undownloaded(
    holdfast: &Holdfast,
    job: &Job,
    item: &ContentItem,
    message: String,
) -> Result<bool, OperationError> {
    let backup_id = &job.backup_id;
    let code = ItemFailureCode::NotDelivered;
    let stored = match ItemSource::of(item) {
        Ok(source) => stored::for_source(holdfast, job, &source).await?,
        Err(_) => None,
    };
    let Some(file) = stored else {
        return fail_item(
            &holdfast.catalog,
            backup_id,
            &item.content_id,
            code,
            message,
        )
        .await;
    };
    let (file_name, failure) = (
        file_name(item, file.content_type.as_deref()),
        ItemFailure { code, message },
    );
    let settled = Settled::Stale {
        file_name: &file_name,
        file: &file,
        failure: &failure,
    };
    Ok(holdfast
        .catalog
        .settle_item(
            backup_id,
            &item.content_id,
            settled,
            holdfast.catalog.now().await?,
        )
        .await?)
}
