//! The expected content of another engine's dump: listed before its run, and compared with its
//! archive. mongodump silently omits collections with `$` in their names, and a tool could include
//! a wrong one.

use std::collections::HashSet;

use futures_util::{StreamExt, stream};
use holdfast_archive::Summary;
use holdfast_domain::settings::CollectionFilter;

use super::{
    plan::{Candidate, MAX_CONCURRENT_REQUESTS, candidates, patiently},
    selection::DumpSelection,
};
use crate::{Connection, DatabaseError, listing::Lister, scratch_name::SCRATCH_PREFIX};

/// The expected content of a dump, for any engine.
#[derive(Debug)]
pub struct Survey {
    selection: DumpSelection,
    connection: Connection,
    found: Vec<Found>,
    estimated_bytes: u64,
}

#[derive(Debug)]
struct Found {
    lister: Lister,
    collection: String,
}

/// Lists the content to dump. Refuses the same as [`crate::plan`], except for collections
/// unreadable only by the native engine.
///
/// # Errors
/// The server does not answer. `Refused` if the connection string names a database of the server or
/// of the catalogue, or if a collection requested by name does not exist.
pub async fn survey(
    connection: &Connection,
    selection: &DumpSelection,
) -> Result<Survey, DatabaseError> {
    let candidates = patiently(|| candidates(connection, selection)).await?;
    let sized: Vec<(Found, u64)> = stream::iter(candidates)
        .map(sized)
        .buffered(MAX_CONCURRENT_REQUESTS)
        .collect()
        .await;
    Ok(Survey {
        selection: selection.clone(),
        connection: connection.clone(),
        estimated_bytes: sized.iter().map(|(_, bytes)| bytes).sum(),
        found: sized.into_iter().map(|(found, _)| found).collect(),
    })
}

/// Only an estimate. The user may lack the privilege.
async fn sized(candidate: Candidate) -> (Found, u64) {
    let Candidate { lister, listed, .. } = candidate;
    let bytes = lister.size(&listed.name).await.map_or(0, |size| size.bytes);
    (
        Found {
            lister,
            collection: listed.name,
        },
        bytes,
    )
}

impl Survey {
    /// The server's size of the expected dump, uncompressed: an estimate.
    #[must_use]
    pub fn estimated_bytes(&self) -> u64 {
        self.estimated_bytes
    }

    /// Database and collection of each namespace.
    pub fn namespaces(&self) -> impl Iterator<Item = (&str, &str)> {
        self.found
            .iter()
            .map(|found| (found.lister.database.name(), found.collection.as_str()))
    }

    /// `database.collection` of each of them.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.found.iter().map(Found::name).collect()
    }

    /// The first collection that mongodump silently omits, unless it is requested by name.
    /// mongodump treats a name with `$` as an index of an old server, and excludes every
    /// collection with the prefix of scratch collections.
    #[must_use]
    pub fn passed_over_by_mongodump(&self) -> Option<String> {
        let by_name = matches!(self.selection.collections, CollectionFilter::Only(_));
        self.found
            .iter()
            .find(|found| !by_name && passes_over(&found.collection))
            .map(Found::name)
    }

    /// Compares an archive with the expected content: no other collection, and no missing one that
    /// still exists.
    ///
    /// # Errors
    /// `Refused` with the names of the collections. Or the server does not answer.
    pub async fn confirm(&self, dumped: &Summary) -> Result<(), DatabaseError> {
        let databases = self.connection.databases().await?;
        let wanted = |db: &String, collection: &str| {
            databases.contains(db) && self.selection.takes(db, collection)
        };
        let foreign = dumped
            .namespaces
            .iter()
            .filter(|namespace| !wanted(&namespace.db, &namespace.collection));
        let foreign: Vec<String> = foreign
            .map(|other| format!("{}.{}", other.db, other.collection))
            .collect();
        if !foreign.is_empty() {
            let names = foreign.join(", ");
            return Err(DatabaseError::Refused(format!(
                "the dump contains collections outside its selection: {names}"
            )));
        }
        let mut missing = Vec::new();
        let held: HashSet<(&str, &str)> = dumped
            .namespaces
            .iter()
            .map(|held| (held.db.as_str(), held.collection.as_str()))
            .collect();
        let is_held = |found: &&Found| {
            held.contains(&(found.lister.database.name(), found.collection.as_str()))
        };
        for found in self.found.iter().filter(|found| !is_held(found)) {
            // A collection dropped since then is correctly missing.
            if found.lister.collection(&found.collection).await?.is_some() {
                missing.push(found.name());
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        Err(DatabaseError::Refused(format!(
            "the dump lacks collections of its selection: {}",
            missing.join(", ")
        )))
    }
}

fn passes_over(collection: &str) -> bool {
    collection.starts_with(SCRATCH_PREFIX)
        || (collection.contains('$') && !collection.contains(".oplog.$"))
}

impl Found {
    fn name(&self) -> String {
        format!("{}.{}", self.lister.database.name(), self.collection)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_a_dollar_sign_is_known_to_be_passed_over() {
        assert!(passes_over("prices_in_$") && passes_over("$x"));
        assert!(
            passes_over("holdfast_restore_notes"),
            "the scratch collections of restores are excluded by prefix"
        );
        assert!(
            !passes_over("prices")
                && !passes_over("my_holdfast_restore_notes")
                && !passes_over("local.oplog.$main")
        );
    }
}
