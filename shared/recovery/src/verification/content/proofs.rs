//! How many IPFS files no CID proved: what a gateway of plain files served may be another file.

use holdfast_domain::{ItemRecord, StorageType, Verified};

/// The IPFS files of a backup, and those among them that are unproved.
#[derive(Debug, Default)]
pub struct Proofs {
    files: u64,
    unproved: u64,
}

impl Proofs {
    pub fn count(&mut self, record: &ItemRecord) {
        if let Some(file) = &record.file
            && record.item.storage_type == StorageType::Ipfs
        {
            self.files += 1;
            self.unproved += u64::from(file.verified == Verified::Transport);
        }
    }

    /// A note where any file is unproved.
    pub fn note(&self) -> Option<String> {
        (self.unproved > 0).then(|| {
            format!(
                "{} of {} IPFS files are unproved (verified: transport): their gateway served no blocks, and their CIDs \
                 do not prove the bytes alone",
                self.unproved, self.files
            )
        })
    }
}
