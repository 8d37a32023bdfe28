//! Temporary collections of the server. Dumps omit them.

use std::collections::BTreeSet;

use super::selection::DumpSelection;
use crate::{Connection, DatabaseError, listing::Lister};

/// The temporary collections in the selection, as `database.collection`.
///
/// # Errors
/// The server does not answer.
pub async fn temporary_collections(
    connection: &Connection,
    selection: &DumpSelection,
) -> Result<BTreeSet<String>, DatabaseError> {
    let mut found = BTreeSet::new();
    for name in connection.databases().await? {
        let database = connection.client().database(&name);
        let lister = Lister {
            database,
            selection: connection.reading(),
        };
        let all = lister.collections().await?.into_iter();
        let temporary =
            all.filter(|listed| listed.is_temporary() && selection.takes(&name, &listed.name));
        found.extend(temporary.map(|listed| format!("{name}.{}", listed.name)));
    }
    Ok(found)
}
