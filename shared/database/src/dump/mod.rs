//! The native engine: several collections are read at a time, and one blocking thread writes an
//! archive.
//!
//! Memory: batches of about 1 MB, [`BUDGET_BYTES`] in total for requested and waiting ones, and one
//! more while it is copied. Unexpected documents of several MB add one answer of the server (16 MB
//! at most) per concurrent collection. Collections of up to 8 MiB are kept until they were read, 16
//! MiB at a time. Documents are not decoded. Each collection is read at its own moment: a dump is
//! consistent per collection. Requests keep the cursors alive, because no cursor is idle for long.

mod budget;
mod exclusions;
mod outlet;
mod plan;
mod position;
mod read_error;
pub(crate) mod reader;
mod selection;
mod sink;
mod survey;
mod temporary;
mod trial;

use std::{
    collections::HashSet,
    io::{self, Write},
};

use futures_util::{StreamExt, TryStreamExt, stream};
use holdfast_archive::{NamespaceKind, Prelude, WriteError, Written};
use tokio::{
    sync::mpsc,
    task::{JoinHandle, spawn_blocking},
};

pub(crate) use self::selection::is_servers_own;
use self::{
    budget::Budget,
    outlet::ALL_HELD_BYTES,
    plan::Source,
    read_error::ReadError,
    reader::{Read, Reader},
    sink::{Message, SinkError, write_archive},
};
pub use self::{
    exclusions::unmatched_exclusions,
    plan::{DumpPlan, plan},
    selection::{DumpSelection, Exclusion},
    survey::{Survey, survey},
    temporary::temporary_collections,
    trial::{DumpTrial, try_dump},
};
use crate::{Connection, DatabaseError};

/// Limit of document bytes in all readers together.
const BUDGET_BYTES: u32 = 8 * 1024 * 1024;

/// Messages between the readers and the writing thread. The budget bounds their bytes.
const MESSAGES: usize = 16;

/// Reason for a failed dump. Its output has no valid end.
#[derive(Debug, thiserror::Error)]
pub enum DumpError {
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The writer failed.
    #[error("cannot write the dump: {0}")]
    Sink(io::Error),
    /// The caller stopped it.
    #[error("the dump was stopped")]
    Stopped,
    /// The read documents do not form an archive.
    #[error(transparent)]
    Archive(WriteError),
}

/// Report of a dump.
#[derive(Debug, Clone)]
pub struct DumpReport {
    /// In the archive's order.
    pub namespaces: Vec<DumpedNamespace>,
    /// Number of resumed reads.
    pub resumed: u32,
}

/// One dumped collection, view or time series.
#[derive(Debug, Clone)]
pub struct DumpedNamespace {
    /// The database.
    pub db: String,
    /// The collection. For a time series its own name.
    pub collection: String,
    /// Kind of the namespace.
    pub kind: NamespaceKind,
    /// Documents. For a time series, buckets.
    pub documents: u64,
    /// Bytes of BSON.
    pub bytes: u64,
    /// Names of its indexes.
    pub indexes: Vec<String>,
    /// The server overwrote documents of this capped collection during its read: those between two
    /// parts are missing.
    pub rolled_over: bool,
}

impl DumpReport {
    /// Documents of all namespaces together.
    #[must_use]
    pub fn documents(&self) -> u64 {
        self.namespaces
            .iter()
            .map(|namespace| namespace.documents)
            .sum()
    }

    /// Bytes of BSON of all namespaces together.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.namespaces
            .iter()
            .map(|namespace| namespace.bytes)
            .sum()
    }
}

/// Dumps this plan, `parallel` collections at a time, until it is complete or `stop` is ready.
///
/// The writer works on a blocking thread. Only a complete dump returns it. In every other case, and
/// when this future is dropped, the thread drops the writer without an end.
///
/// # Errors
/// [`DumpError`]: the first failure of any part.
pub async fn dump<W: Write + Send + 'static>(
    connection: &Connection,
    plan: DumpPlan,
    parallel: u32,
    writer: W,
    stop: impl Future<Output = ()> + Send,
) -> Result<(W, DumpReport), DumpError> {
    tracing::debug!(
        uri = connection.redacted_uri(),
        collections = plan.sources.len(),
        "dumping"
    );
    let DumpPlan {
        prelude,
        sources,
        indexes,
        ..
    } = plan;
    let (sender, receiver) = mpsc::channel(MESSAGES);
    let for_thread = prelude.clone();
    let thread = spawn_blocking(move || write_archive(for_thread, writer, receiver));
    let whole = async {
        match read_all(sources, parallel, sender).await {
            Ok(reads) => joined(thread).await.map(|written| (reads, written)),
            Err(ReadError::Database(error)) => Err(error.into()),
            Err(ReadError::SinkGone) => {
                Err(joined(thread).await.err().unwrap_or(DumpError::Stopped))
            }
        }
    };
    let (reads, (writer, written)) = tokio::select! {
        whole = whole => whole?,
        () = stop => return Err(DumpError::Stopped),
    };
    Ok((writer, report(prelude, &written, indexes, &reads)))
}

/// Reads every source, the largest first, so that no large one is read alone at the end.
async fn read_all(
    sources: Vec<Source>,
    parallel: u32,
    messages: mpsc::Sender<Message>,
) -> Result<Vec<Read>, ReadError> {
    let (budget, for_held) = (Budget::new(BUDGET_BYTES), Budget::new(ALL_HELD_BYTES));
    let mut readers: Vec<_> = sources
        .into_iter()
        .enumerate()
        .map(|(namespace, source)| Reader {
            namespace,
            source,
            messages: messages.clone(),
            budget: budget.clone(),
            for_held: for_held.clone(),
        })
        .collect();
    readers.sort_by_key(|reader| std::cmp::Reverse(reader.source.size.bytes));
    let parallel = usize::try_from(parallel.max(1)).unwrap_or(1);
    let running = stream::iter(readers)
        .map(Reader::run)
        .buffer_unordered(parallel);
    let reads = running.try_collect().await?;
    messages
        .send(Message::End)
        .await
        .map_err(|_| ReadError::SinkGone)?;
    Ok(reads)
}

async fn joined<W>(
    thread: JoinHandle<Result<(W, Written), SinkError>>,
) -> Result<(W, Written), DumpError> {
    let outcome = thread
        .await
        .map_err(|error| DumpError::Sink(io::Error::other(error)))?;
    outcome.map_err(|error| match error {
        SinkError::Abandoned => DumpError::Stopped,
        SinkError::Io(error) => DumpError::Sink(error),
        SinkError::Archive(error) => DumpError::Archive(error),
        SinkError::Database(error) => DumpError::Database(error),
    })
}

fn report(
    prelude: Prelude,
    written: &Written,
    indexes: Vec<Vec<String>>,
    reads: &[Read],
) -> DumpReport {
    let rolled_over: HashSet<usize> = reads
        .iter()
        .filter(|read| read.rolled_over)
        .map(|read| read.namespace)
        .collect();
    let declared = prelude.namespaces.into_iter().zip(indexes).enumerate();
    let namespaces =
        declared
            .zip(&written.namespaces)
            .map(
                |((number, (namespace, indexes)), written)| DumpedNamespace {
                    rolled_over: rolled_over.contains(&number),
                    db: namespace.db,
                    collection: namespace.collection,
                    kind: namespace.kind,
                    documents: written.documents,
                    bytes: written.bytes,
                    indexes,
                },
            );
    DumpReport {
        namespaces: namespaces.collect(),
        resumed: reads.iter().map(|read| read.resumed).sum(),
    }
}
