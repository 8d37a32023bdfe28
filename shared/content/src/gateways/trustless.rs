//! The turn of one trustless gateway: the complete file as a CAR, then the missing blocks one by
//! one. Every block is proved, so the worst gateway wastes only a bounded amount of time and bytes.

use bytes::Bytes;
use holdfast_domain::ItemFailureCode;
use reqwest::header::{ACCEPT, HeaderMap, HeaderValue};
use tokio::time::Instant;
use url::Url;

use super::{
    Gateway,
    progress::{Progress, Setback},
};
use crate::{
    FetchError,
    http::{Answer, HttpClient, Request},
    ipfs::{CarFault, CarReader, Cid, IpfsPath, MAX_BLOCK_BYTES, WalkLimits},
};

/// Tolerated unwanted blocks of a CAR, in number and in bytes.
const MAX_STRAY_BLOCKS: u64 = 64;
const MAX_STRAY_BYTES: u64 = 4 * MAX_BLOCK_BYTES as u64;

/// Most bytes that a CAR adds to a block: its length and its CID.
const CAR_FRAME_BYTES: u64 = 256;

/// Depth first and with every repetition: the order of blocks in a walk.
const CAR: &str = "application/vnd.ipld.car; version=1; order=dfs; dups=y";
const BLOCK: &str = "application/vnd.ipld.raw";

type Delivery = Result<(), Setback>;

/// A request for one file to one gateway.
pub(super) struct GatewayRequest<'a> {
    pub(super) client: &'a HttpClient,
    pub(super) gateway: &'a Gateway,
    pub(super) deadline: Instant,
}

/// Unwanted blocks of a CAR.
#[derive(Default)]
struct StrayBlocks {
    blocks: u64,
    bytes: u64,
}

impl StrayBlocks {
    /// Counts one, and returns whether it is tolerated.
    fn bears(&mut self, block: &Bytes) -> bool {
        self.blocks += 1;
        self.bytes += block.len() as u64;
        self.blocks <= MAX_STRAY_BLOCKS && self.bytes <= MAX_STRAY_BYTES
    }
}

impl GatewayRequest<'_> {
    /// Delivers the file to its end, or as far as possible. A CAR begins at the root, so a started
    /// file continues block by block.
    pub(super) async fn deliver(
        &self,
        path: &IpfsPath,
        limits: WalkLimits,
        progress: &mut Progress<'_>,
    ) -> Delivery {
        if progress.has_begun() {
            return self.by_blocks(progress).await;
        }
        let was_asked = match self.by_car(path, limits, progress).await {
            // Single blocks may still work. For a missing root, many gateways begin a CAR and
            // truncate it.
            Err(Setback::Failed(error))
                if blocks_may_help(error.code, path) && !progress.has_begun() =>
            {
                error.was_asked
            }
            outcome => {
                outcome?;
                true
            }
        };
        // A gateway that was paused after its CAR was still contacted: the attempt counts.
        self.by_blocks(progress)
            .await
            .map_err(|setback| if was_asked { setback.asked() } else { setback })
    }

    /// Reads a CAR as far as it is useful. A missing end is no error.
    async fn by_car(
        &self,
        path: &IpfsPath,
        limits: WalkLimits,
        progress: &mut Progress<'_>,
    ) -> Delivery {
        let url = self
            .gateway
            .address(&path.to_string(), Some("format=car&dag-scope=entity"));
        let mut answer = self.send(url, CAR, most_bytes(limits), progress).await?;
        if !answer
            .content_type()
            .is_some_and(|kind| kind.starts_with("application/vnd.ipld.car"))
        {
            return Ok(());
        }
        let mut reader = CarReader::new();
        let mut strays = StrayBlocks::default();
        while let Some(chunk) = answer
            .next()
            .await
            .map_err(|error| from_source(error, progress))?
        {
            reader.push(&chunk);
            while let Some(block) = reader
                .next_block()
                .map_err(|fault| unreadable(&answer, &fault))?
            {
                match progress.wanted() {
                    Some(wanted) if wanted.hash() == block.cid.hash() => {
                        self.take(&answer, wanted, block.bytes, progress).await?;
                    }
                    Some(_) if strays.bears(&block.bytes) => {}
                    _ => return Ok(()),
                }
            }
            if progress.wanted().is_none() {
                answer.leave().await;
                return Ok(());
            }
        }
        reader.finish().map_err(|fault| unreadable(&answer, &fault))
    }

    /// Requests one block after the other.
    pub(super) async fn by_blocks(&self, progress: &mut Progress<'_>) -> Delivery {
        while let Some(cid) = progress.wanted() {
            if let Some(block) = progress.repeated(&cid) {
                progress.take(self.gateway, cid, block).await?;
                continue;
            }
            let url = self.gateway.address(&cid.to_string(), Some("format=raw"));
            let mut answer = self
                .send(url, BLOCK, MAX_BLOCK_BYTES as u64, progress)
                .await?;
            let block = answer
                .whole()
                .await
                .map_err(|error| from_source(error, progress))?;
            self.take(&answer, cid, block, progress).await?;
        }
        Ok(())
    }

    async fn send(
        &self,
        url: Url,
        accept: &'static str,
        limit: u64,
        progress: &Progress<'_>,
    ) -> Result<Answer, Setback> {
        let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))]);
        let request = Request {
            url,
            gateway: Some(self.gateway.origin()),
            headers,
            limit,
            deadline: self.deadline,
        };
        self.client
            .get(&request)
            .await
            .map_err(|error| from_source(error, progress))
    }

    /// Accepts a block. Even a false one proves that the host is up: it stays usable for the next
    /// file.
    async fn take(
        &self,
        answer: &Answer,
        cid: Cid,
        block: Bytes,
        progress: &mut Progress<'_>,
    ) -> Delivery {
        answer.host().answered();
        progress.take(self.gateway, cid, block).await
    }
}

/// Size limit of the CAR of a file within the limits.
fn most_bytes(limits: WalkLimits) -> u64 {
    let frames = limits.blocks.saturating_mul(CAR_FRAME_BYTES);
    limits
        .file_bytes
        .saturating_add(limits.inner_bytes)
        .saturating_add(frames)
        .saturating_add(MAX_STRAY_BYTES)
}

/// Whether single blocks may help after this response to a CAR. If a path is not found, the blocks
/// of its directories prove it.
fn blocks_may_help(code: ItemFailureCode, path: &IpfsPath) -> bool {
    match code {
        ItemFailureCode::Refused | ItemFailureCode::InvalidAnswer => true,
        ItemFailureCode::NotFound => !path.path.is_empty(),
        _ => false,
    }
}

fn unreadable(answer: &Answer, fault: &CarFault) -> Setback {
    answer.host().answered();
    Setback::Failed(answer.invalid(&format!("sent an incomplete CAR: {fault}")))
}

/// The meaning of a gateway's error for the file. A too large response proves nothing about the
/// file. A missing block of an otherwise present file does not prove that the file is nowhere.
fn from_source(error: FetchError, progress: &Progress<'_>) -> Setback {
    let code = match error.code {
        ItemFailureCode::TooLarge => ItemFailureCode::InvalidAnswer,
        ItemFailureCode::NotFound | ItemFailureCode::Gone if progress.has_begun() => {
            ItemFailureCode::Unavailable
        }
        code => code,
    };
    Setback::Failed(FetchError { code, ..error })
}
