//! Counts IPFS files without a proof by CID. A gateway of plain files may serve another file.

use holdfast_domain::{ItemRecord, StorageType, Verified};

/// The IPFS files of a backup, and the number of unproved ones.
#[derive(Debug, Default)]
pub struct Proofs {
    files: u64,
    unproved: u64,
}

impl Proofs {
    /// Counts the file of an item, if it has one from IPFS.
    pub fn count(&mut self, record: &ItemRecord) {
        if let Some(file) = &record.file
            && record.item.storage_type == StorageType::Ipfs
        {
            self.files += 1;
            self.unproved += u64::from(file.verified == Verified::Transport);
        }
    }

    /// Returns a note if a file is unproved.
    #[must_use]
    pub fn note(&self) -> Option<String> {
        (self.unproved > 0).then(|| {
            format!(
                "{} of {} IPFS files are unproved (verified: transport): their gateway served no blocks, so their CIDs \
                 do not prove the bytes",
                self.unproved, self.files
            )
        })
    }
}
