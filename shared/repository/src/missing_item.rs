//! Items without the requested data.

use std::fmt;

use holdfast_domain::BackupId;

/// The backup has no such item, or the item lacks the requested data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MissingItem {
    /// No such item.
    #[error("backup {backup_id} has no item {content_id}")]
    Unknown {
        /// The backup.
        backup_id: BackupId,
        /// The item.
        content_id: String,
    },
    /// The item has no file.
    #[error("backup {backup_id} holds no file of item {content_id}: {reason}")]
    NoFile {
        /// The backup.
        backup_id: BackupId,
        /// The item.
        content_id: String,
        /// The failure at the time of the backup.
        reason: String,
    },
    /// No blocks of the item can be exported.
    #[error("item {content_id} of backup {backup_id} {cause}")]
    NoBlocks {
        /// The backup.
        backup_id: BackupId,
        /// The item.
        content_id: String,
        /// The cause.
        cause: NoBlocks,
    },
}

/// Why an item has no blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoBlocks {
    /// The backup has no such item.
    NotInBackup,
    /// The item has no file.
    NoFile,
    /// The blocks were not recorded.
    NotRecorded,
}

impl fmt::Display for NoBlocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotInBackup => "is not in it",
            Self::NoFile => "has no file in it",
            Self::NotRecorded => {
                "has no record of blocks: it is not from IPFS, or no gateway proved it"
            }
        })
    }
}
