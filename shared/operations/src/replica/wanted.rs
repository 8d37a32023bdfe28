//! What a copy consists of: artifacts, which one run wrote once and whose digests the manifest has, and content objects,
//! which may be stored again in another form.

use holdfast_domain::{RepositoryId, StoredObject};

use super::object::Unreadable;
use holdfast_repository::{
    Repository, RepositoryError,
    content::{
        proof::ContentObject,
        read::{ObjectSource, ReadFault},
    },
};

/// An object that a copy has to have.
pub(super) enum Wanted<'a> {
    /// Only the bytes that the manifest names are right.
    Artifact(StoredObject),
    /// Every form that proves itself is right.
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
        Self { first: ObjectSource::new(first, id), second }
    }
}

impl Wanted<'_> {
    /// The form that the manifest or the list of items names.
    pub(super) const fn stored(&self) -> &StoredObject {
        match self {
            Self::Artifact(stored) => stored,
            Self::Content(object, _) => &object.stored,
        }
    }

    /// The form that the first store has, if it is not the named one. `problem` is what is wrong if it has none.
    pub(super) async fn form_in_first(&self, problem: String) -> Result<StoredObject, Unreadable> {
        match self {
            Self::Artifact(_) => Err(Unreadable::Damaged(problem)),
            Self::Content(object, sources) => Ok(sources.first.prove_or(object, problem).await?),
        }
    }

    /// The same in the second store.
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
