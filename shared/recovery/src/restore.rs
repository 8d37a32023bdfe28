//! Restores a backup, checked against its manifest, or any mongodump archive.

use std::{
    io::{self, BufRead as _, BufReader, Read},
    sync::Arc,
};

use holdfast_archive::WalkError;
use holdfast_codec::GunzipReader;
use holdfast_database::{
    AnonymizeReport, Connection, Expected, ExpectedNamespace, RestoreError, RestoreFault,
    RestoreOptions, RestoreProgress, RestoreReport, RestoreStep,
};
use holdfast_domain::{Artifact, BackupId, BackupType, Manifest, Secret, settings::ReadPreference};
use holdfast_repository::{
    Repository, RepositoryError,
    artifact_reader::{ArtifactReader, Depth, Opener, dump_of},
};

use super::walk::walk;
use crate::RecoveryError;

const APP_NAME: &str = "holdfast-restore";
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The target and the options of a restore.
#[derive(Debug, Clone)]
pub struct RestoreTarget {
    /// The server.
    pub uri: Secret,
    /// Renaming, and the treatment of existing data.
    pub options: RestoreOptions,
}

impl RestoreTarget {
    /// Connects to the target server.
    ///
    /// # Errors
    /// If it is unavailable.
    async fn connect(&self) -> Result<Connection, RecoveryError> {
        Connection::open(&self.uri, ReadPreference::Primary, APP_NAME)
            .await
            .map_err(RecoveryError::Target)
    }
}

/// Restores a database backup, and compares the restored data with its manifest.
///
/// # Errors
/// [`RepositoryError::Corrupt`] before any write: the complete artifact, and the rules of an
/// anonymised restore, are proved first. A [`holdfast_database::RestoreError`] names the incomplete
/// collections.
pub async fn restore_database(
    repository: &Repository,
    id: &BackupId,
    target: &RestoreTarget,
    progress: &(dyn Fn(&RestoreProgress) + Sync),
) -> Result<RestoreReport, RecoveryError> {
    if id.backup_type() != BackupType::Database {
        return Err(RecoveryError::invalid(format!(
            "backup {id} is not a database backup"
        )));
    }
    let manifest = repository.manifest(id).await?;
    let opener = Arc::new(Opener::new(repository, &manifest).await?);
    let artifact = dump_of(&manifest)?;
    let rehearsal = rehearsal_of(&target.options);
    if !target.options.dry_run && rehearsal.is_none() {
        prove(repository, id, artifact, &opener, progress).await?;
    }
    let connection = target.connect().await?;
    if let Some(rehearsal) = rehearsal {
        // The rehearsal reads the artifact to its end, and so proves it.
        let rehearsed = from_store(
            repository,
            &manifest,
            &opener,
            &connection,
            &rehearsal,
            progress,
        )
        .await?;
        refuse_unfitting_rules(&rehearsed)?;
    }
    from_store(
        repository,
        &manifest,
        &opener,
        &connection,
        &target.options,
        progress,
    )
    .await
}

async fn from_store(
    repository: &Repository,
    manifest: &Manifest,
    opener: &Arc<Opener>,
    connection: &Connection,
    options: &RestoreOptions,
    progress: &(dyn Fn(&RestoreProgress) + Sync),
) -> Result<RestoreReport, RecoveryError> {
    let key = &dump_of(manifest)?.key;
    let archive =
        ArtifactReader::from_store(repository, key, Arc::clone(opener), Depth::Plain).await?;
    let namespaces: Vec<ExpectedNamespace> = manifest
        .namespaces
        .iter()
        .map(|namespace| ExpectedNamespace {
            db: namespace.db.clone(),
            collection: namespace.collection.clone(),
            documents: namespace.documents,
            content_hash: namespace.content_hash,
        })
        .collect();
    let digest = |hash| opener.content_digest(hash);
    let expected = Expected {
        namespaces: &namespaces,
        digest: &digest,
    };
    holdfast_database::restore(connection, archive, options, Some(expected), progress)
        .await
        .map_err(|error| RecoveryError::from_restore(&manifest.backup_id, error))
}

/// An anonymised restore is rehearsed first, without writing. Otherwise values could remain
/// unreplaced in the target.
fn rehearsal_of(options: &RestoreOptions) -> Option<RestoreOptions> {
    let is_needed = options.anonymizer.is_some() && !options.dry_run;
    is_needed.then(|| RestoreOptions {
        dry_run: true,
        ..options.clone()
    })
}

fn refuse_unfitting_rules(rehearsed: &RestoreReport) -> Result<(), RecoveryError> {
    let problems = rehearsed
        .anonymized
        .as_ref()
        .map(AnonymizeReport::problems)
        .unwrap_or_default();
    if problems.is_empty() {
        return Ok(());
    }
    let cause = RestoreFault::Invalid(format!(
        "the rules do not fit the archive: {}",
        problems.join("; ")
    ));
    Err(RestoreError::from(cause).into())
}

/// Reads the complete artifact once, so a damaged one is refused before any write.
async fn prove(
    repository: &Repository,
    id: &BackupId,
    artifact: &Artifact,
    opener: &Arc<Opener>,
    progress: &(dyn Fn(&RestoreProgress) + Sync),
) -> Result<(), RecoveryError> {
    let reader = ArtifactReader::from_store(
        repository,
        &artifact.key,
        Arc::clone(opener),
        Depth::Decrypted,
    )
    .await?;
    let (sender, mut read_so_far) = tokio::sync::watch::channel(0);
    let mut reader = reader.metered(move |bytes| {
        sender.send_replace(bytes);
    });
    let reading = tokio::task::spawn_blocking(move || io::copy(&mut reader, &mut io::sink()));
    while read_so_far.changed().await.is_ok() {
        let bytes = *read_so_far.borrow_and_update();
        progress(&RestoreProgress {
            step: RestoreStep::Authenticating,
            documents: 0,
            bytes,
        });
    }
    let read = reading
        .await
        .map_err(|error| RepositoryError::internal("read the artifact", &error))?;
    read.map_err(|error| RepositoryError::from_reading(id, &error))?;
    Ok(())
}

/// Reads a mongodump archive to its end, plain or gzipped, and checks that it is complete. So its
/// faults are known before any write or drop.
///
/// # Errors
/// A [`RestoreError`] without incomplete collections.
pub async fn prove_archive(source: Box<dyn Read + Send>) -> Result<(), RecoveryError> {
    let archive = PlainArchive {
        source: Some(BufReader::new(source)),
        plain: None,
    };
    let walked = tokio::task::spawn_blocking(move || walk(archive)).await;
    let walked = walked.map_err(|error| RepositoryError::internal("read the archive", &error))?;
    walked.map(drop).map_err(|error| {
        let cause = match error.downcast::<WalkError>() {
            Ok(fault) => RestoreFault::Archive(fault),
            Err(error) => RestoreFault::Source(error),
        };
        RestoreError {
            cause,
            incomplete: Vec::new(),
        }
        .into()
    })
}

/// Rehearses the rules of an anonymised restore on an archive, as [`restore_database`] does.
/// Without rules it does nothing.
///
/// # Errors
/// As [`restore_archive`], and a refusal if the rules do not fit.
pub async fn rehearse_archive(
    source: Box<dyn Read + Send>,
    target: &RestoreTarget,
    progress: &(dyn Fn(&RestoreProgress) + Sync),
) -> Result<(), RecoveryError> {
    match rehearsal_of(&target.options) {
        Some(options) => {
            let rehearsal = RestoreTarget {
                uri: target.uri.clone(),
                options,
            };
            refuse_unfitting_rules(&restore_archive(source, &rehearsal, progress).await?)
        }
        None => Ok(()),
    }
}

/// Restores a mongodump archive, plain or gzipped, detected by its first two bytes. If it can be
/// read twice, call [`prove_archive`] first.
///
/// # Errors
/// As [`holdfast_database::restore`].
pub async fn restore_archive(
    source: Box<dyn Read + Send>,
    target: &RestoreTarget,
    progress: &(dyn Fn(&RestoreProgress) + Sync),
) -> Result<RestoreReport, RecoveryError> {
    let connection = target.connect().await?;
    let archive = PlainArchive {
        source: Some(BufReader::new(source)),
        plain: None,
    };
    Ok(holdfast_database::restore(&connection, archive, &target.options, None, progress).await?)
}

/// An archive that unzips itself if needed. It detects the form at the first read, on a blocking
/// thread.
struct PlainArchive {
    source: Option<BufReader<Box<dyn Read + Send>>>,
    plain: Option<Box<dyn Read + Send>>,
}

impl Read for PlainArchive {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(mut source) = self.source.take() {
            let gzipped = source.fill_buf()?.starts_with(&GZIP_MAGIC);
            self.plain = Some(if gzipped {
                Box::new(GunzipReader::new(source))
            } else {
                Box::new(source)
            });
        }
        match &mut self.plain {
            Some(plain) => plain.read(buffer),
            None => Err(io::Error::other("the archive could not be opened")),
        }
    }
}
