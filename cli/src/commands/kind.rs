//! The kind of backup that a verb accepts, and the alternative to another kind.

use holdfast_domain::{BackupId, BackupType};
use holdfast_operations::OperationError;

use crate::{failure::Failure, session::Session};

/// Only a backup of this kind.
pub(super) async fn expect(
    kind: BackupType,
    id: &BackupId,
    session: &Session,
) -> Result<(), Failure> {
    expect_one(id, session).await?;
    let found = id.backup_type();
    if found == kind {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "{id} is a {found} backup. `restore {kind}` needs a {kind} backup"
    ))
    .hint(format!("`holdfast restore {found} {id}` restores it")))
}

/// Not a full one: it is two, and only these hold anything.
pub(super) async fn expect_one(id: &BackupId, session: &Session) -> Result<(), Failure> {
    if id.backup_type() != BackupType::Full {
        return Ok(());
    }
    let parts = parts_in_store(id, session).await?;
    if parts.is_empty() {
        return Err(OperationError::NotFound(id.clone()).into());
    }
    let parts: Vec<&str> = parts.iter().map(BackupId::as_str).collect();
    Err(Failure::usage(format!(
        "{id} is a full backup. Its contents are in its parts"
    ))
    .hint(format!("name one of them: {}", parts.join(", "))))
}

/// The completed parts of a full backup.
pub(super) async fn parts_in_store(
    id: &BackupId,
    session: &Session,
) -> Result<Vec<BackupId>, Failure> {
    let backups = session.repository()?.list().await?;
    let manifests = backups
        .into_iter()
        .filter_map(|backup| backup.manifest.ok());
    Ok(manifests
        .filter(|manifest| manifest.parent_id.as_ref() == Some(id))
        .map(|manifest| manifest.backup_id)
        .collect())
}
