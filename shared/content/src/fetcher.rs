//! Downloads a file and passes on its bytes in order. One attempt only: the caller retries, and
//! discards the bytes of a failed attempt.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use holdfast_domain::Validator;
use tokio::{sync::mpsc, time::Instant};

use crate::{
    FetchError, Fetched, Gateway, Location, gaia,
    gateways::Gateways,
    http::{HttpClient, Lookup, Origin},
};

/// How files are fetched.
#[derive(Debug, Clone)]
pub struct FetchSettings {
    /// Gateways for IPFS files, in this order. Gateways with plain files only come last.
    pub gateways: Vec<Gateway>,
    /// Origins exempt from the rules for strangers. A gateway is exempt without being one of them,
    /// for its own files alone.
    pub allowed_origins: Vec<Origin>,
    /// The longest silence of an origin.
    pub idle_timeout: Duration,
    /// Longest duration of one fetch.
    pub total_timeout: Duration,
    /// Size limit of a file, in bytes.
    pub max_file_size: u64,
    /// Requests to one origin at a time.
    pub per_host: usize,
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
    /// If TLS cannot be set up.
    pub fn new(settings: FetchSettings) -> Result<Self, FetchError> {
        Self::with_lookup(settings, &Lookup::system())
    }

    /// The same with another name resolver, for tests.
    ///
    /// # Errors
    /// If TLS cannot be set up.
    pub fn with_lookup(settings: FetchSettings, lookup: &Lookup) -> Result<Self, FetchError> {
        let client = HttpClient::new(
            settings.allowed_origins,
            lookup,
            settings.idle_timeout,
            settings.per_host,
        )?;
        let gateways = Gateways::new(settings.gateways, settings.max_file_size);
        let (max_file_size, total_timeout) = (settings.max_file_size, settings.total_timeout);
        Ok(Self {
            shared: Arc::new(Shared {
                client,
                gateways,
                max_file_size,
                total_timeout,
            }),
        })
    }

    pub(crate) fn client(&self) -> &HttpClient {
        &self.shared.client
    }

    /// Downloads the file and passes its bytes to `out` in order. For IPFS, all bytes were proved
    /// before. With a `validator`, an unchanged Gaia file is not sent again.
    ///
    /// # Errors
    /// [`FetchError`], with a code that classifies retries. The bytes passed on until then must be
    /// discarded.
    pub async fn fetch(
        &self,
        location: &Location,
        validator: Option<&Validator>,
        out: &mpsc::Sender<Bytes>,
    ) -> Result<Fetched, FetchError> {
        let Shared {
            client,
            gateways,
            max_file_size,
            total_timeout,
        } = &*self.shared;
        let deadline = Instant::now() + *total_timeout;
        match location {
            Location::Gaia(url) => {
                gaia::fetch(client, url, validator, *max_file_size, deadline, out).await
            }
            Location::Ipfs(name) => gateways
                .fetch(client, name, deadline, out)
                .await
                .map(|file| Fetched::File(Box::new(file))),
        }
    }
}
