//! The restore drill restores a database backup into scratch databases, compares them with its
//! manifest, and drops them. The restore is the same as an operator's, but without indexes that
//! delete documents.

use std::collections::BTreeMap;

use holdfast_archive::NamespaceKind;
use holdfast_database::{
    Comparison, DatabaseError, Existing, RestoreError, RestoreFault, RestoreOptions,
    RestoreProgress, RestoreReport, RestoredNamespace, TtlIndexes,
};
use holdfast_domain::{
    BackupId, BackupType, DrilledCollection, Manifest, NamespaceManifest, Secret, Timestamp,
    VerificationLevel,
};
use holdfast_repository::{Repository, RepositoryError, artifact_reader::dump_of};

use super::{
    Findings, Judgement, Verification,
    database::of_artifact,
    scratch::{self, Scratch},
};
use crate::{RecoveryError, RestoreTarget, restore_database};

/// Restores a backup into scratch databases of `server`, and drops them in every case. If `stop`
/// completes first, it returns an error without a result.
///
/// # Errors
/// As [`super::verify`]. [`RecoveryError::Drill`] if the server is at fault or unavailable.
/// [`RecoveryError::Unfinished`] after a stop.
pub async fn drill(
    repository: &Repository,
    id: &BackupId,
    server: &Secret,
    now: Timestamp,
    stop: impl Future<Output = ()>,
    progress: &(dyn Fn(&RestoreProgress) + Sync),
) -> Result<Verification, RecoveryError> {
    if id.backup_type() != BackupType::Database {
        return Err(RecoveryError::invalid(NOT_CONTENT));
    }
    let judgement = Judgement::begin(repository, id, VerificationLevel::Drill, now).await?;
    let mut found = Findings::default();
    let checked = check(repository, id, server, now, stop, progress, &mut found).await;
    judgement.end(found, checked)
}

/// The refusal of a drill of a content backup.
pub const NOT_CONTENT: &str = "a drill restores a database. The deepest level of a content backup is structure: it \
                               reads every file completely, and rebuilds the blocks of its CID";

async fn check(
    repository: &Repository,
    id: &BackupId,
    server: &Secret,
    now: Timestamp,
    stop: impl Future<Output = ()>,
    progress: &(dyn Fn(&RestoreProgress) + Sync),
    found: &mut Findings,
) -> Result<(), RecoveryError> {
    let manifest = repository.manifest(id).await?;
    found.namespaces.clone_from(&manifest.namespaces);
    let connection = scratch::connect(server).await?;
    for name in scratch::remove_dead(&connection).await? {
        found.notes.push(format!(
            "{name}, a scratch database of a dead drill, was dropped"
        ));
    }
    let scratch = Scratch::begin(connection, &manifest, now).await?;
    let options = RestoreOptions {
        map: scratch.map()?,
        existing: Existing::Refuse,
        ttl_indexes: TtlIndexes::Omit,
        ..RestoreOptions::default()
    };
    let target = RestoreTarget {
        uri: server.clone(),
        options,
    };
    let restored = tokio::select! {
        restored = restore_database(repository, id, &target, progress) => restored,
        () = stop => Err(stopped(id)),
        () = scratch.keep_beating(id) => Err(stopped(id)),
    };
    found.notes.extend(if restored.is_ok() {
        scratch.remove().await
    } else {
        scratch.remove_and_watch().await
    });
    // Read twice: the first reading proves the artifact before any write.
    found.bytes_read = 2 * manifest
        .artifacts
        .iter()
        .map(|artifact| artifact.size)
        .sum::<u64>();
    match restored {
        Ok(report) => add_report(&manifest, report, &scratch, found),
        Err(RecoveryError::Repository(error @ RepositoryError::Corrupt { .. })) => {
            return Err(of_artifact(error, &dump_of(&manifest)?.key).into());
        }
        Err(error) => found.problems.push(scratch.unmapped(&problem(error)?)),
    }
    Ok(())
}

fn stopped(id: &BackupId) -> RecoveryError {
    RecoveryError::Unfinished(format!(
        "the drill of backup {id} was stopped before its end, and its scratch databases were dropped"
    ))
}

/// Describes a failed restore as a problem of the backup. Returns an error for a fault of the
/// server or the store.
fn problem(error: RecoveryError) -> Result<String, RecoveryError> {
    match error {
        RecoveryError::Restore(RestoreError {
            cause: RestoreFault::Archive(fault),
            ..
        }) => Ok(format!("its archive cannot be restored: {fault}")),
        RecoveryError::Restore(RestoreError {
            cause: RestoreFault::Invalid(fault),
            ..
        }) => Ok(format!("it cannot be restored: {fault}")),
        RecoveryError::Restore(RestoreError {
            cause: RestoreFault::Database(fault),
            incomplete,
        }) => match scratch::of_server(&fault) {
            RecoveryError::Drill {
                reason: text,
                is_transient: false,
            } if !incomplete.is_empty() && is_refusal(&fault) => {
                Ok(format!("the server refused it: {text}"))
            }
            error => Err(error),
        },
        RecoveryError::Target(fault) => Err(scratch::of_server(&fault)),
        error => Err(error),
    }
}

/// Whether the server refused the restored data. A missing privilege or a full disk is no fault of
/// the backup.
const fn is_refusal(fault: &DatabaseError) -> bool {
    matches!(fault, DatabaseError::Refused(_))
}

/// Adds the report, collection by collection, in the order of the manifest.
fn add_report(manifest: &Manifest, report: RestoreReport, scratch: &Scratch, found: &mut Findings) {
    let mut restored: BTreeMap<String, RestoredNamespace> = report
        .namespaces
        .into_iter()
        .map(|namespace| (namespace.from.clone(), namespace))
        .collect();
    for left_out in report.left_out {
        found.notes.push(format!(
            "{} was left out: {}",
            left_out.namespace, left_out.reason
        ));
    }
    for expected in &manifest.namespaces {
        let name = format!("{}.{}", expected.db, expected.collection);
        let Some(namespace) = restored.remove(&name) else {
            continue;
        };
        found
            .notes
            .extend(namespace.notes.iter().map(|note| format!("{name}: {note}")));
        let collection = drilled(name, expected, namespace, scratch);
        let problems = collection
            .failures
            .iter()
            .map(|failure| format!("{}: {failure}", collection.namespace));
        found.problems.extend(problems);
        found.collections.push(collection);
    }
}

fn drilled(
    namespace: String,
    expected: &NamespaceManifest,
    restored: RestoredNamespace,
    scratch: &Scratch,
) -> DrilledCollection {
    let differences = restored
        .structure
        .iter()
        .map(|difference| format!("differs: {difference}"));
    let problems = restored.failures.iter().cloned().chain(differences);
    let mut failures: Vec<String> = problems.map(|failure| scratch.unmapped(&failure)).collect();
    let same_content = match restored.comparison {
        // A view only holds a query on other collections.
        Comparison::Equal if restored.kind == NamespaceKind::View => None,
        Comparison::Equal | Comparison::Anonymized => Some(true),
        Comparison::Differs(difference) => {
            failures.insert(0, difference);
            Some(false)
        }
        Comparison::NotDone => None,
    };
    let is_reported = |index: &str| {
        failures
            .iter()
            .any(|failure| failure.starts_with(&format!("the index {index} ")))
    };
    let is_missing = |index: &&String| {
        *index != "_id_" && !restored.indexes.contains(index) && !is_reported(index)
    };
    DrilledCollection {
        indexes_left_out: expected
            .indexes
            .iter()
            .filter(is_missing)
            .cloned()
            .collect(),
        namespace,
        expected: expected.documents,
        restored: restored.inserted,
        same_content,
        indexes: restored.indexes,
        failures,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_server_is_no_fault_of_the_backup() {
        let broken = |fault: DatabaseError| {
            let incomplete = vec!["shop.orders".to_owned()];
            problem(RecoveryError::Restore(RestoreError {
                cause: RestoreFault::Database(fault),
                incomplete,
            }))
        };
        assert!(broken(DatabaseError::Refused("no such collation".to_owned())).is_ok());
        let text = || "x".to_owned();
        for fault in [
            DatabaseError::NoRoom(text()),
            DatabaseError::Denied(text()),
            DatabaseError::Lost(text()),
        ] {
            assert!(matches!(broken(fault), Err(RecoveryError::Drill { .. })));
        }
    }
}
