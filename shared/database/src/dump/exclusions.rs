//! Excluded names without a collection. A typing error in such a name excludes nothing.

use std::collections::HashSet;

use holdfast_domain::settings::CollectionFilter;

use super::selection::DumpSelection;
use crate::{Connection, DatabaseError, listing::Lister};

/// The excluded names without a match in any dumped database, in their given order.
///
/// # Errors
/// The server does not answer.
pub async fn unmatched_exclusions(
    connection: &Connection,
    selection: &DumpSelection,
) -> Result<Vec<String>, DatabaseError> {
    let CollectionFilter::Except(names) = &selection.collections else {
        return Ok(Vec::new());
    };
    let mut found = HashSet::new();
    for database in connection.databases().await? {
        let database = connection.client().database(&database);
        let lister = Lister {
            database,
            selection: connection.reading(),
        };
        found.extend(
            lister
                .collections()
                .await?
                .into_iter()
                .map(|listed| listed.name),
        );
    }
    Ok(names
        .iter()
        .filter(|name| !found.contains(*name))
        .cloned()
        .collect())
}
