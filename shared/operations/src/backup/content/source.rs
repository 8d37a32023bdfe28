//! The source of an item's file, and the name of its stored file.

use holdfast_catalog::{SourceId, source_id};
use holdfast_content::{Location, Unsupported, ipfs::IpfsPath, locate};
use holdfast_domain::{ContentItem, StorageType};

/// An item's source.
pub(crate) struct ItemSource {
    pub(crate) location: Location,
    pub(crate) storage_type: StorageType,
    /// A CID with its path, or a URL. Items with the same text share a source. A possible part of
    /// a longer name follows the path.
    pub(crate) locator: String,
    pub(crate) id: SourceId,
}

impl ItemSource {
    pub(crate) fn of(item: &ContentItem) -> Result<Self, Unsupported> {
        let location = locate(item.storage_type, &item.url)?;
        let locator = match &location {
            Location::Ipfs(name) => name.locator(),
            Location::Gaia(url) => url.to_string(),
        };
        let id = source_id(item.storage_type, &locator);
        Ok(Self {
            location,
            storage_type: item.storage_type,
            locator,
            id,
        })
    }

    /// The source with the served path, if the URL may mean several.
    pub(crate) fn served(&self, path: Option<&IpfsPath>) -> Option<Self> {
        let path = path.filter(|path| path.to_string() != self.locator)?;
        let (location, locator) = (Location::Ipfs(path.clone().into()), path.to_string());
        let id = source_id(self.storage_type, &locator);
        Some(Self {
            location,
            storage_type: self.storage_type,
            locator,
            id,
        })
    }
}
