//! A file on IPFS, from several gateways. The trustless ones come first, in order, and each resumes
//! at the block where the last one stopped. Plain gateways come last, and only before any bytes
//! were passed on.

mod gateway;
mod plain;
mod progress;
mod proof;
mod trustless;
mod verdict;

use bytes::Bytes;
use holdfast_domain::ItemFailureCode;
use tokio::{sync::mpsc, time::Instant};

pub use self::gateway::Gateway;
use self::{
    progress::{Progress, Setback},
    trustless::GatewayRequest,
    verdict::verdict,
};
use crate::{
    FetchError, FetchedFile,
    http::HttpClient,
    ipfs::{IpfsName, IpfsPath, WalkLimits},
};

/// The operator's gateways.
#[derive(Debug)]
pub(crate) struct Gateways {
    trustless: Vec<Gateway>,
    plain: Vec<Gateway>,
    max_file_size: u64,
}

/// The failures of the trustless gateways.
#[derive(Default)]
struct Setbacks<'a> {
    errors: Vec<FetchError>,
    /// Honest gateways that delivered something. They are worth requests for single blocks after
    /// truncated CARs.
    hopeful: Vec<&'a Gateway>,
}

impl Gateways {
    pub(crate) fn new(gateways: Vec<Gateway>, max_file_size: u64) -> Self {
        let (trustless, plain) = gateways.into_iter().partition(Gateway::is_trustless);
        Self {
            trustless,
            plain,
            max_file_size,
        }
    }

    /// Downloads the file. If a URL may mean several names, the longest existing one is used.
    pub(crate) async fn fetch(
        &self,
        client: &HttpClient,
        name: &IpfsName,
        deadline: Instant,
        out: &mpsc::Sender<Bytes>,
    ) -> Result<FetchedFile, FetchError> {
        for path in name.paths() {
            match self.fetch_path(client, path, deadline, out).await {
                Err(error) if error.code == ItemFailureCode::NotFound && path != name.path() => {}
                Err(error) if path == name.path() => return Err(with_cut(error, name)),
                outcome => return outcome,
            }
        }
        // The last path always returned.
        Err(FetchError::new(
            ItemFailureCode::NotFound,
            "the URL names no file",
        ))
    }

    async fn fetch_path(
        &self,
        client: &HttpClient,
        path: &IpfsPath,
        deadline: Instant,
        out: &mpsc::Sender<Bytes>,
    ) -> Result<FetchedFile, FetchError> {
        let mut progress = Progress::begin(path, self.max_file_size, out).await?;
        let setbacks = self
            .fetch_trustless(client, path, deadline, &mut progress)
            .await?;
        if progress.wanted().is_none() {
            return progress.finish();
        }
        if progress.has_begun() {
            return Err(verdict(path, &setbacks.errors, &[]));
        }
        match plain::fetch(client, &self.plain, path, self.max_file_size, deadline, out).await? {
            Ok(file) => Ok(file),
            Err(errors) => Err(verdict(path, &setbacks.errors, &errors)),
        }
    }

    /// Tries one after the other, then retries those that may still have the missing blocks.
    async fn fetch_trustless(
        &self,
        client: &HttpClient,
        path: &IpfsPath,
        deadline: Instant,
        progress: &mut Progress<'_>,
    ) -> Result<Setbacks<'_>, FetchError> {
        let limits = WalkLimits::for_file(self.max_file_size);
        let mut setbacks = Setbacks::default();
        for (index, gateway) in self.trustless.iter().enumerate() {
            let is_last = index + 1 == self.trustless.len() && self.plain.is_empty();
            let request = GatewayRequest {
                client,
                gateway,
                deadline: if is_last {
                    deadline
                } else {
                    half_way_to(deadline)
                },
            };
            let outcome = request.deliver(path, limits, progress).await;
            if setbacks.settle(gateway, outcome, progress)? {
                return Ok(setbacks);
            }
        }
        for gateway in std::mem::take(&mut setbacks.hopeful) {
            let outcome = GatewayRequest {
                client,
                gateway,
                deadline,
            }
            .by_blocks(progress)
            .await;
            if setbacks.settle(gateway, outcome, progress)? {
                break;
            }
        }
        Ok(setbacks)
    }
}

impl<'a> Setbacks<'a> {
    /// Records the result of a gateway's turn. True if the file is complete.
    fn settle(
        &mut self,
        gateway: &'a Gateway,
        outcome: Result<(), Setback>,
        progress: &Progress<'_>,
    ) -> Result<bool, FetchError> {
        let (error, is_honest) = match outcome {
            Ok(()) => return Ok(true),
            Err(Setback::Final(error)) => return Err(error),
            Err(Setback::Failed(error)) => (error, true),
            Err(Setback::Lied(error)) => (error, false),
        };
        if is_honest {
            tracing::debug!(gateway = %gateway, code = %error.code, reason = %error, "a gateway did not serve a file");
        } else {
            tracing::warn!(gateway = %gateway, reason = %error, "a gateway delivered wrong bytes");
        }
        if is_honest && progress.has_used(gateway) {
            self.hopeful.push(gateway);
        }
        self.errors.push(error);
        Ok(false)
    }
}

/// The error of the shortest name, with a hint that a longer one may exist.
fn with_cut(error: FetchError, name: &IpfsName) -> FetchError {
    if !name.is_ambiguous() {
        return error;
    }
    let full: String = name.full_name().chars().take(120).collect();
    let message = format!(
        "{}. The URL was cut at its first \"?\" or \"#\", because no file {full:?} was found: in a name, write them \
         as %3F and %23",
        error.message
    );
    FetchError { message, ..error }
}

/// The end of half the remaining time, so that a slow gateway leaves time for the next one.
fn half_way_to(deadline: Instant) -> Instant {
    let now = Instant::now();
    now + deadline.saturating_duration_since(now) / 2
}
