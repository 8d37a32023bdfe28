//! Stored files, and whether a backup may reuse them now. They must be verified, encrypted if the
//! backup is, readable, and in the store.

use std::collections::HashMap;

use holdfast_catalog::{Catalog, SourceToStore};
use holdfast_domain::{Encryption, Job, StorageType, StoredFile, StoredObject, Verified};
use holdfast_repository::{
    EncryptionMode, Repository, RepositoryError,
    content::{
        proof::ContentObject,
        read::{ObjectSource, ReadFault},
    },
};

use super::source::ItemSource;
use crate::{Holdfast, OperationError};

/// The objects of a file.
pub(super) fn objects(file: &StoredFile) -> impl Iterator<Item = &StoredObject> {
    std::iter::once(&file.object).chain(&file.dag)
}

/// Whether the stored file is as good as a newly fetched one. An IPFS file without a proof by its
/// CID is fetched again, because a proving gateway may be available by now.
pub(super) fn is_good_enough(
    storage_type: StorageType,
    file: &StoredFile,
    encryption: EncryptionMode,
) -> bool {
    is_proved(storage_type, file) && is_encrypted_as_required(file, encryption)
}

/// Whether no gateway could prove more of it. A file under a raw CID is one block, and its bytes
/// rebuild that block.
pub(super) fn is_proved(storage_type: StorageType, file: &StoredFile) -> bool {
    let is_whole = || {
        file.dag.is_some()
            || file
                .cid
                .as_deref()
                .is_some_and(holdfast_content::ipfs::is_raw_file)
    };
    storage_type == StorageType::Gaia || (file.verified == Verified::Cid && is_whole())
}

fn is_encrypted_as_required(file: &StoredFile, encryption: EncryptionMode) -> bool {
    encryption == EncryptionMode::Off || objects(file).all(|object| object.encryption.is_some())
}

/// The stored file of a source, if it is encrypted as required, readable, and in the store. It may
/// be as little proved as when it was fetched.
pub(super) async fn for_source(
    holdfast: &Holdfast,
    job: &Job,
    source: &ItemSource,
) -> Result<Option<StoredFile>, OperationError> {
    let found = holdfast
        .catalog
        .stored_files(std::slice::from_ref(&source.id))
        .await?;
    let Some(stored) = found.into_iter().next().map(|stored| stored.file) else {
        return Ok(None);
    };
    let is_usable = is_encrypted_as_required(&stored, job.encrypted.into())
        && KeyEpochs::default()
            .open(&holdfast.repository, &stored)
            .await?;
    if is_usable {
        if_in_store(&holdfast.repository, &holdfast.catalog, source, stored).await
    } else {
        Ok(None)
    }
}

/// The stored file of a source, if its objects are in the store. Objects that were stored again in
/// another form are recorded in that form.
pub(super) async fn if_in_store(
    repository: &Repository,
    catalog: &Catalog,
    source: &ItemSource,
    stored: StoredFile,
) -> Result<Option<StoredFile>, OperationError> {
    let Some(found) = in_store(repository, &stored).await? else {
        return Ok(None);
    };
    let address = found.object.artifact.key.content_address();
    if let (Some(address), true) = (&address, found != stored) {
        let source_address = SourceToStore {
            storage_type: source.storage_type,
            locator: &source.locator,
            address,
        };
        catalog
            .record_stored(&source_address, &found, catalog.now().await?)
            .await?;
    }
    Ok(Some(found))
}

/// Which key epochs open. Each is tried once.
#[derive(Default)]
pub(super) struct KeyEpochs(HashMap<u32, bool>);

impl KeyEpochs {
    /// Whether the available keys can read a file's objects. A file with a lost key is fetched
    /// again.
    pub(super) async fn open(
        &mut self,
        repository: &Repository,
        file: &StoredFile,
    ) -> Result<bool, OperationError> {
        let wanted: Vec<u32> = objects(file)
            .filter_map(|object| object.encryption.as_ref().map(epoch))
            .collect();
        for epoch in wanted {
            let opens = match self.0.get(&epoch) {
                Some(opens) => *opens,
                None => self.try_epoch(repository, epoch).await?,
            };
            if !opens {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn try_epoch(
        &mut self,
        repository: &Repository,
        epoch: u32,
    ) -> Result<bool, OperationError> {
        let opens = match repository.master_key(epoch).await {
            Ok(_) => true,
            Err(error @ (RepositoryError::Key(_) | RepositoryError::File(_))) => {
                tracing::warn!(epoch, %error, "the key of some stored files is missing, so they are fetched again");
                false
            }
            Err(error) => return Err(error.into()),
        };
        self.0.insert(epoch, opens);
        Ok(opens)
    }
}

const fn epoch(encryption: &Encryption) -> u32 {
    encryption.key_epoch
}

/// A file with its objects in their stored form, or `None` if one is missing or damaged. An object
/// of the recorded size is not read.
pub(super) async fn in_store(
    repository: &Repository,
    file: &StoredFile,
) -> Result<Option<StoredFile>, OperationError> {
    let Some(object) = form_in_store(repository, ContentObject::file(file)).await? else {
        return Ok(None);
    };
    let dag = match ContentObject::blocks(file) {
        None => None,
        Some(blocks) => match form_in_store(repository, blocks).await? {
            None => return Ok(None),
            form => form,
        },
    };
    Ok(Some(StoredFile {
        object,
        dag,
        ..file.clone()
    }))
}

async fn form_in_store(
    repository: &Repository,
    object: ContentObject,
) -> Result<Option<StoredObject>, OperationError> {
    let found = match repository.store().head(object.key()).await {
        Ok(found) => found,
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    if found.size_bytes == object.stored.artifact.size {
        return Ok(Some(object.stored));
    }
    let source = ObjectSource::new(repository, &repository.open().await?.id);
    let problem = format!("{} has another size than it was stored with", object.key());
    match source.prove_or(&object, problem).await {
        Ok(form) => Ok(Some(form)),
        Err(ReadFault::Damaged(_)) => Ok(None),
        Err(ReadFault::Other(error)) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use holdfast_domain::{Artifact, Encoding, ObjectKey, Sha256Digest, Timestamp};

    use super::*;

    fn object(encoding: Encoding) -> StoredObject {
        let sha256 = Sha256Digest::new([1; 32]);
        let key = ObjectKey::content_object(&sha256, encoding);
        let encryption = encoding.encrypted.then(|| Encryption {
            suite: "x".to_owned(),
            key_epoch: 1,
        });
        let artifact = Artifact {
            key,
            size: 1,
            sha256,
            segment_bytes: 1,
            segments: vec![],
        };
        StoredObject {
            artifact,
            compression: None,
            encryption,
        }
    }

    fn file(verified: Verified, encoding: Encoding, dag: Option<Encoding>) -> StoredFile {
        StoredFile {
            size: 1,
            file_sha256: Sha256Digest::new([1; 32]),
            object: object(encoding),
            dag: dag.map(object),
            cid: None,
            verified,
            served_by: "https://x".to_owned(),
            validator: None,
            content_type: None,
            content_encoding: None,
            fetched_at: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn plain_files_are_not_good_enough_with_encryption() {
        let good =
            |file: &StoredFile, encryption| is_good_enough(StorageType::Ipfs, file, encryption);
        assert!(good(
            &file(Verified::Cid, Encoding::PLAIN, Some(Encoding::PLAIN)),
            EncryptionMode::Off
        ));
        assert!(!good(
            &file(Verified::Cid, Encoding::PLAIN, Some(Encoding::PLAIN)),
            EncryptionMode::On
        ));
        assert!(
            !good(
                &file(Verified::Cid, Encoding::ENCRYPTED, Some(Encoding::PLAIN)),
                EncryptionMode::On
            ),
            "the blocks say what the file is"
        );
        assert!(good(
            &file(
                Verified::Cid,
                Encoding::ENCRYPTED,
                Some(Encoding::ENCRYPTED)
            ),
            EncryptionMode::On
        ));
        assert!(
            good(
                &file(
                    Verified::Cid,
                    Encoding::ENCRYPTED,
                    Some(Encoding::ENCRYPTED)
                ),
                EncryptionMode::Off
            ),
            "better than asked"
        );
    }

    #[test]
    fn an_ipfs_file_that_no_cid_vouches_for_is_fetched_again() {
        assert!(!is_good_enough(
            StorageType::Ipfs,
            &file(Verified::Transport, Encoding::PLAIN, None),
            EncryptionMode::Off
        ));
        assert!(!is_good_enough(
            StorageType::Ipfs,
            &file(Verified::Cid, Encoding::PLAIN, None),
            EncryptionMode::Off
        ));
        let raw = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy";
        for (cid, is_good) in [
            (raw, true),
            (&*format!("{raw}/a"), false),
            (
                "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi",
                false,
            ),
        ] {
            let large = StoredFile {
                cid: Some(cid.to_owned()),
                ..file(Verified::Cid, Encoding::PLAIN, None)
            };
            assert_eq!(
                is_good_enough(StorageType::Ipfs, &large, EncryptionMode::Off),
                is_good,
                "{cid}"
            );
            let large = StoredFile {
                verified: Verified::Transport,
                ..large
            };
            assert!(
                !is_good_enough(StorageType::Ipfs, &large, EncryptionMode::Off),
                "{cid}"
            );
        }
        assert!(is_good_enough(
            StorageType::Gaia,
            &file(Verified::Transport, Encoding::PLAIN, None),
            EncryptionMode::Off
        ));
    }
}
