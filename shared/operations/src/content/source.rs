//! Where an item's file comes from, and the name under which what came from there is held.

use holdfast_catalog::{SourceId, source_id};
use holdfast_content::{Location, Unsupported, locate};
use holdfast_domain::{ContentItem, StorageType};

/// An item's source.
pub(crate) struct ItemSource {
    pub(crate) location: Location,
    pub(crate) storage_type: StorageType,
    /// A CID with its path, or a URL: items that spell the same one are of one source.
    pub(crate) locator: String,
    pub(crate) id: SourceId,
}

impl ItemSource {
    pub(crate) fn of(item: &ContentItem) -> Result<Self, Unsupported> {
        let location = locate(item.storage_type, &item.url)?;
        let locator = match &location {
            Location::Ipfs(path) => path.to_string(),
            Location::Gaia(url) => url.to_string(),
        };
        let id = source_id(item.storage_type, &locator);
        Ok(Self { location, storage_type: item.storage_type, locator, id })
    }
}
