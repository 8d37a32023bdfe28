//! Where an item's file comes from, and the name under which what came from there is held.

use holdfast_catalog::{SourceId, source_id};
use holdfast_content::{Location, Unsupported, ipfs::IpfsPath, locate};
use holdfast_domain::{ContentItem, StorageType};

/// An item's source.
pub(crate) struct ItemSource {
    pub(crate) location: Location,
    pub(crate) storage_type: StorageType,
    /// A CID with its path, or a URL: items that spell the same one are of one source. Behind the path stands what may
    /// be a part of a longer name.
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
        Ok(Self { location, storage_type: item.storage_type, locator, id })
    }

    /// The source of the path that was served, where the URL may mean several.
    pub(crate) fn served(&self, path: Option<&IpfsPath>) -> Option<Self> {
        let path = path.filter(|path| path.to_string() != self.locator)?;
        let (location, locator) = (Location::Ipfs(path.clone().into()), path.to_string());
        let id = source_id(self.storage_type, &locator);
        Some(Self { location, storage_type: self.storage_type, locator, id })
    }
}
