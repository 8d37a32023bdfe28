//! The reader's lease of a verb that reads a backup. It is in the catalogue of the settings, if
//! that catalogue's retention deletes from the backup's store.

use std::sync::Arc;

use holdfast_domain::BackupId;
use holdfast_operations::CatalogLeases;
use holdfast_recovery::readers::{NoLeases, Purpose, ReaderLease, ReaderLeases};

use crate::{failure::Failure, session::Session};

/// Acquires the lease. An unreachable catalogue never delays a reader.
pub(crate) async fn protect(
    session: &Session,
    id: &BackupId,
    purpose: Purpose,
) -> Result<ReaderLease, Failure> {
    let repository = session.repository()?;
    let leases = leases(session, &repository.location().to_string()).await;
    Ok(ReaderLease::acquire(leases, &repository, id, purpose).await)
}

async fn leases(session: &Session, store: &str) -> Arc<dyn ReaderLeases> {
    let second = session
        .settings
        .cloud
        .location
        .as_ref()
        .map(ToString::to_string);
    let first = match (session.is_elsewhere(), second) {
        (false, _) => store.to_owned(),
        // The choice of the first store does not matter, because this is the second one.
        (true, Some(second)) if second == store => String::new(),
        (true, _) => {
            return none(
                "--store names another store than the settings, and its catalogue is not known",
            );
        }
    };
    match session.catalog().await {
        Ok(catalog) => Arc::new(CatalogLeases::new(catalog, first)),
        Err(failure) => none(failure.message()),
    }
}

fn none(reason: &str) -> Arc<dyn ReaderLeases> {
    Arc::new(NoLeases(reason.to_owned()))
}
