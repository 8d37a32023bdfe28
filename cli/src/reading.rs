//! The reader's lease of a verb that reads a backup: in the catalogue of the settings, if the backup is in a store that
//! this catalogue's retention deletes from.

use std::sync::Arc;

use holdfast_domain::BackupId;
use holdfast_operations::CatalogLeases;
use holdfast_recovery::readers::{NoLeases, Purpose, ReaderLease, ReaderLeases};

use crate::{failure::Failure, session::Session};

/// Acquires it. Nothing that reads waits for a catalogue that cannot be reached.
pub(crate) async fn protect(session: &Session, id: &BackupId, purpose: Purpose) -> Result<ReaderLease, Failure> {
    let repository = session.repository()?;
    let leases = leases(session, &repository.location().to_string()).await;
    Ok(ReaderLease::acquire(leases, &repository, id, purpose).await)
}

async fn leases(session: &Session, store: &str) -> Arc<dyn ReaderLeases> {
    let second = session.settings.cloud.location.as_ref().map(ToString::to_string);
    let first = match (session.is_elsewhere(), second) {
        (false, _) => store.to_owned(),
        // Which store is the first does not matter: this is not it.
        (true, Some(second)) if second == store => String::new(),
        (true, _) => return none("--store names another store than the settings, and its catalogue is not known"),
    };
    match session.catalog().await {
        Ok(catalog) => Arc::new(CatalogLeases::new(catalog, first)),
        Err(failure) => none(failure.message()),
    }
}

fn none(reason: &str) -> Arc<dyn ReaderLeases> {
    Arc::new(NoLeases(reason.to_owned()))
}
