//! A trial dump: it makes all requests of a dump for each collection, for one document, and keeps
//! nothing.

use bson::{RawDocumentBuf, doc};
use futures_util::{StreamExt, stream};

use super::{
    plan::{Candidate, MAX_CONCURRENT_REQUESTS, candidates, examine},
    selection::DumpSelection,
};
use crate::{Connection, DatabaseError, classify};

/// Result of a trial.
#[derive(Debug, Default)]
pub struct DumpTrial {
    /// Number of collections, time series and views in a dump.
    pub namespaces: usize,
    /// The server's count of their documents: an estimate.
    pub documents: u64,
    /// The server's size of them, uncompressed: an estimate.
    pub bytes: u64,
    /// The unreadable namespaces, each with its reason.
    pub refused: Vec<(String, DatabaseError)>,
}

/// Tries to read everything of a dump.
///
/// # Errors
/// The collections cannot be listed.
pub async fn try_dump(
    connection: &Connection,
    selection: &DumpSelection,
) -> Result<DumpTrial, DatabaseError> {
    let candidates = candidates(connection, selection).await?;
    let mut tried = stream::iter(candidates)
        .map(one)
        .buffered(MAX_CONCURRENT_REQUESTS);
    let mut trial = DumpTrial::default();
    while let Some((name, outcome)) = tried.next().await {
        trial.namespaces += 1;
        match outcome {
            Ok((documents, bytes)) => {
                trial.documents += documents;
                trial.bytes += bytes;
            }
            Err(error) => trial.refused.push((name, error)),
        }
    }
    Ok(trial)
}

/// The collection's name, with its reported numbers of documents and bytes.
async fn one(candidate: Candidate) -> (String, Result<(u64, u64), DatabaseError>) {
    let name = candidate.name();
    let outcome = async {
        let source = examine(candidate).await?.source;
        if let Some(collection) = &source.data_collection {
            // Raw: the driver cannot decode every stored document.
            let collection = source
                .lister
                .database
                .collection::<RawDocumentBuf>(collection);
            let find = collection
                .find(doc! {})
                .limit(-1)
                .selection_criteria(source.lister.selection.clone());
            let failed =
                |error: mongodb::error::Error| classify(&error).during(format!("reading {name}"));
            find.batch().await.map_err(failed)?;
        }
        Ok((source.size.documents, source.size.bytes))
    };
    let outcome = outcome.await;
    (name, outcome)
}
