//! Jobs and leases in MongoDB: an index of the store, and the one place where states change.
