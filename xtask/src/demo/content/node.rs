//! A publisher on the stack's IPFS node and Gaia origin: adds files, reads them back, and reads the
//! counts of requests. `tests/ipfs-node/main.go` documents the control API.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use reqwest::{Client, Method, RequestBuilder};
use serde::{Deserialize, de::DeserializeOwned};

/// A running node.
pub(crate) struct Node<'a> {
    address: &'a str,
    client: Client,
}

/// The requests since the last reset.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Requests {
    pub(crate) gateway: OfGateway,
    pub(crate) gaia: OfGaia,
}

/// Requests to IPFS, by format.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct OfGateway {
    pub(crate) car: u64,
    /// Single blocks.
    pub(crate) raw: u64,
    pub(crate) plain: u64,
}

/// Requests to Gaia, by answer.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OfGaia {
    /// Whole files.
    pub(crate) full: u64,
    pub(crate) not_modified: u64,
}

/// The result of the import of a CAR.
#[derive(Deserialize)]
pub(super) struct Imported {
    pub(super) blocks: u64,
}

#[derive(Deserialize)]
struct Added {
    cid: String,
}

#[derive(Deserialize)]
struct AddedMany {
    cids: Vec<String>,
}

impl<'a> Node<'a> {
    pub(crate) fn at(address: &'a str) -> Self {
        Self {
            address,
            client: Client::new(),
        }
    }

    /// The URL of this path on the origin.
    pub(super) fn gaia_url(&self, path: &str) -> String {
        format!("{}{path}", self.address)
    }

    /// Adds a file, cut into blocks by the parameters, and returns its CID.
    pub(super) async fn add(&self, file: &[u8], parameters: &str) -> Result<String> {
        let request = self.request(Method::POST, &format!("/node/add?{parameters}"));
        Ok(answer::<Added>(request.body(file.to_vec())).await?.cid)
    }

    /// Adds many small files.
    pub(crate) async fn add_many(&self, files: &[Vec<u8>]) -> Result<Vec<String>> {
        let files: Vec<_> = files
            .iter()
            .map(|file| BASE64_STANDARD.encode(file))
            .collect();
        let request = self.request(Method::POST, "/node/add-many?cid-version=1");
        Ok(answer::<AddedMany>(request.json(&files)).await?.cids)
    }

    /// Adds a directory of stored files, by name and CID, sharded over several levels.
    pub(super) async fn add_directory(&self, entries: &BTreeMap<String, String>) -> Result<String> {
        let request = self.request(
            Method::POST,
            "/node/add-directory?sharded=true&fanout=8&cid-version=1",
        );
        Ok(answer::<Added>(request.json(entries)).await?.cid)
    }

    /// Puts a file onto the origin.
    pub(super) async fn put(&self, path: &str, file: &[u8]) -> Result<()> {
        said(self.request(Method::PUT, path).body(file.to_vec()))
            .await
            .map(drop)
    }

    /// A file, as a browser gets it.
    pub(super) async fn get(&self, path: &str) -> Result<Vec<u8>> {
        said(self.request(Method::GET, path)).await
    }

    /// Deletes all files of the node and the origin.
    pub(super) async fn lose_everything(&self) -> Result<()> {
        said(self.request(Method::POST, "/node/reset"))
            .await
            .map(drop)
    }

    /// Imports a CAR. Every block matches its CID, and the DAG of every root is complete
    /// afterwards.
    pub(super) async fn import(&self, car: Vec<u8>) -> Result<Imported> {
        answer(self.request(Method::POST, "/node/import").body(car)).await
    }

    /// The counts of requests.
    pub(super) async fn requests(&self) -> Result<Requests> {
        answer(self.request(Method::GET, "/node/requests")).await
    }

    /// Resets the counts to zero.
    pub(super) async fn count_anew(&self) -> Result<()> {
        said(self.request(Method::POST, "/node/requests/reset"))
            .await
            .map(drop)
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client
            .request(method, format!("{}{path}", self.address))
    }
}

async fn answer<T: DeserializeOwned>(request: RequestBuilder) -> Result<T> {
    serde_json::from_slice(&said(request).await?)
        .context("the IPFS node returned an unexpected answer")
}

async fn said(request: RequestBuilder) -> Result<Vec<u8>> {
    let response = request
        .send()
        .await
        .context("the IPFS node does not answer")?;
    let (url, status) = (response.url().clone(), response.status());
    let said = response
        .bytes()
        .await
        .with_context(|| format!("the answer of {url} ended early"))?;
    ensure!(
        status.is_success(),
        "{url} answered {status}: {}",
        String::from_utf8_lossy(&said)
    );
    Ok(said.to_vec())
}
