//! The reader's lease of a restore. It begins before the plan is shown, and lasts until the end of
//! the restore. The restore checks it again before it drops or replaces data.

use holdfast_database::{Existing, RestoreOptions};
use holdfast_domain::BackupId;
use holdfast_recovery::readers::{Protection, Purpose, ReaderLease};

use crate::{failure::Failure, output::Output, reading, session::Session};

/// Protects the backup from retention, or reports the reason if it cannot. The options get the
/// lease's confirmation.
pub(crate) async fn protect(
    id: &BackupId,
    session: &Session,
    options: &mut RestoreOptions,
    output: Output,
) -> Result<ReaderLease, Failure> {
    let lease = reading::protect(session, id, Purpose::Restore).await?;
    refuse_to_drop_first(id, lease.protection(), options)?;
    if let Some(warning) = lease.protection().warning(id) {
        output.note(&warning);
    }
    options.confirmation = lease.confirmation();
    Ok(lease)
}

/// `--drop-first` needs the complete backup after it dropped the targets. The other modes keep the
/// data of a target.
fn refuse_to_drop_first(
    id: &BackupId,
    protection: &Protection,
    options: &RestoreOptions,
) -> Result<(), Failure> {
    let drops = options.existing == Existing::DropFirst && !options.dry_run;
    if !drops || *protection != Protection::BeingDeleted {
        return Ok(());
    }
    let message = format!(
        "retention has begun to delete backup {id}: --drop-first could drop targets without a backup"
    );
    Err(Failure::refused(message)
        .hint("pass --drop: it replaces a target only after the copy is compared"))
}

#[cfg(test)]
mod tests {
    use holdfast_domain::settings::StoreLocation;

    use super::*;
    use crate::{global::Global, keys_needed::KeysNeeded};

    #[tokio::test]
    async fn a_restore_of_a_backup_checks_its_lease_before_it_drops_or_replaces_data() {
        let folder = tempfile::tempdir().unwrap();
        let store = StoreLocation::parse(&format!("file://{}", folder.path().display())).unwrap();
        let (global, output) = (
            Global {
                json: true,
                store: Some(store),
            },
            Output::Json,
        );
        let session = Session::open(&global, KeysNeeded::Optional, output)
            .await
            .unwrap();
        let mut options = RestoreOptions {
            existing: Existing::DropFirst,
            ..RestoreOptions::default()
        };
        let lease = protect(&"db_1_aa".parse().unwrap(), &session, &mut options, output)
            .await
            .unwrap();
        assert!(options.confirmation.is_some());
        lease.release().await;
    }
}
