//! Gateways with plain files only. The file's bytes are proved if the CID permits it. Otherwise
//! only the connection authenticates them.

use bytes::{Bytes, BytesMut};
use holdfast_domain::{ItemFailureCode, Verified};
use reqwest::header::{ETAG, HeaderMap};
use tokio::{sync::mpsc, time::Instant};

use super::{
    Gateway,
    progress::Setback,
    proof::{Verdict, may_prove, prove},
};
use crate::{
    FetchError, FetchedFile,
    http::{Answer, HttpClient, Request},
    ipfs::{IpfsPath, MAX_BLOCK_BYTES, RawProof, WalkedFile, is_raw},
};

/// The file, or the failures of all gateways.
pub(super) type PlainOutcome = Result<FetchedFile, Vec<FetchError>>;

/// Tries one after the other. Once one has begun to send, no other can continue, and its failure is
/// that of the fetch.
pub(super) async fn fetch(
    client: &HttpClient,
    gateways: &[Gateway],
    path: &IpfsPath,
    limit: u64,
    deadline: Instant,
    out: &mpsc::Sender<Bytes>,
) -> Result<PlainOutcome, FetchError> {
    let mut errors = Vec::new();
    for gateway in gateways {
        let url = gateway.address(&path.to_string(), None);
        let request = Request {
            url,
            gateway: Some(gateway.origin()),
            headers: HeaderMap::new(),
            limit,
            deadline,
        };
        let delivered = match client.get(&request).await.and_then(a_file) {
            Ok(answer) => {
                Delivery {
                    gateway,
                    path,
                    answer,
                    out,
                }
                .run()
                .await
            }
            Err(error) => Err(Setback::Failed(error)),
        };
        match delivered {
            Ok(file) => return Ok(Ok(file)),
            Err(Setback::Final(error)) => return Err(error),
            Err(Setback::Failed(error) | Setback::Lied(error)) => errors.push(error),
        }
    }
    Ok(Err(errors))
}

/// Refuses a directory listing, because the gateway made it.
fn a_file(answer: Answer) -> Result<Answer, FetchError> {
    let is_listing = answer
        .header(&ETAG)
        .is_some_and(|etag| etag.contains("\"DirIndex-"));
    if is_listing {
        Err(answer
            .invalid("sent a listing of a directory, not a file")
            .lasting())
    } else {
        Ok(answer)
    }
}

/// One gateway's response, on its way to the receiver of the file.
struct Delivery<'a> {
    gateway: &'a Gateway,
    path: &'a IpfsPath,
    answer: Answer,
    out: &'a mpsc::Sender<Bytes>,
}

impl Delivery<'_> {
    async fn run(mut self) -> Result<FetchedFile, Setback> {
        if !may_prove(self.path) {
            let size = self
                .answer
                .pass_on(self.out)
                .await
                .map_err(Setback::Final)?;
            return Ok(self.unproved(size));
        }
        let (begin, is_whole) = self.begin().await.map_err(Setback::Failed)?;
        if !is_whole {
            return self.pass_on_large(begin).await.map_err(Setback::Final);
        }
        match prove(self.path, &begin) {
            Verdict::Proved(walked) => {
                self.send(begin).await?;
                Ok(self.proved(*walked))
            }
            Verdict::Refuted => Err(Setback::Lied(self.lie())),
            Verdict::Unproved => {
                self.answer.expect_known_end().map_err(Setback::Failed)?;
                let size = begin.len() as u64;
                self.send(begin).await?;
                Ok(self.unproved(size))
            }
        }
    }

    /// Buffers up to the size of one block. Returns the bytes, and whether the file is complete.
    async fn begin(&mut self) -> Result<(Bytes, bool), FetchError> {
        let mut begin = BytesMut::new();
        while begin.len() <= MAX_BLOCK_BYTES {
            let Some(bytes) = self.answer.next().await? else {
                self.answer.host().answered();
                return Ok((begin.freeze(), true));
            };
            begin.extend_from_slice(&bytes);
        }
        Ok((begin.freeze(), false))
    }

    /// A file larger than any block: under a raw CID its hash proves it, at its end.
    async fn pass_on_large(mut self, begin: Bytes) -> Result<FetchedFile, FetchError> {
        self.answer.expect_known_end()?;
        let proof = is_raw(&self.path.cid)
            .then(|| RawProof::begin(&self.path.cid).ok())
            .flatten();
        let (mut proof, mut size, mut next) = (proof, 0, Some(begin));
        while let Some(bytes) = next {
            if let Some(proof) = &mut proof {
                proof.update(&bytes);
            }
            size += bytes.len() as u64;
            self.out
                .send(bytes)
                .await
                .map_err(|_| FetchError::stopped())?;
            next = self.answer.next().await?;
        }
        self.answer.host().answered();
        match proof.map(RawProof::holds) {
            Some(false) => Err(self.lie()),
            Some(true) => Ok(FetchedFile {
                verified: Verified::Cid,
                ..self.unproved(size)
            }),
            None => Ok(self.unproved(size)),
        }
    }

    async fn send(&self, file: Bytes) -> Result<(), Setback> {
        if file.is_empty() {
            return Ok(());
        }
        self.out
            .send(file)
            .await
            .map_err(|_| Setback::Final(FetchError::stopped()))
    }

    fn lie(&self) -> FetchError {
        let message = format!(
            "{} lies: the file's hash differs from its CID",
            self.gateway.origin()
        );
        tracing::warn!(gateway = %self.gateway, reason = message, "a gateway delivered wrong bytes");
        FetchError::new(ItemFailureCode::InvalidAnswer, message)
    }

    fn unproved(&self, size: u64) -> FetchedFile {
        FetchedFile {
            size,
            verified: Verified::Transport,
            source: self.gateway.origin().to_string(),
            validator: None,
            path: Some(self.path.clone()),
            dag: None,
            content_type: self.answer.content_type(),
            content_encoding: self.answer.coding().map(str::to_owned),
        }
    }

    fn proved(&self, walked: WalkedFile) -> FetchedFile {
        FetchedFile {
            verified: Verified::Cid,
            dag: Some(walked.record),
            ..self.unproved(walked.size)
        }
    }
}
