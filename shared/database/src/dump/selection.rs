//! What is dumped: never Holdfast's own catalogue, nor what the server keeps for itself.

use holdfast_domain::settings::CollectionFilter;

/// The database of Holdfast's catalogue, unless it shares another.
pub const CATALOG_DATABASE: &str = "holdfast";

/// The collections of Holdfast's catalogue.
pub const CATALOG_COLLECTIONS: [&str; 6] = [
    "backup_jobs",
    "backup_items",
    "backup_retention_policies",
    "backup_verifications",
    "backup_leases",
    "content_objects",
];

/// Which collections to dump.
#[derive(Debug, Clone)]
pub struct DumpSelection {
    /// By name, in every database that is dumped.
    pub collections: CollectionFilter,
    /// What is left out whatever the filter says.
    pub exclude: Vec<Exclusion>,
}

/// A database, or some collections of it, that are neither dumped nor restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exclusion {
    /// The database.
    pub database: String,
    /// These collections; all where there is no list.
    pub collections: Option<Vec<String>>,
}

impl Exclusion {
    /// Holdfast's catalogue in this database: all of it where the database is the catalogue's own.
    #[must_use]
    pub fn catalog(database: &str) -> Self {
        let shared = database != CATALOG_DATABASE;
        let collections = shared.then(|| CATALOG_COLLECTIONS.map(str::to_owned).to_vec());
        Self { database: database.to_owned(), collections }
    }

    /// Whether it covers this collection.
    #[must_use]
    pub fn covers(&self, database: &str, collection: &str) -> bool {
        self.database == database
            && self.collections.as_ref().is_none_or(|names| names.iter().any(|name| name == collection))
    }
}

impl DumpSelection {
    /// Whether a collection or view of this name is dumped, where it is there.
    #[must_use]
    pub fn takes(&self, database: &str, collection: &str) -> bool {
        !is_servers_own(collection) && self.collections.takes(collection) && !self.excludes(database, collection)
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
    fn the_catalogue_is_left_out_alone() {
        let own = Exclusion::catalog("holdfast");
        assert!(own.covers("holdfast", "anything") && !own.covers("web3platform", "backup_jobs"));
        let shared = Exclusion::catalog("web3platform");
        assert!(shared.covers("web3platform", "backup_jobs") && !shared.covers("web3platform", "contents"));
    }

    #[test]
    fn stored_functions_are_the_users() {
        assert!(is_servers_own("system.views") && is_servers_own("system.buckets.x"));
        assert!(!is_servers_own("system.js") && !is_servers_own("systems"));
    }
}
