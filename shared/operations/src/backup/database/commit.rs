//! Manifest, guide and notes of a database backup at its commit.

use holdfast_archive::NamespaceSummary;
use holdfast_domain::{
    Artifact, Compression, Consistency, FORMAT_VERSION, Job, Manifest, NamespaceManifest,
    SEGMENT_BYTES, Timestamp,
};
use holdfast_repository::{
    artifact_reader::content_digest, guide::database_guide, source_warnings_before,
    writing_key::WritingKey,
};

use super::{dump::StoredDump, missing};
use crate::{
    Holdfast,
    job::{
        commit::{Commit, Notes, RunFault},
        run::Run,
        watch::Watch,
    },
};

/// Writes guide and manifest, and settles the job. A failure before the manifest removes the stored
/// artifact.
pub(super) async fn commit(
    h: &Holdfast,
    run: &Run,
    key: &WritingKey,
    dump: StoredDump,
    watch: &Watch,
) -> Result<Job, RunFault> {
    let (own, mut notes) = ([dump.key.clone()], notes(&dump));
    // Retention compares it with the present of another machine.
    let completed_at = watch
        .persist(|| async { Ok(h.catalog.now().await?) })
        .await?;
    let manifest = manifest(h, run, key, dump, completed_at);
    notes
        .warnings
        .extend(missing::since_last_backup(h, &manifest).await);
    notes
        .warnings
        .extend(source_warnings_before(&h.repository, &manifest).await);
    let guide = |manifest: &Manifest| {
        let of =
            |artifact| database_guide(manifest, artifact, &key.wrapped, h.repository.location());
        manifest.artifacts.iter().map(of).collect()
    };
    Commit {
        h,
        run,
        key,
        watch,
        guide: &guide,
        own: &own,
    }
    .commit(&manifest, &notes)
    .await
}

/// The notes of the job about the dump.
fn notes(dump: &StoredDump) -> Notes {
    let names: Vec<String> = dump
        .rolled_over
        .iter()
        .map(|(db, collection)| format!("{db}.{collection}"))
        .collect();
    let rolled_over = (!names.is_empty()).then(|| {
        format!(
            "the server overwrote documents of these capped collections while they were read: {}",
            names.join(", ")
        )
    });
    let warnings = dump.warnings.iter().cloned().chain(rolled_over).collect();
    Notes {
        notes: dump.note.iter().cloned().collect(),
        warnings,
    }
}

fn manifest(
    h: &Holdfast,
    run: &Run,
    key: &WritingKey,
    dump: StoredDump,
    completed_at: Timestamp,
) -> Manifest {
    let StoredDump {
        key: dump_key,
        proof,
        indexes,
        rolled_over,
        engine,
        note: _,
        warnings: _,
        source,
    } = dump;
    let namespace = |(found, indexes): (&NamespaceSummary, Vec<String>)| NamespaceManifest {
        db: found.db.clone(),
        collection: found.collection.clone(),
        kind: found.kind.as_str().to_owned(),
        documents: found.documents,
        bytes: found.bytes,
        content_hash: content_digest(key.master.as_deref(), found.content_hash),
        indexes,
        rolled_over: rolled_over
            .iter()
            .any(|(db, collection)| *db == found.db && *collection == found.collection),
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
        completed_at,
        holdfast_version: env!("CARGO_PKG_VERSION").to_owned(),
        engine: Some(engine),
        consistency: Some(Consistency::PerCollection),
        source,
        namespaces: proof
            .summary
            .namespaces
            .iter()
            .zip(indexes)
            .map(namespace)
            .collect(),
        content: None,
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
