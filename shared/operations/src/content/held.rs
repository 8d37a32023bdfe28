//! What is held already, and whether that will do today: verified, encrypted where that is asked for now, readable, and
//! there.

use std::collections::HashMap;

use holdfast_domain::{Encryption, KeptFile, StorageType, StoredObject, Verified};
use holdfast_storage::StoreError;

use super::source::ItemSource;
use crate::{Holdfast, OperationError};

/// The objects of a file.
pub(super) fn objects(file: &KeptFile) -> impl Iterator<Item = &StoredObject> {
    std::iter::once(&file.object).chain(&file.dag)
}

/// Whether what is held of a source is as good as what would be kept of it today. An IPFS file that no CID vouches for
/// is fetched again: a gateway that proves it may be up by now.
pub(super) fn is_good_enough(storage_type: StorageType, file: &KeptFile, encrypt: bool) -> bool {
    is_proved(storage_type, file) && is_encrypted_as_asked(file, encrypt)
}

/// Whether no gateway could prove more of it.
pub(super) fn is_proved(storage_type: StorageType, file: &KeptFile) -> bool {
    storage_type == StorageType::Gaia || (file.verified == Verified::Cid && file.dag.is_some())
}

fn is_encrypted_as_asked(file: &KeptFile, encrypt: bool) -> bool {
    !encrypt || objects(file).all(|object| object.encryption.is_some())
}

/// What is held of a source and may be referred to today: encrypted where that is asked for, readable, and there. It may
/// be no more proved than it was when it was fetched.
pub(super) async fn of_source(h: &Holdfast, source: &ItemSource) -> Result<Option<KeptFile>, OperationError> {
    let found = h.catalog.held(std::slice::from_ref(&source.id)).await?;
    let Some(held) = found.into_iter().next().map(|held| held.file) else { return Ok(None) };
    let is_usable = is_encrypted_as_asked(&held, h.settings.content.encryption)
        && Openings::default().open(h, &held).await?
        && is_there(h, &held).await?;
    Ok(is_usable.then_some(held))
}

/// Which key epochs open, each tried once.
#[derive(Default)]
pub(super) struct Openings(HashMap<u32, bool>);

impl Openings {
    /// Whether a file's objects can be read with the keys at hand. A file whose key is gone is one to fetch again.
    pub(super) async fn open(&mut self, h: &Holdfast, file: &KeptFile) -> Result<bool, OperationError> {
        let epochs: Vec<u32> = objects(file).filter_map(|object| object.encryption.as_ref().map(epoch)).collect();
        for epoch in epochs {
            let opens = match self.0.get(&epoch) {
                Some(opens) => *opens,
                None => self.try_epoch(h, epoch).await?,
            };
            if !opens {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn try_epoch(&mut self, h: &Holdfast, epoch: u32) -> Result<bool, OperationError> {
        let opens = match h.repository.master_key(epoch).await {
            Ok(_) => true,
            Err(error @ (OperationError::Key(_) | OperationError::Repository(_))) => {
                tracing::warn!(epoch, %error, "files under a key that is not at hand are fetched again");
                false
            }
            Err(error) => return Err(error),
        };
        self.0.insert(epoch, opens);
        Ok(opens)
    }
}

const fn epoch(encryption: &Encryption) -> u32 {
    encryption.key_epoch
}

/// Whether a file's objects are in the store, as long as they should be.
pub(super) async fn is_there(h: &Holdfast, file: &KeptFile) -> Result<bool, StoreError> {
    for object in objects(file) {
        match h.repository.store().head(&object.artifact.key).await {
            Ok(found) if found.size_bytes == object.artifact.size => {}
            Ok(_) => return Ok(false),
            Err(error) if error.is_not_found() => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use holdfast_domain::{Artifact, ObjectKey, Sha256Digest, Timestamp};

    use super::*;

    fn object(encrypted: bool) -> StoredObject {
        let sha256 = Sha256Digest::new([1; 32]);
        let key = ObjectKey::content_object(&sha256, false, encrypted);
        let encryption = encrypted.then(|| Encryption { suite: "x".to_owned(), key_epoch: 1 });
        let artifact = Artifact { key, size: 1, sha256, segment_bytes: 1, segments: vec![] };
        StoredObject { artifact, compression: None, encryption }
    }

    fn file(verified: Verified, file_encrypted: bool, dag: Option<bool>) -> KeptFile {
        KeptFile {
            size: 1,
            file_sha256: Sha256Digest::new([1; 32]),
            object: object(file_encrypted),
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
    fn plain_files_do_not_do_once_encryption_is_asked_for() {
        let good = |file: &KeptFile, encrypt| is_good_enough(StorageType::Ipfs, file, encrypt);
        assert!(good(&file(Verified::Cid, false, Some(false)), false));
        assert!(!good(&file(Verified::Cid, false, Some(false)), true));
        assert!(!good(&file(Verified::Cid, true, Some(false)), true), "the blocks say what the file is");
        assert!(good(&file(Verified::Cid, true, Some(true)), true));
        assert!(good(&file(Verified::Cid, true, Some(true)), false), "better than asked");
    }

    #[test]
    fn an_ipfs_file_that_no_cid_vouches_for_is_fetched_again() {
        assert!(!is_good_enough(StorageType::Ipfs, &file(Verified::Transport, false, None), false));
        assert!(!is_good_enough(StorageType::Ipfs, &file(Verified::Cid, false, None), false));
        assert!(is_good_enough(StorageType::Gaia, &file(Verified::Transport, false, None), false));
    }
}
