//! What a foreign engine has to find: looked up before it runs, and held against what it wrote. A tool may pass a
//! collection over without a word (mongodump does those with `$` in their names), or take one that it should not.

use std::collections::HashSet;

use futures_util::{StreamExt, stream};
use holdfast_archive::Summary;
use holdfast_domain::settings::CollectionFilter;

use super::{
    plan::{Candidate, QUESTIONS_AT_A_TIME, candidates, patiently},
    selection::DumpSelection,
};
use crate::{Connection, DatabaseError, listing::Lister, restore::SCRATCH_PREFIX};

/// What is to be dumped, by whatever engine.
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

/// Finds out what is to be dumped. Refuses what [`crate::plan`] refuses, but for what only the native engine cannot
/// read.
///
/// # Errors
/// Where the server cannot be asked; `Refused` where the connection string names a database of the server's own or the
/// catalogue's, or a collection that was asked for by name is nowhere.
pub async fn survey(connection: &Connection, selection: &DumpSelection) -> Result<Survey, DatabaseError> {
    let candidates = patiently(|| candidates(connection, selection)).await?;
    let sized: Vec<(Found, u64)> = stream::iter(candidates).map(sized).buffered(QUESTIONS_AT_A_TIME).collect().await;
    Ok(Survey {
        selection: selection.clone(),
        connection: connection.clone(),
        estimated_bytes: sized.iter().map(|(_, bytes)| bytes).sum(),
        found: sized.into_iter().map(|(found, _)| found).collect(),
    })
}

/// Only an estimate; a user may lack the right to ask.
async fn sized(candidate: Candidate) -> (Found, u64) {
    let Candidate { lister, listed, .. } = candidate;
    let bytes = lister.size(&listed.name).await.map_or(0, |size| size.bytes);
    (Found { lister, collection: listed.name }, bytes)
}

impl Survey {
    /// The server's own size of what will be dumped, uncompressed: an estimate.
    #[must_use]
    pub fn estimated_bytes(&self) -> u64 {
        self.estimated_bytes
    }

    /// Database and collection of each namespace.
    pub fn namespaces(&self) -> impl Iterator<Item = (&str, &str)> {
        self.found.iter().map(|found| (found.lister.database.name(), found.collection.as_str()))
    }

    /// `database.collection` of each of them.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.found.iter().map(Found::name).collect()
    }

    /// The first collection that mongodump would pass over without a word, unless it is asked for by name. It takes a
    /// `$` in a name for an index of an old server, and excludes every collection with the prefix of scratch collections.
    #[must_use]
    pub fn passed_over_by_mongodump(&self) -> Option<String> {
        let by_name = matches!(self.selection.collections, CollectionFilter::Only(_));
        self.found.iter().find(|found| !by_name && passes_over(&found.collection)).map(Found::name)
    }

    /// Holds an archive against what was to be dumped: nothing else in it, and nothing missing that is still there.
    ///
    /// # Errors
    /// `Refused`, naming the collections; or where the server cannot be asked.
    pub async fn confirm(&self, dumped: &Summary) -> Result<(), DatabaseError> {
        let databases = self.connection.databases().await?;
        let wanted = |db: &String, collection: &str| databases.contains(db) && self.selection.takes(db, collection);
        let foreign = dumped.namespaces.iter().filter(|namespace| !wanted(&namespace.db, &namespace.collection));
        let foreign: Vec<String> = foreign.map(|other| format!("{}.{}", other.db, other.collection)).collect();
        if !foreign.is_empty() {
            let names = foreign.join(", ");
            return Err(DatabaseError::Refused(format!("the dump holds what it was not to hold: {names}")));
        }
        let mut missing = Vec::new();
        let held: HashSet<(&str, &str)> =
            dumped.namespaces.iter().map(|held| (held.db.as_str(), held.collection.as_str())).collect();
        let is_held = |found: &&Found| held.contains(&(found.lister.database.name(), found.collection.as_str()));
        for found in self.found.iter().filter(|found| !is_held(found)) {
            // What was dropped since is rightly not there.
            if found.lister.collection(&found.collection).await?.is_some() {
                missing.push(found.name());
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        Err(DatabaseError::Refused(format!("the dump lacks what is there to be dumped: {}", missing.join(", "))))
    }
}

fn passes_over(collection: &str) -> bool {
    collection.starts_with(SCRATCH_PREFIX) || (collection.contains('$') && !collection.contains(".oplog.$"))
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
        assert!(passes_over("holdfast_restore_notes"), "the scratch collections of restores are excluded by prefix");
        assert!(
            !passes_over("prices") && !passes_over("my_holdfast_restore_notes") && !passes_over("local.oplog.$main")
        );
    }
}
