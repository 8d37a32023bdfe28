//! Reading a copy whole, and putting what the first store has in the place of what is altered: only once that was read
//! whole too, and is right.

use holdfast_domain::StoredObject;

use super::{copier::Copier, object::Unreadable};
use crate::OperationError;

impl Copier<'_> {
    /// What is wrong with an object in the second store.
    pub(super) async fn read_copy(&self, object: &StoredObject) -> Result<Option<String>, OperationError> {
        let store = self.second.store().as_ref();
        let read = async { self.checker.judge(store, object).await?.read_through(store).await };
        match read.await {
            Ok(()) => Ok(None),
            Err(Unreadable::Damaged(problem)) => Ok(Some(problem)),
            Err(Unreadable::Store(error)) => Err(self.second_failed(error)),
            Err(Unreadable::Other(error)) => Err(error),
        }
    }

    /// Replaces an object. Between the delete and the end of the sending it is missing there, which the next run mends.
    pub(super) async fn replace(&self, object: &StoredObject) -> Result<(), OperationError> {
        let (store, key) = (self.primary.store().as_ref(), &object.artifact.key);
        let read = async { self.checker.judge(store, object).await?.read_through(store).await };
        read.await.map_err(|fault| self.first(fault))?;
        tracing::warn!(backupId = %self.id, %key, store = %self.second.location(), "an altered copy is replaced");
        self.second.store().delete(key).await.map_err(|error| self.second_failed(error))?;
        self.send(object).await
    }
}
