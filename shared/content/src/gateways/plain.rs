//! Gateways that serve only plain files: nothing but the connection vouches for what they send.

use bytes::Bytes;
use holdfast_domain::Verified;
use reqwest::header::{ETAG, HeaderMap};
use tokio::{sync::mpsc, time::Instant};

use super::Gateway;
use crate::{
    FetchError, FetchedFile,
    http::{Answer, HttpClient, Request},
    ipfs::IpfsPath,
};

/// Asks one after the other; the inner error says why none served the file. Once one has begun to send, no other can go
/// on, and its failure is that of the fetch.
pub(super) async fn fetch(
    client: &HttpClient,
    gateways: &[Gateway],
    path: &IpfsPath,
    limit: u64,
    deadline: Instant,
    out: &mpsc::Sender<Bytes>,
) -> Result<Result<FetchedFile, Vec<FetchError>>, FetchError> {
    let mut errors = Vec::new();
    for gateway in gateways {
        let url = gateway.address(&path.to_string(), None);
        let request = Request { url, gateway: Some(gateway.origin()), headers: HeaderMap::new(), limit, deadline };
        match client.get(&request).await.and_then(a_file) {
            Ok(answer) => return pass_on(gateway, answer, out).await.map(Ok),
            Err(error) => errors.push(error),
        }
    }
    Ok(Err(errors))
}

/// A listing that a gateway made of a directory is no file of anybody's.
fn a_file(answer: Answer) -> Result<Answer, FetchError> {
    let is_listing = answer.header(&ETAG).is_some_and(|etag| etag.contains("\"DirIndex-"));
    if is_listing { Err(answer.invalid("sent a listing of a directory, not a file")) } else { Ok(answer) }
}

async fn pass_on(gateway: &Gateway, mut answer: Answer, out: &mpsc::Sender<Bytes>) -> Result<FetchedFile, FetchError> {
    let size = answer.pass_on(out).await?;
    Ok(FetchedFile {
        size,
        verified: Verified::Transport,
        source: gateway.origin().to_string(),
        validator: None,
        dag: None,
        content_type: answer.content_type(),
    })
}
