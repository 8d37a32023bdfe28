//! Repairs a copy: reads it completely, and replaces damaged objects by sound ones from the first
//! store, after a complete reading there. An object is sound in any authentic form, because other
//! backups may name that form.

use holdfast_domain::StoredObject;
use holdfast_storage::Store;

use super::{copier::Copier, object::Unreadable, wanted::Wanted};
use crate::OperationError;

impl Copier<'_> {
    /// The damage of an object in the second store, if any.
    pub(super) async fn read_copy(
        &self,
        wanted: &Wanted<'_>,
    ) -> Result<Option<String>, OperationError> {
        let sound = match self
            .read_form(self.second.store().as_ref(), wanted.stored())
            .await
        {
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

    /// Replaces an object. It is missing between its deletion and the end of the upload, and after
    /// a crash the next run sends it.
    pub(super) async fn replace(&self, wanted: &Wanted<'_>) -> Result<(), OperationError> {
        let form = self
            .sound_form(wanted)
            .await
            .map_err(|fault| self.primary_failed(fault))?;
        let key = &form.artifact.key;
        tracing::warn!(backupId = %self.id, %key, store = %self.second.location(), "an altered copy is replaced");
        self.second
            .store()
            .delete(key)
            .await
            .map_err(|error| self.second_failed(error))?;
        self.send_form(&form)
            .await
            .map_err(|fault| self.from_send_fault(fault))
    }

    /// The form in the first store, after a complete reading.
    async fn sound_form(&self, wanted: &Wanted<'_>) -> Result<StoredObject, Unreadable> {
        match self
            .read_form(self.primary.store().as_ref(), wanted.stored())
            .await
        {
            Ok(()) => Ok(wanted.stored().clone()),
            Err(Unreadable::Damaged(problem)) => wanted.form_in_first(problem).await,
            Err(fault) => Err(fault),
        }
    }

    async fn read_form(&self, store: &dyn Store, object: &StoredObject) -> Result<(), Unreadable> {
        self.checker
            .judge(store, object)
            .await?
            .read_through(store)
            .await
    }
}
