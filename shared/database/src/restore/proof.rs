//! Between comparison and swap, an operator can drop a scratch collection. After a pause of this
//! restore, another restore can drop it too. `createIndexes` would then create an empty collection.
//! So the swap requires the created and compared collection.

use super::{compare::found_in, target::Target};
use crate::{CollectionContent, Connection, DatabaseError};

/// The identity of a target's scratch collection.
#[derive(Debug, Clone, Default)]
pub(super) struct Proof {
    /// Since its creation, if the server lists one.
    uuid: Option<String>,
    /// The content compared with the archive.
    pub(super) content: Option<CollectionContent>,
}

impl Proof {
    /// The proof of a new scratch collection.
    pub(super) async fn begin(target: &Target) -> Result<Self, DatabaseError> {
        Ok(Self {
            uuid: uuid_of(target, target.filled()).await?.flatten(),
            content: None,
        })
    }

    /// Refuses a scratch collection that is missing or replaced.
    pub(super) async fn require_same(&self, target: &Target) -> Result<(), DatabaseError> {
        match uuid_of(target, target.filled()).await? {
            Some(found) if self.uuid.is_none() || found == self.uuid => Ok(()),
            Some(_) => Err(refused(target, "is not the restore's own")),
            None => Err(refused(target, "is missing")),
        }
    }

    /// Also refuses other documents, if the server lists no UUID.
    pub(super) async fn require_proved(
        &self,
        connection: &Connection,
        target: &Target,
    ) -> Result<(), DatabaseError> {
        self.require_same(target).await?;
        if self.uuid.is_some() {
            return Ok(());
        }
        let found = found_in(connection, target, target.filled()).await?;
        if Some(found.content) == self.content {
            return Ok(());
        }
        Err(refused(target, "does not have the compared documents"))
    }

    /// The same collection under another name.
    pub(super) fn has_uuid(&self, uuid: Option<&String>) -> bool {
        self.uuid.is_some() && self.uuid.as_ref() == uuid
    }
}

fn refused(target: &Target, what: &str) -> DatabaseError {
    let scratch = target.filled();
    DatabaseError::Refused(format!(
        "the scratch collection {scratch} {what}: something else dropped it. Restore again"
    ))
}

/// The UUID of an existing collection. For a time series, the UUID of its buckets.
pub(super) async fn uuid_of(
    target: &Target,
    collection: &str,
) -> Result<Option<Option<String>>, DatabaseError> {
    let lister = target.lister();
    let mut found = lister
        .collection(&target.data_collection(collection))
        .await?;
    if found.is_none() && target.is_series() {
        found = lister.collection(collection).await?;
    }
    Ok(found.map(|collection| collection.uuid))
}
