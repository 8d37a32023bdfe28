//! The progress of a file: proved bytes stay proved and were passed on, regardless of the next
//! gateway.

use bytes::Bytes;
use holdfast_domain::{ItemFailureCode, Verified};
use tokio::sync::mpsc;

use super::Gateway;
use crate::{
    FetchError, FetchedFile,
    ipfs::{Cid, DagFault, DagFaultKind, IpfsPath, Walk, WalkError, WalkLimits},
};

/// Why a gateway did not complete the file.
#[derive(Debug)]
pub(super) enum Setback {
    /// Another gateway cannot help.
    Final(FetchError),
    /// This gateway failed. The next one continues.
    Failed(FetchError),
    /// This gateway delivered wrong bytes. It gets no further request.
    Lied(FetchError),
}

impl Setback {
    /// The same, after a request to the gateway.
    pub(super) fn asked(self) -> Self {
        match self {
            Self::Final(error) => Self::Final(error.asked()),
            Self::Failed(error) => Self::Failed(error.asked()),
            Self::Lied(error) => Self::Lied(error.asked()),
        }
    }
}

/// A file on its way.
pub(super) struct Progress<'a> {
    walk: Walk,
    out: &'a mpsc::Sender<Bytes>,
    /// Origins of the gateways of the used blocks.
    sources: Vec<String>,
    /// The block before: files full of the same block are common, and need it but once.
    last: Option<(Cid, Bytes)>,
}

impl<'a> Progress<'a> {
    /// Begins, and passes on the bytes in the CID itself.
    pub(super) async fn begin(
        path: &IpfsPath,
        max_file_size: u64,
        out: &'a mpsc::Sender<Bytes>,
    ) -> Result<Self, FetchError> {
        let (walk, held) =
            Walk::begin(path, WalkLimits::for_file(max_file_size)).map_err(|fault| match fault
                .kind()
            {
                DagFaultKind::Unsupported => {
                    FetchError::new(ItemFailureCode::Unsupported, fault.to_string())
                }
                _ => from_fault(&fault),
            })?;
        let progress = Self {
            walk,
            out,
            sources: Vec::new(),
            last: None,
        };
        progress.forward(held).await?;
        Ok(progress)
    }

    /// The next block. None at the end.
    pub(super) fn wanted(&self) -> Option<Cid> {
        self.walk.wanted().copied()
    }

    /// Whether any block was proved.
    pub(super) fn has_begun(&self) -> bool {
        !self.sources.is_empty()
    }

    /// Whether this gateway delivered any.
    pub(super) fn has_used(&self, gateway: &Gateway) -> bool {
        self.sources.contains(&gateway.origin().to_string())
    }

    /// The next block, if it equals the last one.
    pub(super) fn repeated(&self, cid: &Cid) -> Option<Bytes> {
        self.last
            .as_ref()
            .filter(|(last, _)| last == cid)
            .map(|(_, block)| block.clone())
    }

    /// Accepts the next block, proves it, and passes on its bytes of the file.
    pub(super) async fn take(
        &mut self,
        gateway: &Gateway,
        cid: Cid,
        block: Bytes,
    ) -> Result<(), Setback> {
        let held = match self.walk.supply(&block) {
            Ok(held) => held,
            Err(WalkError::Dag(fault)) => return Err(Setback::Final(from_fault(&fault))),
            Err(error) => {
                let message = format!("{} lies: {error}", gateway.origin());
                return Err(Setback::Lied(FetchError::new(
                    ItemFailureCode::InvalidAnswer,
                    message,
                )));
            }
        };
        if !self.has_used(gateway) {
            self.sources.push(gateway.origin().to_string());
        }
        self.last = Some((cid, block));
        self.forward(held).await.map_err(Setback::Final)
    }

    async fn forward(&self, held: Vec<Bytes>) -> Result<(), FetchError> {
        for bytes in held.into_iter().filter(|bytes| !bytes.is_empty()) {
            self.out
                .send(bytes)
                .await
                .map_err(|_| FetchError::stopped())?;
        }
        Ok(())
    }

    /// The file, once it is complete.
    pub(super) fn finish(self) -> Result<FetchedFile, FetchError> {
        let walked = self.walk.finish().map_err(|error| match error {
            WalkError::Dag(fault) => from_fault(&fault),
            other => FetchError::new(ItemFailureCode::InvalidAnswer, other.to_string()),
        })?;
        let source = if self.sources.is_empty() {
            "the CID itself".to_owned()
        } else {
            self.sources.join(", ")
        };
        Ok(FetchedFile {
            size: walked.size,
            verified: Verified::Cid,
            source,
            validator: None,
            path: Some(walked.record.path().clone()),
            dag: Some(walked.record),
            content_type: None,
            content_encoding: None,
        })
    }
}

fn from_fault(fault: &DagFault) -> FetchError {
    let code = match fault.kind() {
        DagFaultKind::NotFound => ItemFailureCode::NotFound,
        DagFaultKind::TooLarge => ItemFailureCode::TooLarge,
        DagFaultKind::NotAFile | DagFaultKind::Unsupported | DagFaultKind::Malformed => {
            ItemFailureCode::BadDag
        }
    };
    FetchError::new(code, fault.to_string())
}
