//! The repository's own files. Without them an encrypted backup opens only with an exported key,
//! and no new backup is written to the repository.

use holdfast_domain::{BackupId, RepositoryFile};
use holdfast_repository::{Repository, RepositoryError, RepositoryFileError};

/// The problems of `repository.json` and its copy.
#[derive(Debug, Default)]
pub(super) struct Faults {
    pub(super) problems: Vec<String>,
    /// The keys may belong to another repository. Then they are no proof of an altered backup.
    pub(super) has_suspect_keys: bool,
}

pub(super) async fn faults(
    repository: &Repository,
    id: &BackupId,
) -> Result<Faults, RepositoryError> {
    let (mut problems, mut has_suspect_keys) = (Vec::new(), false);
    let file = faults_of(repository.open().await, &mut problems)?;
    let copy = match repository.copy().await {
        Err(RepositoryError::File(RepositoryFileError::Malformed { cause, .. })) => {
            problems.push(format!("repository.copy.json is not readable: {cause}"));
            return Ok(Faults {
                problems,
                has_suspect_keys,
            });
        }
        copy => faults_of(copy, &mut problems)?.flatten(),
    };
    if let Some(file) = &file {
        match &copy {
            None => problems.push(
                "repository.copy.json is missing: `holdfast init` writes it again".to_owned(),
            ),
            Some(copy) if differs(file, copy) => {
                has_suspect_keys = true;
                let problem = "repository.json and repository.copy.json contradict each other: one of them was altered";
                problems.push(problem.to_owned());
            }
            Some(_) => {}
        }
        // Unauthenticated. The later reading of the manifest detects alterations.
        if let Ok(manifest) = repository.unauthenticated(id).await
            && manifest.repository != file.id
        {
            // If the copy agrees with the file, the manifest was altered.
            has_suspect_keys |= copy.is_none();
            problems.push(format!(
                "its manifest names the repository {}, but repository.json names {}",
                manifest.repository, file.id
            ));
        }
    }
    Ok(Faults {
        problems,
        has_suspect_keys,
    })
}

/// The copy may be older than the file, but never newer.
fn differs(file: &RepositoryFile, copy: &RepositoryFile) -> bool {
    let has_gone_on = file.revision > copy.revision || file.epochs.len() > copy.epochs.len();
    file != copy && !(has_gone_on && file.covers(copy))
}

/// A fault of the file becomes a problem. An unavailable store is an error.
fn faults_of<T>(
    read: Result<T, RepositoryError>,
    problems: &mut Vec<String>,
) -> Result<Option<T>, RepositoryError> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(RepositoryError::File(fault @ RepositoryFileError::TooNew(_))) => Err(fault.into()),
        Err(RepositoryError::File(fault)) => {
            problems.push(fault.to_string());
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
