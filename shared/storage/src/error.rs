//! What can go wrong with the store, sorted by what the caller can do about it.

use std::error::Error;

/// A call to the store that failed: `key` says on what (a prefix for lists), `cause` why.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// There is no such object or upload.
    #[error("`{key}` is not in the store: {cause}")]
    NotFound {
        /// The object.
        key: String,
        /// What the store said.
        cause: String,
    },
    /// A put-if-absent found another object in its place.
    #[error("`{key}` is in the store already, with other content: {cause}")]
    AlreadyExists {
        /// The object.
        key: String,
        /// What the store said.
        cause: String,
    },
    /// The credentials, or the lack of them, do not allow it: check the role's policy, the bucket's and the key's.
    #[error("the store denied access to `{key}`: {cause}; check credentials, policies, or whose the directory is")]
    Denied {
        /// The object.
        key: String,
        /// What the store said.
        cause: String,
    },
    /// Throttled, reset, timed out or failing inside: the same call may succeed later.
    #[error("the store could not serve `{key}` now: {cause}")]
    Unavailable {
        /// The object.
        key: String,
        /// What the store said.
        cause: String,
    },
    /// What is stored, or arrived, is not what was sent: a checksum or a size differs.
    #[error("`{key}` is not what was sent: {cause}")]
    Corrupt {
        /// The object.
        key: String,
        /// What differs.
        cause: String,
    },
    /// The place itself is missing: no such bucket, container or directory.
    #[error("{cause}")]
    Missing {
        /// The object that was to be there.
        key: String,
        /// What is missing.
        cause: String,
    },
    /// The store lacks something that backups rely on: it keeps no SHA-256 of its objects, or knows no such call.
    #[error("the store at this address lacks what backups need, for `{key}`: {cause}")]
    Unsupported {
        /// The object.
        key: String,
        /// What it lacks.
        cause: String,
    },
    /// The request was signed by a clock that is wrong, and a second one by the store's time was refused too.
    #[error("the store refused the request for `{key}` because of its time: {cause}")]
    WrongClock {
        /// The object.
        key: String,
        /// By how much the clock is off.
        cause: String,
    },
    /// The request can never succeed: a bad name, a bad range.
    #[error("the store refused the request for `{key}`: {cause}")]
    Invalid {
        /// The object.
        key: String,
        /// What the store said.
        cause: String,
    },
    /// There is no room left. Nothing of it was kept.
    #[error("there is no room in the store for `{key}`: {cause}")]
    Full {
        /// The object.
        key: String,
        /// Where, how much is free, and how much is needed.
        cause: String,
    },
    /// Larger than what the store, or the caller's own cap, takes.
    #[error("`{key}` is too large: {cause}")]
    Limit {
        /// The object.
        key: String,
        /// Which limit, and by how much.
        cause: String,
    },
}

impl StoreError {
    /// Whether the same call may succeed a little later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }

    /// Whether the store answered that the thing is not there.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }
}

/// What a store without checksums lacks.
pub(crate) const NO_CHECKSUMS: &str = "it keeps no SHA-256 checksum of its objects";

/// The error with its sources, in one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let line = inner.to_string();
        if !text.ends_with(&line) {
            text = format!("{text}: {line}");
        }
        source = inner.source();
    }
    text
}
