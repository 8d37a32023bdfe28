//! Locations and downloads of content: IPFS proved block by block, Gaia by validators. Stores
//! nothing.

mod breaker;
mod error;
mod fetched;
mod fetcher;
mod gaia;
mod gateways;
mod http;
pub mod ipfs;
mod location;
mod trial;

pub use error::FetchError;
pub use fetched::{Fetched, FetchedFile};
pub use fetcher::{FetchSettings, Fetcher};
pub use gateways::Gateway;
pub use http::{Lookup, Origin, OriginError};
pub use location::{Location, Unsupported, locate};
