//! The selection of a dump. It never includes Holdfast's own catalogue, scratch collections of
//! restores, or the server's internal collections.

use holdfast_domain::settings::CollectionFilter;

use crate::scratch_name::is_scratch;

/// Collections to dump.
#[derive(Debug, Clone)]
pub struct DumpSelection {
    /// By name, in every dumped database.
    pub collections: CollectionFilter,
    /// Collections excluded for every filter.
    pub exclude: Vec<Exclusion>,
}

/// Collections of a database excluded from dumps and restores.
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
    /// Whether an existing collection or view of this name is dumped.
    #[must_use]
    pub fn takes(&self, database: &str, collection: &str) -> bool {
        !is_servers_own(collection)
            && !is_scratch(collection)
            && self.collections.takes(collection)
            && !self.excludes(database, collection)
    }

    fn excludes(&self, database: &str, collection: &str) -> bool {
        self.exclude
            .iter()
            .any(|exclusion| exclusion.covers(database, collection))
    }
}

/// Whether a collection is internal to the server. Stored functions belong to the user, and
/// mongodump keeps them too.
pub(crate) fn is_servers_own(collection: &str) -> bool {
    collection.starts_with("system.") && collection != "system.js"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_excluded_is_left_out_alone() {
        let own = Exclusion {
            database: "shop".to_owned(),
            collections: vec!["backup_jobs".to_owned()],
        };
        assert!(own.covers("shop", "backup_jobs"));
        assert!(!own.covers("shop", "contents") && !own.covers("web3platform", "backup_jobs"));
    }

    #[test]
    fn scratch_collections_of_a_restore_are_never_dumped() {
        let all = DumpSelection {
            collections: CollectionFilter::All,
            exclude: Vec::new(),
        };
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
