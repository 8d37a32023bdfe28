//! Manifest, guide and notes of a content backup at its commit.

use holdfast_domain::{
    Compression, ContentManifest, FORMAT_VERSION, Job, Manifest, ObjectKey, Source, Timestamp,
};
use holdfast_repository::{guide::content_guide, source_warnings_before};

use super::{Finalizing, leftovers};
use crate::{
    OperationError,
    job::commit::{Commit, Notes, RunFault},
};

impl Finalizing<'_> {
    /// Writes guide and manifest, and settles the job. After a failure the artifacts remain,
    /// because a takeover may use them.
    pub(super) async fn commit(&self) -> Result<Job, RunFault> {
        // Retention compares it with the present of another machine.
        let completed_at = self
            .watch
            .persist(|| async { Ok(self.holdfast.catalog.now().await?) })
            .await?;
        let manifest = self.manifest(completed_at)?;
        let at = self.holdfast.repository.location();
        let guide = |manifest: &Manifest| {
            let of = |content| content_guide(manifest, content, &self.key.wrapped, at);
            manifest.content.as_ref().map(of).unwrap_or_default()
        };
        let commit = Commit {
            holdfast: self.holdfast,
            run: self.run,
            key: &self.key,
            watch: self.watch,
            guide: &guide,
            own: &[],
        };
        let warnings = source_warnings_before(&self.holdfast.repository, &manifest).await;
        let notes = Notes {
            notes: self.unencrypted().into_iter().collect(),
            warnings,
        };
        let job = commit.commit(&manifest, &notes).await?;
        leftovers::remove_unnamed(&self.holdfast.repository, &manifest).await;
        Ok(job)
    }

    /// A note with the number of files stored before encryption was turned on.
    fn unencrypted(&self) -> Option<String> {
        let list = self
            .work
            .item_list
            .as_ref()
            .filter(|list| list.unencrypted > 0)?;
        Some(format!(
            "{} of {} files are not encrypted: they were stored before BACKUP_CONTENT_ENCRYPTION was true",
            list.unencrypted,
            list.items.expected - list.items.failed
        ))
    }

    fn manifest(&self, completed_at: Timestamp) -> Result<Manifest, OperationError> {
        let (run, work) = (self.run, &self.work);
        let list = work.item_list.as_ref();
        let list = list.ok_or_else(|| {
            OperationError::internal("commit the backup", &"its list is not stored")
        })?;
        // The archive may have been turned off half-way.
        let volumes = if work.archive_done {
            work.volumes.as_slice()
        } else {
            &[]
        };
        let archive: Vec<ObjectKey> = volumes.iter().map(|volume| volume.key.clone()).collect();
        Ok(Manifest {
            format_version: FORMAT_VERSION,
            backup_id: run.job.backup_id.clone(),
            backup_type: run.job.backup_type,
            repository: self.key.repository.id.clone(),
            trigger: run.job.trigger.clone(),
            parent_id: run.job.parent_id.clone(),
            fence: run.fence,
            created_at: run.job.created_at,
            started_at: run.job.started_at.unwrap_or(run.job.created_at),
            completed_at,
            holdfast_version: env!("CARGO_PKG_VERSION").to_owned(),
            engine: None,
            consistency: None,
            source: Source {
                uri: self.source_uri(),
                server_version: work.server_version.clone(),
                ..Source::default()
            },
            namespaces: Vec::new(),
            content: Some(ContentManifest {
                items: list.items,
                item_list: list.artifact.key.clone(),
                archive,
            }),
            original_size: list.items.bytes,
            compression: run.job.compressed.then_some(Compression::Gzip),
            encryption: self.key.encryption.clone(),
            artifacts: std::iter::once(&list.artifact)
                .chain(volumes)
                .cloned()
                .collect(),
        })
    }

    /// The source as recorded by discovery. A discovery by an earlier version has not
    /// recorded it. It is then empty in a process without the source's connection string.
    fn source_uri(&self) -> String {
        if self.work.source_uri.is_empty() {
            let known = self.holdfast.settings.known_source();
            return known
                .and_then(holdfast_database::redacted_uri)
                .unwrap_or_default();
        }
        self.work.source_uri.clone()
    }

    /// The compression level of artifacts, if compression is on.
    pub(super) fn compression_level(&self) -> Option<u8> {
        self.run
            .job
            .compressed
            .then_some(self.holdfast.settings.database.compression_level)
    }
}
