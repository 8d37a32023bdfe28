//! Collections that the server deletes by itself, which no dump holds.

use std::collections::BTreeSet;

use super::selection::DumpSelection;
use crate::{Connection, DatabaseError, listing::Lister};

/// The temporary collections that the selection would take, as `database.collection`.
///
/// # Errors
/// Where the server cannot be asked.
pub async fn temporary_collections(
    connection: &Connection,
    selection: &DumpSelection,
) -> Result<BTreeSet<String>, DatabaseError> {
    let mut found = BTreeSet::new();
    for name in connection.databases().await? {
        let database = connection.client().database(&name);
        let lister = Lister { database, selection: connection.reading() };
        let all = lister.collections().await?.into_iter();
        let temporary = all.filter(|listed| listed.is_temporary() && selection.takes(&name, &listed.name));
        found.extend(temporary.map(|listed| format!("{name}.{}", listed.name)));
    }
    Ok(found)
}
