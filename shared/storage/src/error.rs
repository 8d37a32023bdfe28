//! Errors of the store, sorted by the caller's possible reaction.

use std::error::Error;

/// A failed call to the store. `key` is its object (a prefix for lists), `cause` its reason.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The object or upload does not exist.
    #[error("`{key}` is not in the store: {cause}")]
    NotFound {
        /// The object.
        key: String,
        /// The store's reason.
        cause: String,
    },
    /// A put-if-absent found another object under the key.
    #[error("`{key}` is already in the store, with other content: {cause}")]
    AlreadyExists {
        /// The object.
        key: String,
        /// The store's reason.
        cause: String,
    },
    /// Wrong, missing or insufficient credentials: check the policies of the role, the bucket and
    /// the key.
    #[error(
        "the store denied access to `{key}`: {cause}. Check credentials, policies, or the directory's owner"
    )]
    Denied {
        /// The object.
        key: String,
        /// The store's reason.
        cause: String,
    },
    /// Throttled, reset, timed out or failing inside: the same call may succeed later.
    #[error("the store could not serve `{key}` now: {cause}")]
    Unavailable {
        /// The object.
        key: String,
        /// The store's reason.
        cause: String,
    },
    /// The stored or received bytes are not the sent ones: a checksum or a size differs.
    #[error("`{key}` differs from the sent content: {cause}")]
    Corrupt {
        /// The object.
        key: String,
        /// The difference.
        cause: String,
    },
    /// The bucket, container or directory does not exist.
    #[error("{cause}")]
    Missing {
        /// The missing object.
        key: String,
        /// The missing thing.
        cause: String,
    },
    /// The store lacks a feature: it keeps no SHA-256 of its objects, or does not support a call.
    #[error("the store lacks a required feature for `{key}`: {cause}")]
    Unsupported {
        /// The object.
        key: String,
        /// The missing feature.
        cause: String,
    },
    /// The store refused a signature because of its time, and then a second one with the store's
    /// time.
    #[error("the store refused the request for `{key}` because of its time: {cause}")]
    WrongClock {
        /// The object.
        key: String,
        /// The clock's error.
        cause: String,
    },
    /// The request can never succeed: a bad name, a bad range.
    #[error("the store refused the request for `{key}`: {cause}")]
    Invalid {
        /// The object.
        key: String,
        /// The store's reason.
        cause: String,
    },
    /// No space is left. Nothing of the object was kept.
    #[error("the store has no space for `{key}`: {cause}")]
    Full {
        /// The object.
        key: String,
        /// The place, the free bytes, and the required bytes.
        cause: String,
    },
    /// Larger than the limit of the store or of the caller.
    #[error("`{key}` is too large: {cause}")]
    Limit {
        /// The object.
        key: String,
        /// The limit, and the excess.
        cause: String,
    },
}

impl StoreError {
    /// Whether the same call may succeed a little later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }

    /// Whether the store reported a missing object.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }
}

/// The missing feature of a store without checksums.
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
