//! Whether the artifacts of a manifest are in the store, by key and size. Their bytes are not read.

use holdfast_domain::{Manifest, ObjectKey};

use crate::{Damage, Repository, RepositoryError};

/// The artifacts with a missing object or another size, in one sentence. `None` if all are present.
///
/// # Errors
/// Those of the store.
pub async fn missing_artifacts(
    repository: &Repository,
    manifest: &Manifest,
) -> Result<Option<Damage>, RepositoryError> {
    let problems = artifact_problems(repository, manifest).await?;
    Ok((!problems.is_empty()).then(|| problems.join("; ").into()))
}

/// The same, a sentence for each artifact.
///
/// # Errors
/// Those of the store.
pub async fn artifact_problems(
    repository: &Repository,
    manifest: &Manifest,
) -> Result<Vec<String>, RepositoryError> {
    let mut problems = Vec::new();
    for artifact in &manifest.artifacts {
        let damage = object_problem(repository, &artifact.key, artifact.size).await?;
        problems.extend(damage.map(Damage::into_string));
    }
    Ok(problems)
}

/// The problem of an object, as far as its presence and its size show it.
///
/// # Errors
/// Those of the store.
async fn object_problem(
    repository: &Repository,
    key: &ObjectKey,
    size: u64,
) -> Result<Option<Damage>, RepositoryError> {
    match repository.store().head(key).await {
        Ok(found) if found.size_bytes == size => Ok(None),
        Ok(found) => {
            let problem = format!("{key} has {} bytes, {size} were stored", found.size_bytes);
            Ok(Some(problem.into()))
        }
        Err(error) if error.is_not_found() => Ok(Some(format!("{key} is missing").into())),
        Err(error) => Err(error.into()),
    }
}
