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
    /// The request can never succeed: no such bucket, a bad name, a bad range.
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
