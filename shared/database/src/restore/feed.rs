//! The reading end of a restore: one blocking thread walks the archive and passes on its documents
//! in batches. After the prelude it waits for the decision, so that all refusals come first.
//!
//! Memory: [`BATCH_BYTES`] for each namespace with interleaved blocks, [`PENDING_BYTES`] for all of
//! them, and the channel's [`BATCHES`]. A larger document is a batch of one.

use std::{
    borrow::Cow,
    io::{self, Read},
};

use holdfast_archive::{
    NamespaceSummary, Prelude, Summary, VisitError, Visitor, WalkError, Walker,
};
use tokio::{
    sync::{mpsc, oneshot},
    task::{JoinHandle, spawn_blocking},
};

use super::sent::{SentDocuments, with_id};
use crate::{
    anonymize::{Applied, RuleFailure},
    raw::has_zero_timestamp,
};

const READ_BYTES: usize = 256 * 1024;
const BATCH_BYTES: usize = 1024 * 1024;
const PENDING_BYTES: usize = 8 * 1024 * 1024;
const BATCHES: usize = 2;

/// Servers accept 100,000, but many small documents make long commands.
const BATCH_DOCUMENTS: usize = 10_000;

/// Documents of one namespace.
pub(super) struct Batch {
    pub(super) namespace: usize,
    pub(super) documents: Vec<Vec<u8>>,
    pub(super) bytes: usize,
    /// One of them has a field that servers change by default.
    pub(super) has_zero_timestamp: bool,
}

/// Reason for an early end of the walk.
#[derive(Debug)]
pub(super) enum FeedError {
    /// The receiver has ended.
    Stopped,
    Archive(WalkError),
    Source(io::Error),
    /// A rule failed on a document.
    Rules(RuleFailure),
}

/// The decision about the documents.
pub(super) struct Decision {
    /// By the namespace's number, whether its documents are wanted.
    pub(super) wanted: Vec<bool>,
    /// By the namespace's number, whether the order of its documents must be kept.
    pub(super) ordered: Vec<bool>,
    /// The rules for changes on the way.
    pub(super) rules: Option<Applied>,
}

/// Result of a complete walk.
pub(super) struct Walked {
    pub(super) summary: Summary,
    pub(super) rules: Option<Applied>,
    /// By the namespace's number, the differences between the passed documents and the archive's.
    pub(super) sent: Vec<SentDocuments>,
}

enum Event {
    Prelude(Prelude),
    Batch(Batch),
}

/// A running walk of an archive.
pub(super) struct Feed {
    events: mpsc::Receiver<Event>,
    decision: Option<oneshot::Sender<Decision>>,
    thread: JoinHandle<Result<Walked, FeedError>>,
}

impl Feed {
    pub(super) fn start<R: Read + Send + 'static>(archive: R) -> Self {
        let (sender, events) = mpsc::channel(BATCHES);
        let (decision, decided) = oneshot::channel();
        let batcher = Batcher {
            events: sender,
            decided: Some(decided),
            wanted: Vec::new(),
            ordered: Vec::new(),
            rules: None,
            sent: Vec::new(),
            pending: Vec::new(),
            bytes: 0,
        };
        Self {
            events,
            decision: Some(decision),
            thread: spawn_blocking(move || walk(archive, batcher)),
        }
    }

    /// The prelude, before any document.
    pub(super) async fn prelude(&mut self) -> Result<Prelude, FeedError> {
        match self.events.recv().await {
            Some(Event::Prelude(prelude)) => Ok(prelude),
            _ => Err(self.outcome().await.err().unwrap_or(FeedError::Stopped)),
        }
    }

    /// Starts the flow of documents.
    pub(super) fn resume(&mut self, decision: Decision) {
        if let Some(waiting) = self.decision.take() {
            // An ended thread has its reason in its outcome.
            let _ = waiting.send(decision);
        }
    }

    /// The next documents. `None` at the end, after success or failure.
    pub(super) async fn next(&mut self) -> Option<Batch> {
        match self.events.recv().await {
            Some(Event::Batch(batch)) => Some(batch),
            _ => None,
        }
    }

    /// Content of the archive, after the last batch.
    pub(super) async fn outcome(&mut self) -> Result<Walked, FeedError> {
        let joined = (&mut self.thread).await;
        joined.unwrap_or_else(|error| Err(FeedError::Source(io::Error::other(error))))
    }
}

fn walk(mut archive: impl Read, batcher: Batcher) -> Result<Walked, FeedError> {
    let mut walker = Walker::new(batcher);
    let mut buffer = vec![0; READ_BYTES];
    loop {
        match archive.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => walker.feed(&buffer[..count]).map_err(fault)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(FeedError::Source(error)),
        }
    }
    let (summary, batcher) = walker.finish().map_err(fault)?;
    Ok(Walked {
        summary,
        rules: batcher.rules,
        sent: batcher.sent,
    })
}

fn fault(error: WalkError) -> FeedError {
    match error {
        WalkError::Visitor(error) if error.is::<NobodyListens>() => FeedError::Stopped,
        WalkError::Visitor(error) if error.is::<RuleFailure>() => match error.downcast() {
            Ok(failure) => FeedError::Rules(*failure),
            Err(error) => FeedError::Archive(WalkError::Visitor(error)),
        },
        other => FeedError::Archive(other),
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the restore has ended")]
struct NobodyListens;

/// Gathers documents into batches.
struct Batcher {
    events: mpsc::Sender<Event>,
    decided: Option<oneshot::Receiver<Decision>>,
    wanted: Vec<bool>,
    ordered: Vec<bool>,
    rules: Option<Applied>,
    sent: Vec<SentDocuments>,
    pending: Vec<Option<Batch>>,
    /// Bytes of all pending batches.
    bytes: usize,
}

impl Batcher {
    fn flush(&mut self, namespace: usize) -> Result<(), VisitError> {
        let Some(batch) = self.pending[namespace].take() else {
            return Ok(());
        };
        self.bytes -= batch.bytes;
        Ok(self
            .events
            .blocking_send(Event::Batch(batch))
            .map_err(|_| NobodyListens)?)
    }
}

impl Visitor for Batcher {
    fn prelude(&mut self, prelude: &Prelude) -> Result<(), VisitError> {
        self.events
            .blocking_send(Event::Prelude(prelude.clone()))
            .map_err(|_| NobodyListens)?;
        let decided = self.decided.take().ok_or(NobodyListens)?;
        let decision = decided.blocking_recv().map_err(|_| NobodyListens)?;
        Decision {
            wanted: self.wanted,
            ordered: self.ordered,
            rules: self.rules,
        } = decision;
        self.pending.resize_with(prelude.namespaces.len(), || None);
        self.sent
            .resize_with(prelude.namespaces.len(), SentDocuments::default);
        Ok(())
    }

    fn document(&mut self, namespace: usize, document: &[u8]) -> Result<(), VisitError> {
        if !self.wanted.get(namespace).copied().unwrap_or(false) {
            return Ok(());
        }
        let document = match with_id(document) {
            None => Cow::Borrowed(document),
            Some(completed) => {
                self.sent[namespace].note_generated_id(document, &completed);
                Cow::Owned(completed)
            }
        };
        let changed = match &mut self.rules {
            Some(rules) => rules.rewrite(namespace, &document)?,
            None => None,
        };
        let document = changed.unwrap_or_else(|| document.into_owned());
        if self.ordered[namespace] {
            self.sent[namespace].order.add_document(&document);
        }
        if self.pending[namespace]
            .as_ref()
            .is_some_and(|batch| batch.bytes + document.len() > BATCH_BYTES)
        {
            self.flush(namespace)?;
        }
        let empty = || Batch {
            namespace,
            documents: Vec::new(),
            bytes: 0,
            has_zero_timestamp: false,
        };
        let batch = self.pending[namespace].get_or_insert_with(empty);
        batch.bytes += document.len();
        batch.has_zero_timestamp |= has_zero_timestamp(&document);
        self.bytes += document.len();
        batch.documents.push(document);
        let is_full = batch.bytes >= BATCH_BYTES || batch.documents.len() >= BATCH_DOCUMENTS;
        if is_full {
            self.flush(namespace)?;
        }
        if self.bytes > PENDING_BYTES {
            (0..self.pending.len()).try_for_each(|namespace| self.flush(namespace))?;
        }
        Ok(())
    }

    fn end(&mut self, namespace: usize, _: &NamespaceSummary) -> Result<(), VisitError> {
        self.flush(namespace)
    }
}
