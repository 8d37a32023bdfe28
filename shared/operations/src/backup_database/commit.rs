//! The commit: guide, then manifest, put only if absent. From that moment on the backup exists.

use bytes::Bytes;
use holdfast_archive::NamespaceSummary;
use holdfast_catalog::JobChange;
use holdfast_domain::{
    Artifact, Compression, Consistency, FORMAT_VERSION, Job, JobStatus, Manifest, ManifestFile, NamespaceManifest,
    ObjectKey, SEGMENT_BYTES, Timestamp,
};
use holdfast_storage::{PutMode, StoreError};

use super::{
    Run, RunFault,
    dump::{StoredDump, WritingKey, remove},
    restore_guide::restore_guide,
    watch::Watch,
};
use crate::{Holdfast, OperationError, StopReason, artifact::content_digest, settle};

/// Writes guide and manifest, and settles the job. What fails before the manifest is withdrawn.
pub(super) async fn commit(
    h: &Holdfast,
    run: &Run,
    key: &WritingKey,
    dump: StoredDump,
    watch: &Watch,
) -> Result<Job, RunFault> {
    let (dump_key, note) = (dump.key.clone(), dump.note.clone());
    let manifest = manifest(h, run, key, dump);
    if let Err(error) = watch.guard(prepare(h, run, key, &manifest, note, watch)).await {
        withdraw(h, run, key, &dump_key).await;
        return Err(error.into());
    }
    put_manifest(h, run, key, &manifest, &dump_key).await?;
    if run.fence > 1 {
        // The run that was taken over may have been about to write its own.
        put_guide(h, key, &manifest).await.map_err(RunFault::Unknown)?;
    }
    // The backup exists. Where its row cannot say so now, the sweep will.
    settle::complete(h, &run.job, &manifest).await.map_err(RunFault::Unknown)
}

/// Takes back what this run has stored. Where a backup was committed meanwhile, what its manifest names stays, and its
/// guide is put right; where that cannot be told, all of it stays.
async fn withdraw(h: &Holdfast, run: &Run, key: &WritingKey, dump_key: &ObjectKey) {
    let id = &run.job.backup_id;
    match h.repository.manifest(id).await {
        Ok(theirs) => {
            if theirs.artifacts.iter().all(|artifact| artifact.key != *dump_key) {
                remove(h, dump_key).await;
            }
            if let Err(error) = put_guide(h, key, &theirs).await {
                tracing::warn!(backupId = %id, %error, "the guide of another run could not be put right");
            }
        }
        Err(OperationError::NotFound(_)) => remove(h, dump_key).await,
        Err(error) => tracing::warn!(backupId = %id, %error, "what a failed run stored is left to the sweep"),
    }
}

async fn prepare(
    h: &Holdfast,
    run: &Run,
    key: &WritingKey,
    manifest: &Manifest,
    note: Option<String>,
    watch: &Watch,
) -> Result<(), OperationError> {
    let id = &run.job.backup_id;
    watch.confirm().await?;
    let change = JobChange { engine: Some(manifest.engine.clone()), message: note, ..JobChange::default() };
    let job = h.catalog.transition(id, JobStatus::Committing, change, Some(run.fence)).await?;
    h.observer.job_changed(&job).await;
    put_guide(h, key, manifest).await?;
    // Nothing awaits between this beat and the manifest.
    watch.confirm().await
}

async fn put_guide(h: &Holdfast, key: &WritingKey, manifest: &Manifest) -> Result<(), OperationError> {
    let guide_key = ObjectKey::restore_guide(&manifest.backup_id);
    for artifact in &manifest.artifacts {
        let guide = restore_guide(manifest, artifact, &key.wrapped, h.repository.location());
        h.repository.store().put(&guide_key, Bytes::from(guide), PutMode::Replace).await?;
    }
    Ok(())
}

async fn put_manifest(
    h: &Holdfast,
    run: &Run,
    key: &WritingKey,
    manifest: &Manifest,
    dump_key: &ObjectKey,
) -> Result<(), RunFault> {
    let sign = |bytes: &[u8]| key.master.as_ref().map(|master| master.manifest_mac(bytes));
    let file =
        ManifestFile::seal(manifest, sign).map_err(|error| OperationError::internal("encode the manifest", &error))?;
    let put = h.repository.store().put(&ObjectKey::manifest(&run.job.backup_id), file.into(), PutMode::IfAbsent).await;
    let Err(error) = put else { return Ok(()) };
    // The answer may have been lost, or another run been quicker: what is there now decides.
    match h.repository.manifest(&run.job.backup_id).await {
        Ok(found) if found == *manifest => Ok(()),
        Ok(_) => {
            withdraw(h, run, key, dump_key).await;
            Err(OperationError::Stopped(StopReason::LeaseLost).into())
        }
        Err(OperationError::NotFound(_)) if matches!(error, StoreError::Denied { .. } | StoreError::Invalid { .. }) => {
            withdraw(h, run, key, dump_key).await;
            remove_guide(h, run).await;
            Err(OperationError::Store(error).into())
        }
        // It may still arrive: what it names must stay.
        _ => Err(RunFault::Unknown(error.into())),
    }
}

/// Nothing is left of a backup that was refused.
async fn remove_guide(h: &Holdfast, run: &Run) {
    let guide = ObjectKey::restore_guide(&run.job.backup_id);
    if let Err(error) = h.repository.store().delete(&guide).await {
        tracing::warn!(key = %guide, %error, "a guide without a backup could not be removed");
    }
}

fn manifest(h: &Holdfast, run: &Run, key: &WritingKey, dump: StoredDump) -> Manifest {
    let StoredDump { key: dump_key, proof, indexes, engine, note: _, source } = dump;
    let namespace = |(found, indexes): (&NamespaceSummary, Vec<String>)| NamespaceManifest {
        db: found.db.clone(),
        collection: found.collection.clone(),
        kind: found.kind.as_str().to_owned(),
        documents: found.documents,
        bytes: found.bytes,
        content_hash: content_digest(key.master.as_deref(), found.content_hash),
        indexes,
    };
    Manifest {
        format_version: FORMAT_VERSION,
        backup_id: run.job.backup_id.clone(),
        backup_type: run.job.backup_type,
        repository: key.repository.id.clone(),
        trigger: run.job.trigger.clone(),
        parent_id: run.job.parent_id.clone(),
        fence: run.fence,
        created_at: run.job.created_at,
        started_at: run.job.started_at.unwrap_or(run.job.created_at),
        completed_at: Timestamp::now(),
        holdfast_version: env!("CARGO_PKG_VERSION").to_owned(),
        engine,
        consistency: Consistency::PerCollection,
        source,
        namespaces: proof.summary.namespaces.iter().zip(indexes).map(namespace).collect(),
        original_size: proof.summary.bytes,
        compression: h.settings.database.compression.then_some(Compression::Gzip),
        encryption: key.encryption.clone(),
        artifacts: vec![Artifact {
            key: dump_key,
            size: proof.artifact.size_bytes,
            sha256: proof.artifact.sha256,
            segment_bytes: SEGMENT_BYTES,
            segments: proof.artifact.segments,
        }],
    }
}
