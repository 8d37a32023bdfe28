//! The result of a download.

use holdfast_domain::{Validator, Verified};

use crate::ipfs::{DagRecord, IpfsPath};

/// The result of a fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fetched {
    /// The file is unchanged since the validator. No bytes were passed on.
    NotModified,
    /// All its bytes were passed on.
    File(Box<FetchedFile>),
}

/// Properties of a downloaded file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedFile {
    /// Its length in bytes.
    pub size: u64,
    /// The proof of its bytes.
    pub verified: Verified,
    /// The origin of the response, after redirects. For IPFS, the gateways of the used blocks,
    /// joined by `, `.
    pub source: String,
    /// The origin's marks of this content.
    pub validator: Option<Validator>,
    /// For IPFS, the delivered path. For a URL with a `#` or `?`, the longest existing one.
    pub path: Option<IpfsPath>,
    /// The record of blocks, for verified IPFS files.
    pub dag: Option<DagRecord>,
    /// The media type as the origin gave it.
    pub content_type: Option<String>,
    /// The removed content coding of the response.
    pub content_encoding: Option<String>,
}
