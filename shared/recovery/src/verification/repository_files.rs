//! The repository's own files: without them an encrypted backup opens by an exported key alone, and nothing new is
//! written beside a plain one.

use holdfast_domain::{BackupId, RepositoryFile};

use holdfast_repository::{Repository, RepositoryError, RepositoryFileError};

/// What is wrong with `repository.json` and its copy.
#[derive(Debug, Default)]
pub struct Faults {
    pub problems: Vec<String>,
    /// The keys may be those of another repository. Then no backup can be called altered because of them.
    pub has_suspect_keys: bool,
}

pub async fn faults(repository: &Repository, id: &BackupId) -> Result<Faults, RepositoryError> {
    let (mut problems, mut has_suspect_keys) = (Vec::new(), false);
    let file = faults_of(repository.open().await, &mut problems)?;
    let copy = match repository.copy().await {
        Err(RepositoryError::File(RepositoryFileError::Malformed { cause, .. })) => {
            problems.push(format!("repository.copy.json is not readable: {cause}"));
            return Ok(Faults { problems, has_suspect_keys });
        }
        copy => faults_of(copy, &mut problems)?.flatten(),
    };
    if let Some(file) = &file {
        match &copy {
            None => problems.push("repository.copy.json is missing: `holdfast init` writes it again".to_owned()),
            Some(copy) if differs(file, copy) => {
                has_suspect_keys = true;
                let problem =
                    "repository.json and repository.copy.json differ in what neither may lose: one of them was altered";
                problems.push(problem.to_owned());
            }
            Some(_) => {}
        }
        // Not authenticated: where it is altered, that is found by whoever reads it in earnest.
        if let Ok(manifest) = repository.unauthenticated(id).await
            && manifest.repository != file.id
        {
            // With a copy that agrees, the manifest is what was altered.
            has_suspect_keys |= copy.is_none();
            problems.push(format!(
                "its manifest names the repository {}, repository.json says {}",
                manifest.repository, file.id
            ));
        }
    }
    Ok(Faults { problems, has_suspect_keys })
}

/// A copy may be behind the file, and never the other way round.
fn differs(file: &RepositoryFile, copy: &RepositoryFile) -> bool {
    let has_gone_on = file.revision > copy.revision || file.epochs.len() > copy.epochs.len();
    file != copy && !(has_gone_on && file.covers(copy))
}

/// What is wrong with a file is told; that it cannot be asked for is an error.
fn faults_of<T>(read: Result<T, RepositoryError>, problems: &mut Vec<String>) -> Result<Option<T>, RepositoryError> {
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
