//! The objects of a copy. Artifacts are written once, and the manifest has their digests. Content
//! objects may have any authentic form.

use holdfast_domain::{RepositoryId, StoredObject};
use holdfast_repository::{
    Repository, RepositoryError,
    content::{
        proof::ContentObject,
        read::{ObjectSource, ReadFault},
    },
};

use super::object::Unreadable;

/// An object of a copy.
pub(super) enum Wanted<'a> {
    /// Right only with the bytes named by the manifest.
    Artifact(StoredObject),
    /// Right in every authentic form.
    Content(ContentObject, &'a Sources),
}

/// The content objects of both stores. The first repository has the keys of both.
pub(super) struct Sources {
    first: ObjectSource,
    second: ObjectSource,
}

impl Sources {
    pub(super) fn new(first: &Repository, second: &Repository, id: &RepositoryId) -> Self {
        let second = ObjectSource::with_keys_of(first, second, id);
        Self {
            first: ObjectSource::new(first, id),
            second,
        }
    }
}

impl Wanted<'_> {
    /// The form named by the manifest or the list of items.
    pub(super) const fn stored(&self) -> &StoredObject {
        match self {
            Self::Artifact(stored) => stored,
            Self::Content(object, _) => &object.stored,
        }
    }

    /// The first store's form, if it is not the named one. Without an authentic form it returns
    /// `problem`.
    pub(super) async fn form_in_first(&self, problem: String) -> Result<StoredObject, Unreadable> {
        match self {
            Self::Artifact(_) => Err(Unreadable::Damaged(problem)),
            Self::Content(object, sources) => Ok(sources.first.prove_or(object, problem).await?),
        }
    }

    /// The second store's form, under the same rules.
    pub(super) async fn form_in_second(&self, problem: String) -> Result<StoredObject, Unreadable> {
        match self {
            Self::Artifact(_) => Err(Unreadable::Damaged(problem)),
            Self::Content(object, sources) => Ok(sources.second.prove_or(object, problem).await?),
        }
    }
}

impl From<ReadFault> for Unreadable {
    fn from(fault: ReadFault) -> Self {
        match fault {
            ReadFault::Damaged(problem) => Self::Damaged(problem),
            ReadFault::Other(RepositoryError::Store(error)) => Self::Store(error),
            ReadFault::Other(error) => Self::Other(error.into()),
        }
    }
}
