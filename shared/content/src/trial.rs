//! Tests of gateways and origins, without any file of the platform.

use std::time::Duration;

use reqwest::header::{ACCEPT, HeaderMap, HeaderValue};
use tokio::time::Instant;
use url::Url;

use crate::{
    FetchError, Fetcher, Gateway, Origin,
    http::{HttpClient, Request},
};

/// The CID of the empty file, with its bytes in itself: a gateway has it without a network.
/// <https://specs.ipfs.tech/http-gateways/trustless-gateway/#dedicated-probe-paths>
const EMPTY: &str = "bafkqaaa";
/// No probe takes longer.
const PATIENCE: Duration = Duration::from_secs(15);
/// The response to a probe is short. An origin's page may be long, and is not read.
const LIMIT: u64 = 1 << 20;

impl Fetcher {
    /// Requests the file that every gateway has.
    ///
    /// # Errors
    /// The reason of the failure.
    pub async fn try_gateway(&self, gateway: &Gateway) -> Result<(), FetchError> {
        let (query, accept) = if gateway.is_trustless() {
            (Some("format=raw"), "application/vnd.ipld.raw")
        } else {
            (None, "*/*")
        };
        let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))]);
        request(
            self.client(),
            gateway.address(EMPTY, query),
            Some(gateway.origin()),
            headers,
        )
        .await
    }

    /// Requests the root of an allowed origin, and accepts every response.
    ///
    /// # Errors
    /// Why it does not respond.
    pub async fn try_origin(&self, url: &Url) -> Result<(), FetchError> {
        match request(
            self.client(),
            url.clone(),
            Origin::of(url),
            HeaderMap::new(),
        )
        .await
        {
            // It has no root page, but it responded.
            Err(error) if error.code.is_permanent() => Ok(()),
            outcome => outcome,
        }
    }
}

async fn request(
    client: &HttpClient,
    url: Url,
    exempt: Option<Origin>,
    headers: HeaderMap,
) -> Result<(), FetchError> {
    let request = Request {
        url,
        gateway: exempt,
        headers,
        limit: LIMIT,
        deadline: Instant::now() + PATIENCE,
    };
    client.get(&request).await.map(drop)
}
