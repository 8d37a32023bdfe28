//! Names that a selection leaves out and that no collection has: a typing error there leaves out nothing.

use std::collections::HashSet;

use holdfast_domain::settings::CollectionFilter;

use super::selection::DumpSelection;
use crate::{Connection, DatabaseError, listing::Lister};

/// The excluded names that match no collection of any database that is dumped, in the order given.
///
/// # Errors
/// Where the server cannot be asked.
pub async fn unmatched_exclusions(
    connection: &Connection,
    selection: &DumpSelection,
) -> Result<Vec<String>, DatabaseError> {
    let CollectionFilter::Except(names) = &selection.collections else { return Ok(Vec::new()) };
    let mut found = HashSet::new();
    for database in connection.databases().await? {
        let database = connection.client().database(&database);
        let lister = Lister { database, selection: connection.reading() };
        found.extend(lister.collections().await?.into_iter().map(|listed| listed.name));
    }
    Ok(names.iter().filter(|name| !found.contains(*name)).cloned().collect())
}
