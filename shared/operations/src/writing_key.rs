//! The inputs for writing: the present repository, and its encryption key.

use std::sync::Arc;

use holdfast_codec::{ArtifactPlace, MasterKey};
use holdfast_domain::{Encryption, ObjectKey, RepositoryFile, Timestamp, WrappedKey};

use crate::{Holdfast, OperationError, artifact_writer::Recipe};

/// The repository of a run, and its encryption key.
pub(crate) struct WritingKey {
    pub(crate) repository: RepositoryFile,
    pub(crate) master: Option<Arc<MasterKey>>,
    pub(crate) encryption: Option<Encryption>,
    pub(crate) wrapped: Vec<WrappedKey>,
}

/// Opens or creates the repository, and with encryption opens its newest key. Fails closed.
pub(crate) async fn writing_key(h: &Holdfast, encrypt: bool) -> Result<WritingKey, OperationError> {
    h.repository.ready_for_writing(encrypt, Timestamp::now()).await?;
    let repository = h.repository.open().await?;
    if !encrypt {
        return Ok(WritingKey { repository, master: None, encryption: None, wrapped: Vec::new() });
    }
    let epoch = repository.newest_epoch().cloned();
    let epoch = epoch.ok_or_else(|| crate::RepositoryError::NoKey(h.repository.location().clone()))?;
    let master = h.repository.unwrapped(&repository.id, &epoch).await?;
    let encryption = Encryption { suite: holdfast_codec::SUITE.to_owned(), key_epoch: epoch.epoch };
    Ok(WritingKey { repository, master: Some(master), encryption: Some(encryption), wrapped: epoch.keys })
}

impl WritingKey {
    /// The settings of the stages for an artifact under this key.
    pub(crate) fn recipe(&self, object_key: &ObjectKey, compression_level: Option<u8>) -> Recipe {
        let encryption = self.master.as_ref().zip(self.encryption.as_ref()).map(|(master, encryption)| {
            let place = ArtifactPlace {
                repository: self.repository.id.clone(),
                key_epoch: encryption.key_epoch,
                object_key: object_key.clone(),
            };
            (Arc::clone(master), place)
        });
        Recipe { compression_level, encryption }
    }
}
