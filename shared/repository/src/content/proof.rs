//! Content objects, and the proof inside each. The key follows from the content. The same content
//! may be stored again as other bytes: with another salt, compression level, library or key. So
//! neither the size nor the digest of the stored bytes decides whether an object is right. Its
//! trailer and its content decide.

use holdfast_domain::{ObjectKey, StoredFile, StoredObject};

use super::read::Plain;

/// Holdfast writes no larger record of blocks.
pub(crate) const MAX_RECORD_BYTES: u64 = 256 * 1024 * 1024;

/// An object of a file: its recorded stored form, and the content common to all forms.
#[derive(Debug, Clone)]
pub struct ContentObject {
    /// Its recorded stored form.
    pub stored: StoredObject,
    /// Its content.
    pub holds: Holds,
}

/// The content of an object in every stored form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holds {
    /// A file.
    File(Plain),
    /// The record of a file's blocks. The blocks themselves are proved as they are rebuilt.
    Blocks {
        /// The path of the file, if its record names it.
        path: Option<String>,
        /// Bytes of the file.
        file_size: u64,
    },
}

impl Holds {
    /// Upper limit of the stored bytes, after any compression and encryption.
    pub(super) const fn most_stored_bytes(&self) -> u64 {
        const OVERHEAD_BYTES: u64 = 1024 * 1024;
        let content = match self {
            Self::File(plain) => plain.size,
            Self::Blocks { .. } => MAX_RECORD_BYTES,
        };
        content
            .saturating_add(content / 8)
            .saturating_add(OVERHEAD_BYTES)
    }
}

impl ContentObject {
    /// The object of the file itself.
    #[must_use]
    pub fn file(kept: &StoredFile) -> Self {
        let holds = Holds::File(Plain {
            size: kept.size,
            sha256: kept.file_sha256,
        });
        Self {
            stored: kept.object.clone(),
            holds,
        }
    }

    /// The object with the record of its blocks. `None` if its blocks are not recorded.
    #[must_use]
    pub fn blocks(kept: &StoredFile) -> Option<Self> {
        let holds = Holds::Blocks {
            path: kept.cid.clone(),
            file_size: kept.size,
        };
        Some(Self {
            stored: kept.dag.clone()?,
            holds,
        })
    }

    /// Every object of a file.
    pub fn all(kept: &StoredFile) -> impl Iterator<Item = Self> {
        std::iter::once(Self::file(kept)).chain(Self::blocks(kept))
    }

    /// Its key in the store.
    #[must_use]
    pub const fn key(&self) -> &ObjectKey {
        &self.stored.artifact.key
    }

    /// Whether an object may have other right forms. A file without compression and encryption has
    /// one form.
    pub(super) const fn has_other_forms(&self) -> bool {
        let is_file_as_it_is =
            self.stored.encryption.is_none() && self.stored.compression.is_none();
        !(is_file_as_it_is && matches!(self.holds, Holds::File(_)))
    }
}

/// A sentence with the number of objects proved by their content. `None` for no object.
#[must_use]
pub fn note_of_other_forms(count: u64) -> Option<String> {
    let one = || {
        "1 object was stored again after this backup: its content proved it, not its stored digest"
            .to_owned()
    };
    let many = || {
        format!(
            "{count} objects were stored again after this backup: their content proved them, not their stored digests"
        )
    };
    match count {
        0 => None,
        1 => Some(one()),
        _ => Some(many()),
    }
}
