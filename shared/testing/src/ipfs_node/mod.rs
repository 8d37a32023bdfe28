//! The real IPFS gateway and Gaia origin of `tests/ipfs-node`, and its contents for a test.
#![expect(clippy::missing_panics_doc, reason = "a test fails by panicking")]

mod shape;

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde::{Deserialize, de::DeserializeOwned};

pub use self::shape::{DirectoryShape, FileShape};

/// A running node.
///
/// Its functions panic if a request fails, because the test cannot continue.
pub struct IpfsNode {
    address: String,
    client: Client,
    /// Only of a private node, which ends with the test.
    child: Option<Child>,
}

/// The result of an imported CAR.
#[derive(Debug, Deserialize)]
pub struct Imported {
    /// Its roots. Their DAGs are complete in this node.
    pub roots: Vec<String>,
    /// Number of its blocks.
    pub blocks: usize,
}

/// Why a CAR was refused.
#[derive(Debug, Deserialize)]
pub struct ImportRefused {
    /// In words.
    pub error: String,
    /// The missing block of a root's DAG, if that is the reason.
    pub missing: Option<String>,
}

/// Numbers of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub struct Requests {
    /// Of the IPFS gateway.
    pub gateway: GatewayRequests,
    /// Of the Gaia origin.
    pub gaia: GaiaRequests,
}

/// Requests to the IPFS gateway, by format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub struct GatewayRequests {
    /// CARs.
    pub car: usize,
    /// Single blocks.
    pub raw: usize,
    /// Plain files.
    pub plain: usize,
}

/// Requests to the Gaia origin, by response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GaiaRequests {
    /// The file, or a range of it.
    pub full: usize,
    /// 304.
    pub not_modified: usize,
    /// Only the headers, as requested.
    pub head: usize,
    /// 404.
    pub missing: usize,
}

impl IpfsNode {
    /// The node at that address, `http://host:port`.
    #[must_use]
    pub fn at(address: &str) -> Self {
        Self {
            address: address.trim_end_matches('/').to_owned(),
            client: Client::new(),
            child: None,
        }
    }

    /// A fresh node of this test's own.
    #[must_use]
    pub fn start() -> Self {
        let mut child = Command::new(ipfs_node_program())
            // Should this process be killed, its end of the pipe closes, and the node ends too.
            .arg("--until-stdin-closes")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("the IPFS node does not start: {error}"));
        let mut address = String::new();
        if let Some(output) = child.stdout.take() {
            BufReader::new(output).read_line(&mut address).ok();
        }
        assert!(
            address.starts_with("http://"),
            "the IPFS node printed no address: {address:?}"
        );
        let mut node = Self::at(address.trim());
        node.child = Some(child);
        node
    }

    /// Its address: `http://127.0.0.1:port`, also the value of the gateway setting.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Adds a file and returns its CID.
    pub async fn add(&self, file: impl Into<Bytes>, shape: &FileShape) -> String {
        let request = self
            .post(&format!("/node/add?{}", shape.query()))
            .body(file.into());
        json_of::<OneCid>(request).await.cid
    }

    /// Adds many small files in one call and returns their CIDs, in order.
    pub async fn add_many(&self, files: &[impl AsRef<[u8]>], shape: &FileShape) -> Vec<String> {
        let encoded: Vec<_> = files.iter().map(|file| STANDARD.encode(file)).collect();
        let request = self
            .post(&format!("/node/add-many?{}", shape.query()))
            .json(&encoded);
        json_of::<ManyCids>(request).await.cids
    }

    /// Adds a directory of existing contents, by name and CID, and returns its CID.
    pub async fn add_directory(
        &self,
        entries: impl IntoIterator<Item = (impl Into<String>, impl Into<String>)>,
        shape: &DirectoryShape,
    ) -> String {
        let entries: BTreeMap<String, String> = entries
            .into_iter()
            .map(|(name, cid)| (name.into(), cid.into()))
            .collect();
        let request = self
            .post(&format!("/node/add-directory?{}", shape.query()))
            .json(&entries);
        json_of::<OneCid>(request).await.cid
    }

    /// Adds an unchanged block of this codec (`raw`, `dag-pb`, …), and returns its CID, of version
    /// 1.
    pub async fn add_block(&self, block: impl Into<Bytes>, codec: &str) -> String {
        let request = self
            .post(&format!("/node/add-block?codec={codec}"))
            .body(block.into());
        json_of::<OneCid>(request).await.cid
    }

    /// Imports a CAR, as `ipfs dag import` does: every block has its CID, and every root's DAG is
    /// complete afterwards.
    ///
    /// # Errors
    /// If the CAR does not fulfil that.
    pub async fn import(&self, car: impl Into<Bytes>) -> Result<Imported, ImportRefused> {
        let response = send(self.post("/node/import").body(car.into())).await;
        match response.status() {
            StatusCode::OK => Ok(read(response).await),
            StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => Err(read(response).await),
            other => panic!("the IPFS node answered {other} to an import"),
        }
    }

    /// Number of its blocks.
    pub async fn block_count(&self) -> usize {
        json_of::<Count>(self.request(Method::GET, "/node/blocks/count"))
            .await
            .count
    }

    /// Makes it lack a block.
    pub async fn remove_block(&self, cid: &str) {
        accepted(self.post(&format!("/node/remove-block?cid={cid}"))).await;
    }

    /// Makes it a fresh node: nothing held, nothing counted. Only for an own one.
    pub async fn reset(&self) {
        accepted(self.post("/node/reset")).await;
    }

    /// A CAR of a CID, or of the target of a path below one: depth first, duplicates kept.
    pub async fn car(&self, path: &str) -> Bytes {
        let request = self.request(
            Method::GET,
            &format!("/ipfs/{path}?format=car&dag-scope=entity"),
        );
        body(request.header(
            "accept",
            "application/vnd.ipld.car; version=1; order=dfs; dups=y",
        ))
        .await
    }

    /// A single block.
    pub async fn block(&self, cid: &str) -> Bytes {
        body(self.request(Method::GET, &format!("/ipfs/{cid}?format=raw"))).await
    }

    /// A file, as a browser gets it.
    pub async fn file(&self, path: &str) -> Bytes {
        body(self.request(Method::GET, &format!("/ipfs/{path}"))).await
    }

    /// Stores a file of the Gaia origin, or another in its place, and returns its URL.
    pub async fn put_gaia(&self, path: &str, file: impl Into<Bytes>) -> String {
        accepted(
            self.request(Method::PUT, &format!("/gaia/{path}"))
                .body(file.into()),
        )
        .await;
        format!("{}/gaia/{path}", self.address)
    }

    /// Removes a file of the Gaia origin.
    pub async fn remove_gaia(&self, path: &str) {
        accepted(self.request(Method::DELETE, &format!("/gaia/{path}"))).await;
    }

    /// Requests since the last [`Self::reset_requests`]. A shared node counts those of all tests.
    pub async fn requests(&self) -> Requests {
        json_of(self.request(Method::GET, "/node/requests")).await
    }

    /// Resets the counters.
    pub async fn reset_requests(&self) {
        accepted(self.post("/node/requests/reset")).await;
    }

    fn post(&self, path: &str) -> RequestBuilder {
        self.request(Method::POST, path)
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client
            .request(method, format!("{}{path}", self.address))
    }
}

impl Drop for IpfsNode {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().and_then(|()| child.wait()).ok();
        }
    }
}

#[derive(Deserialize)]
struct OneCid {
    cid: String,
}

#[derive(Deserialize)]
struct ManyCids {
    cids: Vec<String>,
}

#[derive(Deserialize)]
struct Count {
    count: usize,
}

fn ipfs_node_program() -> PathBuf {
    crate::environment::variable("HOLDFAST_TEST_IPFS_NODE_SERVER").into()
}

async fn json_of<T: DeserializeOwned>(request: RequestBuilder) -> T {
    read(accepted(request).await).await
}

async fn body(request: RequestBuilder) -> Bytes {
    accepted(request)
        .await
        .bytes()
        .await
        .unwrap_or_else(|error| panic!("the IPFS node's answer broke off: {error}"))
}

async fn accepted(request: RequestBuilder) -> reqwest::Response {
    let response = send(request).await;
    let (status, url) = (response.status(), response.url().clone());
    if status.is_success() {
        return response;
    }
    panic!(
        "{url} answered {status}: {}",
        response.text().await.unwrap_or_default()
    )
}

async fn send(request: RequestBuilder) -> reqwest::Response {
    request
        .send()
        .await
        .unwrap_or_else(|error| panic!("the IPFS node does not answer: {error}"))
}

async fn read<T: DeserializeOwned>(response: reqwest::Response) -> T {
    response.json().await.unwrap_or_else(|error| {
        panic!("the IPFS node's response does not match its description: {error}")
    })
}
