//! Reads a copy whole, and replaces what is not sound by what the first store has, once that was read whole and is sound.
//! An object that proves itself is sound, in whichever form: other backups may name that form.

use holdfast_domain::StoredObject;
use holdfast_storage::Store;

use super::{copier::Copier, object::Unreadable, wanted::Wanted};
use crate::OperationError;

impl Copier<'_> {
    /// What is wrong with an object in the second store.
    pub(super) async fn read_copy(&self, wanted: &Wanted<'_>) -> Result<Option<String>, OperationError> {
        let sound = match self.read_form(self.second.store().as_ref(), wanted.stored()).await {
            Err(Unreadable::Damaged(problem)) => wanted.form_in_second(problem).await.map(drop),
            read => read,
        };
        match sound {
            Ok(()) => Ok(None),
            Err(Unreadable::Damaged(problem)) => Ok(Some(problem)),
            Err(Unreadable::Store(error)) => Err(self.second_failed(error)),
            Err(Unreadable::Other(error)) => Err(error),
        }
    }

    /// Replaces an object. Between the delete and the end of the upload it is missing there. The next run mends that.
    pub(super) async fn replace(&self, wanted: &Wanted<'_>) -> Result<(), OperationError> {
        let form = self.sound_form(wanted).await.map_err(|fault| self.first(fault))?;
        let key = &form.artifact.key;
        tracing::warn!(backupId = %self.id, %key, store = %self.second.location(), "an altered copy is replaced");
        self.second.store().delete(key).await.map_err(|error| self.second_failed(error))?;
        self.send_form(&form).await.map_err(|fault| self.of_sending(fault))
    }

    /// The form that the first store has, read whole.
    async fn sound_form(&self, wanted: &Wanted<'_>) -> Result<StoredObject, Unreadable> {
        match self.read_form(self.primary.store().as_ref(), wanted.stored()).await {
            Ok(()) => Ok(wanted.stored().clone()),
            Err(Unreadable::Damaged(problem)) => wanted.form_in_first(problem).await,
            Err(fault) => Err(fault),
        }
    }

    async fn read_form(&self, store: &dyn Store, object: &StoredObject) -> Result<(), Unreadable> {
        self.checker.judge(store, object).await?.read_through(store).await
    }
}
