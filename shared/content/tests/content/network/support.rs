//! Shared parts of the fetch tests: short time limits, and a fetch with collected bytes.

use std::time::Duration;

use bytes::Bytes;
use holdfast_content::{
    FetchError, FetchSettings, Fetched, FetchedFile, Fetcher, Location, Lookup, locate,
};
use holdfast_domain::{ItemFailureCode, StorageType, Validator};
use tokio::sync::mpsc;

/// The result of a fetch.
pub(crate) struct Outcome {
    pub(crate) fetched: Result<Fetched, FetchError>,
    /// All bytes passed on, in order.
    pub(crate) bytes: Vec<u8>,
}

impl Outcome {
    pub(crate) fn file(self) -> (FetchedFile, Vec<u8>) {
        match self.fetched.unwrap() {
            Fetched::File(file) => (*file, self.bytes),
            Fetched::NotModified => panic!("not modified"),
        }
    }

    pub(crate) fn error(self) -> FetchError {
        self.fetched.unwrap_err()
    }

    pub(crate) fn code(self) -> ItemFailureCode {
        self.error().code
    }
}

/// Trusted gateways and origins, short time limits, files up to 4 MiB.
pub(crate) fn settings(gateways: &[&str], allowed: &[&str]) -> FetchSettings {
    FetchSettings {
        gateways: gateways.iter().map(|text| text.parse().unwrap()).collect(),
        allowed_origins: allowed.iter().map(|text| text.parse().unwrap()).collect(),
        idle_timeout: Duration::from_millis(400),
        total_timeout: Duration::from_secs(10),
        max_file_size: 4 * 1024 * 1024,
        per_host: 4,
    }
}

pub(crate) fn gaia_of(allowed: &[&str]) -> Fetcher {
    Fetcher::new(settings(&[], allowed)).unwrap()
}

pub(crate) fn ipfs_by(gateways: &[&str]) -> Fetcher {
    Fetcher::new(settings(gateways, &[])).unwrap()
}

/// A fetcher that resolves every name to these addresses.
pub(crate) fn resolving(allowed: &[&str], addresses: &[&str]) -> Fetcher {
    let addresses: Vec<_> = addresses.iter().map(|text| text.parse().unwrap()).collect();
    let lookup = Lookup::new(move |_| std::future::ready(Ok(addresses.clone())));
    Fetcher::with_lookup(settings(&[], allowed), &lookup).unwrap()
}

pub(crate) async fn fetch_if_changed(
    fetcher: &Fetcher,
    location: &Location,
    validator: Option<&Validator>,
) -> Outcome {
    let (out, mut coming) = mpsc::channel::<Bytes>(2);
    let fetching = async move { fetcher.fetch(location, validator, &out).await };
    let collecting = async {
        let mut bytes = Vec::new();
        while let Some(chunk) = coming.recv().await {
            bytes.extend_from_slice(&chunk);
        }
        bytes
    };
    let (result, bytes) = tokio::join!(fetching, collecting);
    Outcome {
        fetched: result,
        bytes,
    }
}

pub(crate) async fn fetch_gaia(fetcher: &Fetcher, url: &str) -> Outcome {
    fetch_if_changed(fetcher, &locate(StorageType::Gaia, url).unwrap(), None).await
}

pub(crate) async fn fetch_ipfs(fetcher: &Fetcher, url: &str) -> Outcome {
    fetch_if_changed(fetcher, &locate(StorageType::Ipfs, url).unwrap(), None).await
}

/// Bytes without two equal blocks.
pub(crate) fn varied(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}
