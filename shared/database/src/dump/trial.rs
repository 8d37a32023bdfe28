//! A dump tried: each collection is asked for everything that a dump asks of it, for one document, and nothing is kept.

use bson::{RawDocumentBuf, doc};
use futures_util::{StreamExt, stream};

use super::{
    plan::{Candidate, QUESTIONS_AT_A_TIME, candidates, examine},
    selection::DumpSelection,
};
use crate::{Connection, DatabaseError, classify};

/// What came of trying.
#[derive(Debug, Default)]
pub struct DumpTrial {
    /// Collections, time series and views that a dump would hold.
    pub namespaces: usize,
    /// The server's own count of their documents: an estimate.
    pub documents: u64,
    /// The server's own size of them, uncompressed: an estimate.
    pub bytes: u64,
    /// Why those that could not be read could not, each with its namespace.
    pub refused: Vec<(String, DatabaseError)>,
}

/// Tries to read everything that would be dumped.
///
/// # Errors
/// Where the server does not even list it.
pub async fn try_dump(connection: &Connection, selection: &DumpSelection) -> Result<DumpTrial, DatabaseError> {
    let candidates = candidates(connection, selection).await?;
    let mut tried = stream::iter(candidates).map(one).buffered(QUESTIONS_AT_A_TIME);
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

/// The collection's name, and how many documents and bytes it says that it has.
async fn one(candidate: Candidate) -> (String, Result<(u64, u64), DatabaseError>) {
    let name = candidate.name();
    let outcome = async {
        let source = examine(candidate).await?.source;
        if let Some(collection) = &source.data_collection {
            // Raw: the driver cannot decode each document that a server stores.
            let collection = source.lister.database.collection::<RawDocumentBuf>(collection);
            let find = collection.find(doc! {}).limit(-1).selection_criteria(source.lister.selection.clone());
            let failed = |error: mongodb::error::Error| classify(&error).during(format!("reading {name}"));
            find.batch().await.map_err(failed)?;
        }
        Ok((source.size.documents, source.size.bytes))
    };
    let outcome = outcome.await;
    (name, outcome)
}
