//! Whether the artifacts that a manifest names are in the store, by key and size. Their bytes are not read.

use holdfast_domain::Manifest;

use crate::{OperationError, Repository};

/// The artifacts that are missing or have another size, in one sentence. `None` if all are present.
///
/// # Errors
/// Those of the store.
pub(crate) async fn missing_artifacts(
    repository: &Repository,
    manifest: &Manifest,
) -> Result<Option<String>, OperationError> {
    let mut problems = Vec::new();
    for artifact in &manifest.artifacts {
        let (key, size) = (&artifact.key, artifact.size);
        match repository.store().head(key).await {
            Ok(found) if found.size_bytes == size => {}
            Ok(found) => problems.push(format!("{key} has {} bytes, {size} were stored", found.size_bytes)),
            Err(error) if error.is_not_found() => problems.push(format!("{key} is missing")),
            Err(error) => return Err(error.into()),
        }
    }
    Ok((!problems.is_empty()).then(|| problems.join("; ")))
}
