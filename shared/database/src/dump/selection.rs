//! What is dumped: never Holdfast's own catalogue, scratch collections of restores, or what the server keeps for itself.

use holdfast_domain::settings::CollectionFilter;

use crate::restore::is_scratch;

/// Which collections to dump.
#[derive(Debug, Clone)]
pub struct DumpSelection {
    /// By name, in every database that is dumped.
    pub collections: CollectionFilter,
    /// What is left out whatever the filter says.
    pub exclude: Vec<Exclusion>,
}

/// Collections of a database that are neither dumped nor restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exclusion {
    /// The database.
    pub database: String,
    /// The collections.
    pub collections: Vec<String>,
}

impl Exclusion {
    /// Whether it covers this collection.
    #[must_use]
    pub fn covers(&self, database: &str, collection: &str) -> bool {
        self.database == database && self.collections.iter().any(|name| name == collection)
    }
}

impl DumpSelection {
    /// Whether a collection or view of this name is dumped, where it is there.
    #[must_use]
    pub fn takes(&self, database: &str, collection: &str) -> bool {
        !is_servers_own(collection)
            && !is_scratch(collection)
            && self.collections.takes(collection)
            && !self.excludes(database, collection)
    }

    fn excludes(&self, database: &str, collection: &str) -> bool {
        self.exclude.iter().any(|exclusion| exclusion.covers(database, collection))
    }
}

/// Whether a collection is the server's own. Stored functions are the user's; mongodump keeps them too.
pub(crate) fn is_servers_own(collection: &str) -> bool {
    collection.starts_with("system.") && collection != "system.js"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_excluded_is_left_out_alone() {
        let own = Exclusion { database: "shop".to_owned(), collections: vec!["backup_jobs".to_owned()] };
        assert!(own.covers("shop", "backup_jobs"));
        assert!(!own.covers("shop", "contents") && !own.covers("web3platform", "backup_jobs"));
    }

    #[test]
    fn scratch_collections_of_a_restore_are_never_dumped() {
        let all = DumpSelection { collections: CollectionFilter::All, exclude: Vec::new() };
        assert!(!all.takes("shop", "holdfast_restore_0a1b2c3d_0123456789ab"));
        assert!(!all.takes("shop", "holdfast_restore_0a1b2c3d_beat"));
        assert!(all.takes("shop", "holdfast_restore_notes"));
    }

    #[test]
    fn stored_functions_are_the_users() {
        assert!(is_servers_own("system.views") && is_servers_own("system.buckets.x"));
        assert!(!is_servers_own("system.js") && !is_servers_own("systems"));
    }
}
