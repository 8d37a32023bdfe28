//! The end of a job. Each ending is one conditional change of its row, followed by a call of the
//! observer and the release of the lease.

pub(crate) mod parent;

use holdfast_catalog::{CatalogError, JobChange};
use holdfast_domain::{
    Artifact, BackupId, ContentManifest, ItemCounts, Job, JobFailure, JobStatus, Manifest,
    NamespaceCount, NamespaceManifest, Source, Timestamp,
};
use holdfast_repository::{RepositoryError, artifact_reader::dump_of, presence::missing_artifacts};
use jiff::SignedDuration;

use super::{heartbeat::persist, lease, run::Run};
use crate::{Holdfast, OperationError};

/// Within this time after the end of its job, a paused run may still write its manifest and
/// complete the job.
pub(crate) const LATE_MANIFEST_GRACE: SignedDuration = SignedDuration::from_hours(1);

/// Settles a job as `failed`. With a fencing number, only if this run still has the job.
pub(crate) async fn fail(
    h: &Holdfast,
    job: &Job,
    failure: JobFailure,
    fence: Option<u64>,
    now: Timestamp,
) -> Result<Job, OperationError> {
    let change = JobChange {
        error: Some(failure),
        ..ending_change(job, now)
    };
    finish_job(h, &job.backup_id, JobStatus::Failed, change, fence).await
}

/// Settles a run's own job as `failed`. A fault of the source may also be one of the catalogue, so
/// the call is repeated like every other call of a run.
pub(crate) async fn fail_run(
    h: &Holdfast,
    run: &Run,
    failure: JobFailure,
) -> Result<Job, OperationError> {
    fail_counted_run(h, run, failure, None).await
}

/// The same, with the counts of a content backup's items.
pub(crate) async fn fail_counted_run(
    h: &Holdfast,
    run: &Run,
    failure: JobFailure,
    items: Option<ItemCounts>,
) -> Result<Job, OperationError> {
    let fail = || async {
        let now = h.catalog.now().await?;
        let change = JobChange {
            error: Some(failure.clone()),
            items,
            ..ending_change(&run.job, now)
        };
        finish_job(
            h,
            &run.job.backup_id,
            JobStatus::Failed,
            change,
            Some(run.fence),
        )
        .await
    };
    persist(fail).await
}

/// Settles a job as `completed`, with the values of its manifest.
pub(crate) async fn complete(
    h: &Holdfast,
    job: &Job,
    manifest: &Manifest,
) -> Result<Job, OperationError> {
    let JobChange {
        completed_at,
        duration_ms,
        ..
    } = ending_change(job, manifest.completed_at);
    let from_manifest = job_change_from(manifest)?;
    let message = join_notes(job.message.as_deref(), from_manifest.message.as_deref());
    let mut warnings = job.warnings.clone();
    warnings.extend(
        from_manifest
            .warnings
            .into_iter()
            .flatten()
            .filter(|from_manifest| !job.warnings.contains(from_manifest)),
    );
    let warnings = (!warnings.is_empty()).then_some(warnings);
    let change = JobChange {
        completed_at,
        duration_ms,
        message,
        warnings,
        ..from_manifest
    };
    finish_job(h, &job.backup_id, JobStatus::Completed, change, None).await
}

/// Joins the notes of the run and of the manifest. A repeated call adds nothing.
fn join_notes(noted: Option<&str>, from_manifest: Option<&str>) -> Option<String> {
    match (noted, from_manifest) {
        (Some(noted), Some(from_manifest)) if !noted.contains(from_manifest) => {
            Some(format!("{noted}. {from_manifest}"))
        }
        (noted, from_manifest) => noted.or(from_manifest).map(str::to_owned),
    }
}

/// Settles a `failed` or `cancelled` job as `completed` if its manifest and all its artifacts are
/// in the store. A run paused past its lease may have written it.
///
/// # Errors
/// [`OperationError::Corrupt`] if an artifact is missing: the job stays as it is. Those of store
/// and catalogue.
pub(crate) async fn complete_if_committed(h: &Holdfast, job: &Job) -> Result<bool, OperationError> {
    let Some(manifest) = committed_manifest(h, &job.backup_id).await? else {
        return Ok(false);
    };
    complete(h, job, &manifest).await?;
    tracing::info!(backupId = %job.backup_id, was = %job.status, "a job is completed because its manifest is in the store");
    Ok(true)
}

/// The manifest of a backup, if it is in the store. Nothing is changed.
///
/// # Errors
/// [`OperationError::Corrupt`] if an artifact is missing. Those of the store.
pub(crate) async fn committed_manifest(
    h: &Holdfast,
    id: &BackupId,
) -> Result<Option<Manifest>, OperationError> {
    let manifest = match h.repository.manifest(id).await {
        Ok(manifest) => manifest,
        Err(RepositoryError::NotFound(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    match missing_artifacts(&h.repository, &manifest).await? {
        None => Ok(Some(manifest)),
        Some(problem) => Err(OperationError::corrupt(
            id,
            format!("its manifest is in the store, but {problem}"),
        )),
    }
}

/// The row of a completed job, from its manifest.
pub(crate) fn job_change_from(manifest: &Manifest) -> Result<JobChange, OperationError> {
    let (key, checksum) = match &manifest.content {
        None => {
            let dump = dump_of(manifest)?;
            (dump.key.clone(), dump.sha256)
        }
        Some(content) => {
            let first = first_of(manifest, content)?;
            (first.key.clone(), first.sha256)
        }
    };
    let is_dump = manifest.content.is_none();
    let count = |namespace: &NamespaceManifest| NamespaceCount {
        namespace: format!("{}.{}", namespace.db, namespace.collection),
        documents: namespace.documents,
    };
    Ok(JobChange {
        engine: manifest.engine.clone(),
        consistency: manifest.consistency,
        original_size: Some(manifest.original_size),
        size: Some(
            manifest
                .artifacts
                .iter()
                .map(|artifact| artifact.size)
                .sum(),
        ),
        compressed: Some(manifest.compression.is_some()),
        encrypted: Some(manifest.encryption.is_some()),
        checksum: Some(checksum),
        key: Some(key),
        namespaces: is_dump
            .then(|| NamespaceCount::listed(manifest.namespaces.iter().map(count).collect())),
        namespace_count: is_dump.then_some(manifest.namespaces.len() as u64),
        document_count: is_dump.then(|| {
            manifest
                .namespaces
                .iter()
                .map(|namespace| namespace.documents)
                .sum()
        }),
        last_write_at: manifest.source.last_write_at,
        lag_seconds: manifest.source.lag_seconds,
        items: manifest.content.as_ref().map(|content| content.items),
        message: message(manifest),
        warnings: stale(&manifest.source).map(|warning| vec![warning]),
        ..JobChange::default()
    })
}

/// The first file that people fetch: the archive, or the list if there is no archive.
fn first_of<'a>(
    manifest: &'a Manifest,
    content: &ContentManifest,
) -> Result<&'a Artifact, OperationError> {
    let key = content.archive.first().unwrap_or(&content.item_list);
    let found = manifest
        .artifacts
        .iter()
        .find(|artifact| artifact.key == *key);
    found.ok_or_else(|| {
        OperationError::corrupt(
            &manifest.backup_id,
            format!("its manifest names {key} without an artifact"),
        )
    })
}

fn message(manifest: &Manifest) -> Option<String> {
    match &manifest.content {
        None if manifest.namespaces.is_empty() => {
            Some("there was nothing to back up: the database is empty".to_owned())
        }
        None => stale(&manifest.source),
        Some(ContentManifest { items, .. }) if items.expected == 0 => Some(
            "there was nothing to back up: no content item is stored on IPFS or Gaia".to_owned(),
        ),
        Some(ContentManifest { items, .. }) => (items.failed > 0).then(|| {
            format!(
                "{} of {} items could not be backed up: see their reasons in the list of items",
                items.failed, items.expected
            )
        }),
    }
}

/// A note, if the server member used for the dump was far behind.
fn stale(source: &Source) -> Option<String> {
    const WARN_SECONDS: u64 = 5 * 60;
    let (at, lag) = (
        source.last_write_at?,
        source.lag_seconds.filter(|lag| *lag > WARN_SECONDS)?,
    );
    Some(format!(
        "the data may be {lag} seconds old: the last write applied by the server member was at {at} when the dump \
         began. Check the replication lag"
    ))
}

pub(crate) async fn finish_job(
    h: &Holdfast,
    id: &BackupId,
    to: JobStatus,
    change: JobChange,
    fence: Option<u64>,
) -> Result<Job, OperationError> {
    let job = match h.catalog.transition(id, to, change, fence).await {
        Ok(job) => job,
        // Another call has already ended the job in the same way.
        Err(CatalogError::Conflict { status, .. }) if status == to => h.catalog.get(id).await?,
        Err(error) => return Err(error.into()),
    };
    h.observer.job_changed(&job).await;
    lease::release(h, id).await;
    parent::finish_parent_of(h, &job).await;
    Ok(job)
}

pub(crate) fn ending_change(job: &Job, at: Timestamp) -> JobChange {
    let began = job.started_at.unwrap_or(job.created_at);
    let duration_ms = u64::try_from(at.duration_since(began).as_millis()).unwrap_or_default();
    JobChange {
        completed_at: Some(at),
        duration_ms: Some(duration_ms),
        ..JobChange::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_that_is_more_than_five_minutes_behind_is_a_warning() {
        let source = |lag_seconds| Source {
            last_write_at: Timestamp::from_millisecond(1_700_000_000_000).ok(),
            lag_seconds,
            ..Source::default()
        };
        assert_eq!(
            (stale(&source(Some(300))), stale(&source(None))),
            (None, None)
        );
        let warning = stale(&source(Some(301))).unwrap();
        assert!(
            warning.contains("301 seconds") && warning.contains("2023-11-14T22:13:20Z"),
            "{warning}"
        );
    }

    #[test]
    fn what_a_run_noted_stays_in_the_message_and_nothing_is_said_twice() {
        assert_eq!(join_notes(None, None), None);
        assert_eq!(join_notes(Some("a"), None).as_deref(), Some("a"));
        assert_eq!(join_notes(None, Some("b")).as_deref(), Some("b"));
        let both = join_notes(Some("a"), Some("b"));
        assert_eq!(both.as_deref(), Some("a. b"));
        assert_eq!(
            join_notes(both.as_deref(), Some("b")),
            both,
            "a row that is settled again"
        );
    }
}
