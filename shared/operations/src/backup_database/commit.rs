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
    dump::{StoredDump, WritingKey},
    restore_guide::restore_guide,
    watch::Watch,
};
use crate::{Holdfast, OperationError, StopReason, artifact::content_digest, settle};

/// Writes guide and manifest, and settles the job. What fails before the manifest removes the dump again.
pub(super) async fn commit(
    h: &Holdfast,
    run: &Run,
    key: &WritingKey,
    dump: StoredDump,
    watch: &Watch,
) -> Result<Job, RunFault> {
    let dump_key = dump.key.clone();
    let manifest = manifest(h, run, key, dump);
    if let Err(error) = prepare(h, run, key, &manifest, watch).await {
        remove(h, &dump_key).await;
        return Err(error.into());
    }
    put_manifest(h, run, key, &manifest, &dump_key).await?;
    // The backup exists. Where its row cannot say so now, the sweep will.
    settle::complete(h, &run.job, &manifest).await.map_err(RunFault::Unknown)
}

async fn prepare(
    h: &Holdfast,
    run: &Run,
    key: &WritingKey,
    manifest: &Manifest,
    watch: &Watch,
) -> Result<(), OperationError> {
    let id = &run.job.backup_id;
    watch.confirm().await?;
    let change = JobChange { engine: Some(manifest.engine.clone()), ..JobChange::default() };
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
        Ok(theirs) => {
            remove(h, dump_key).await;
            // This run's guide may have gone over theirs.
            put_guide(h, key, &theirs).await?;
            Err(OperationError::Stopped(StopReason::LeaseLost).into())
        }
        Err(OperationError::NotFound(_)) if matches!(error, StoreError::Denied { .. } | StoreError::Invalid { .. }) => {
            remove(h, dump_key).await;
            Err(OperationError::Store(error).into())
        }
        // It may still arrive: what it names must stay.
        _ => Err(RunFault::Unknown(error.into())),
    }
}

fn manifest(h: &Holdfast, run: &Run, key: &WritingKey, dump: StoredDump) -> Manifest {
    let StoredDump { key: dump_key, proof, report, engine, source } = dump;
    let indexes = |db: &str, collection: &str| {
        let found = report.namespaces.iter().find(|dumped| dumped.db == db && dumped.collection == collection);
        found.map(|dumped| dumped.indexes.clone()).unwrap_or_default()
    };
    let namespace = |found: &NamespaceSummary| NamespaceManifest {
        db: found.db.clone(),
        collection: found.collection.clone(),
        kind: found.kind.as_str().to_owned(),
        documents: found.documents,
        bytes: found.bytes,
        content_hash: content_digest(key.master.as_deref(), found.content_hash),
        indexes: indexes(&found.db, &found.collection),
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
        namespaces: proof.summary.namespaces.iter().map(namespace).collect(),
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

/// Removes this run's own dump, which no manifest names.
async fn remove(h: &Holdfast, dump_key: &ObjectKey) {
    if let Err(error) = h.repository.store().delete(dump_key).await {
        tracing::warn!(key = %dump_key, %error, "a dump without a manifest could not be removed");
    }
}
