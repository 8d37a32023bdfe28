//! Fetches a file from where it is, and hands its bytes on in order. One attempt: trying again later is the caller's,
//! who throws away what an attempt that failed had handed on.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use holdfast_domain::{Validator, Verified};
use tokio::{sync::mpsc, time::Instant};

use crate::{
    FetchError, Gateway, Location, gaia,
    gateways::Gateways,
    http::{HttpClient, Lookup, Origin},
    ipfs::{DagRecord, IpfsPath},
};

/// How files are fetched.
#[derive(Debug, Clone)]
pub struct FetchSettings {
    /// Where IPFS files are asked for, in this order, those that serve only plain files last.
    pub gateways: Vec<Gateway>,
    /// Origins exempt from the rules for strangers. A gateway is exempt without being one of them, for its own files alone.
    pub allowed_origins: Vec<Origin>,
    /// The longest silence of an origin.
    pub idle_timeout: Duration,
    /// The longest that one fetch may take in all.
    pub total_timeout: Duration,
    /// The largest file that is fetched, in bytes.
    pub max_file_size: u64,
    /// Requests to one origin at a time.
    pub per_host: usize,
}

/// What came of a fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fetched {
    /// The file is still the one that the validator marks; nothing was handed on.
    NotModified,
    /// All of it was handed on.
    File(Box<FetchedFile>),
}

/// What is known of a file whose bytes were handed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedFile {
    /// Its length in bytes.
    pub size: u64,
    /// How it is known that its bytes are the right ones.
    pub verified: Verified,
    /// The origin that answered, after redirects; of IPFS the gateways whose blocks were used, joined by `, `.
    pub source: String,
    /// The origin's marks of this content.
    pub validator: Option<Validator>,
    /// Of IPFS, the path that was served: of a URL with a `#` or `?`, the longest that exists.
    pub path: Option<IpfsPath>,
    /// What rebuilds the exact blocks, of IPFS files that were verified.
    pub dag: Option<DagRecord>,
    /// The media type as the origin gave it.
    pub content_type: Option<String>,
    /// The content coding of the answer that was undone.
    pub content_encoding: Option<String>,
}

/// Fetches files. Clones share connections, turns and breakers.
#[derive(Debug, Clone)]
pub struct Fetcher {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    client: HttpClient,
    gateways: Gateways,
    max_file_size: u64,
    total_timeout: Duration,
}

impl Fetcher {
    /// A fetcher with these settings.
    ///
    /// # Errors
    /// Where TLS cannot be set up.
    pub fn new(settings: FetchSettings) -> Result<Self, FetchError> {
        Self::with_lookup(settings, &Lookup::system())
    }

    /// The same with another way to resolve names: for tests.
    ///
    /// # Errors
    /// Where TLS cannot be set up.
    pub fn with_lookup(settings: FetchSettings, lookup: &Lookup) -> Result<Self, FetchError> {
        let client = HttpClient::new(settings.allowed_origins, lookup, settings.idle_timeout, settings.per_host)?;
        let gateways = Gateways::new(settings.gateways, settings.max_file_size);
        let (max_file_size, total_timeout) = (settings.max_file_size, settings.total_timeout);
        Ok(Self { shared: Arc::new(Shared { client, gateways, max_file_size, total_timeout }) })
    }

    pub(crate) fn client(&self) -> &HttpClient {
        &self.shared.client
    }

    /// Fetches the file and hands its bytes to `out` in order; of IPFS only bytes that are proved already. With a
    /// `validator`, a Gaia file that is still the same is not sent again.
    ///
    /// # Errors
    /// [`FetchError`], whose code says whether trying again can help. What was handed on until then is worth nothing.
    pub async fn fetch(
        &self,
        location: &Location,
        validator: Option<&Validator>,
        out: &mpsc::Sender<Bytes>,
    ) -> Result<Fetched, FetchError> {
        let Shared { client, gateways, max_file_size, total_timeout } = &*self.shared;
        let deadline = Instant::now() + *total_timeout;
        match location {
            Location::Gaia(url) => gaia::fetch(client, url, validator, *max_file_size, deadline, out).await,
            Location::Ipfs(name) => {
                gateways.fetch(client, name, deadline, out).await.map(|file| Fetched::File(Box::new(file)))
            }
        }
    }
}
