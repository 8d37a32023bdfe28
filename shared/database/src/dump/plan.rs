//! The plan of a dump, made before the first byte is written: the prelude, the method of reading
//! each collection, and the total size.

use std::{collections::HashSet, time::Duration};

use bson::Document;
use futures_util::{StreamExt, TryStreamExt, stream};
use holdfast_archive::{Metadata, NamespaceKind, Prelude, PreludeNamespace};
use holdfast_domain::settings::CollectionFilter;
use tokio::time::sleep;

use super::selection::DumpSelection;
use crate::{
    Connection, DatabaseError,
    connection::SERVER_DATABASES,
    listing::{BUCKETS_PREFIX, Listed, Lister, Size},
};

/// Limit of concurrent requests about collections.
pub(super) const MAX_CONCURRENT_REQUESTS: usize = 8;

/// Attempts of planning, if the server went away or a collection was dropped in the meantime.
const ATTEMPTS: u32 = 3;

/// The plan of a dump.
#[derive(Debug)]
pub struct DumpPlan {
    pub(super) prelude: Prelude,
    /// One for each namespace of the prelude.
    pub(super) sources: Vec<Source>,
    pub(super) indexes: Vec<Vec<String>>,
    estimated_bytes: u64,
    estimated_documents: u64,
}

/// Method of reading a namespace.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) lister: Lister,
    /// Its entry in `listCollections`. A collection with another entry is not the planned one.
    pub(super) listed: Listed,
    /// Its indexes as planned, by name.
    pub(super) indexes: Vec<Document>,
    /// The collection of its documents. `None` for a view.
    pub(super) data_collection: Option<String>,
    pub(super) size: Size,
}

impl Source {
    /// Capped collections are read in natural order. A place in this order cannot be found again
    /// after a break.
    pub(super) fn is_capped(&self) -> bool {
        self.listed.options.get_bool("capped").unwrap_or(false)
    }

    /// `database.collection`.
    pub(super) fn name(&self) -> String {
        format!("{}.{}", self.lister.database.name(), self.listed.name)
    }
}

impl DumpPlan {
    /// The prelude of the archive.
    #[must_use]
    pub fn prelude(&self) -> &Prelude {
        &self.prelude
    }

    /// Database, collection and names of the indexes of each namespace.
    pub fn namespaces(&self) -> impl Iterator<Item = (&str, &str, &[String])> {
        let named = self.sources.iter().zip(&self.indexes);
        named.map(|(source, indexes)| {
            (
                source.lister.database.name(),
                source.listed.name.as_str(),
                indexes.as_slice(),
            )
        })
    }

    /// The server's size of the planned dump, uncompressed: an estimate.
    #[must_use]
    pub fn estimated_bytes(&self) -> u64 {
        self.estimated_bytes
    }

    /// The server's count of the planned dump: an estimate.
    #[must_use]
    pub fn estimated_documents(&self) -> u64 {
        self.estimated_documents
    }
}

/// Plans a dump. `parallel` is only recorded in the archive.
///
/// # Errors
/// The server does not answer. `Refused` if the connection string names a database of the server,
/// or if a collection requested by name does not exist.
pub async fn plan(
    connection: &Connection,
    selection: &DumpSelection,
    parallel: u32,
) -> Result<DumpPlan, DatabaseError> {
    patiently(|| plan_once(connection, selection, parallel)).await
}

/// Retries if the server went away or a collection was dropped in the meantime.
pub(super) async fn patiently<T, F>(mut attempt: impl FnMut() -> F) -> Result<T, DatabaseError>
where
    F: Future<Output = Result<T, DatabaseError>>,
{
    let mut number = 1;
    loop {
        match attempt().await {
            Err(error) if error.is_transient() && number < ATTEMPTS => {
                tracing::warn!(attempt = number, %error, "planning the dump failed: retrying");
                sleep(Duration::from_secs(1)).await;
                number += 1;
            }
            outcome => return outcome,
        }
    }
}

async fn plan_once(
    connection: &Connection,
    selection: &DumpSelection,
    parallel: u32,
) -> Result<DumpPlan, DatabaseError> {
    let candidates = candidates(connection, selection).await?;
    let found: Vec<_> = stream::iter(candidates)
        .map(examine)
        .buffered(MAX_CONCURRENT_REQUESTS)
        .try_collect()
        .await?;
    let estimated_bytes = estimate(&found).await;
    Ok(assemble(connection, found, estimated_bytes, parallel))
}

/// All collections to dump, in the order of the archive.
pub(super) async fn candidates(
    connection: &Connection,
    selection: &DumpSelection,
) -> Result<Vec<Candidate>, DatabaseError> {
    refuse_foreign_database(connection)?;
    let mut candidates = Vec::new();
    for database in connection.databases().await? {
        let database = connection.client().database(&database);
        let lister = Lister {
            database,
            selection: connection.reading(),
        };
        candidates.extend(chosen(&lister, selection).await?);
    }
    refuse_missing_names(&candidates, selection)?;
    Ok(candidates)
}

/// `…/admin` in a connection string usually means the user's own database. A dump of it would look
/// like a small, good backup without the platform's data.
fn refuse_foreign_database(connection: &Connection) -> Result<(), DatabaseError> {
    let Some(database) = connection.default_database() else {
        return Ok(());
    };
    if SERVER_DATABASES.contains(&database) {
        return Err(DatabaseError::Refused(format!(
            "the connection string names the server's own database {database}: name the one to back up, and put \
             authSource={database} into the options"
        )));
    }
    Ok(())
}

/// A collection to dump, and all names in its database.
pub(super) struct Candidate {
    pub(super) lister: Lister,
    pub(super) listed: Listed,
    has_buckets: bool,
}

impl Candidate {
    /// `database.collection`.
    pub(super) fn name(&self) -> String {
        format!("{}.{}", self.lister.database.name(), self.listed.name)
    }
}

async fn chosen(
    lister: &Lister,
    selection: &DumpSelection,
) -> Result<Vec<Candidate>, DatabaseError> {
    let mut all = lister.collections().await?;
    all.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    let names: HashSet<String> = all.iter().map(|listed| listed.name.clone()).collect();
    // A temporary collection disappears before its read.
    let taken = all.into_iter().filter(|listed| {
        !listed.is_temporary() && selection.takes(lister.database.name(), &listed.name)
    });
    Ok(taken
        .map(|listed| Candidate {
            lister: lister.clone(),
            has_buckets: names.contains(&format!("{BUCKETS_PREFIX}{}", listed.name)),
            listed,
        })
        .collect())
}

/// A typo in a name must not give an empty backup.
fn refuse_missing_names(
    candidates: &[Candidate],
    selection: &DumpSelection,
) -> Result<(), DatabaseError> {
    let CollectionFilter::Only(names) = &selection.collections else {
        return Ok(());
    };
    let is_there = |name: &String| {
        candidates
            .iter()
            .any(|candidate| candidate.listed.name == *name)
    };
    let missing: Vec<_> = names
        .iter()
        .filter(|name| !is_there(name))
        .map(String::as_str)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(DatabaseError::Refused(format!(
        "these collections are asked for by name and are not there (or are never dumped): {}",
        missing.join(", ")
    )))
}

pub(super) struct Examined {
    pub(super) source: Source,
    metadata: Metadata,
    size: Option<Size>,
}

pub(super) async fn examine(candidate: Candidate) -> Result<Examined, DatabaseError> {
    let name = candidate.name();
    let Candidate {
        lister,
        listed,
        has_buckets,
    } = candidate;
    if let Some(fault) = &listed.fault {
        return Err(DatabaseError::Refused(format!(
            "{name} cannot be dumped: {fault}. To dump the others, exclude it"
        )));
    }
    let data_collection = match listed.kind {
        NamespaceKind::View => None,
        NamespaceKind::Timeseries if has_buckets => {
            Some(format!("{BUCKETS_PREFIX}{}", listed.name))
        }
        NamespaceKind::Timeseries => {
            return Err(DatabaseError::Refused(format!(
                "{name} is a time series without a collection of buckets, as on servers from 8.3. This engine cannot read it: \
                 dump it with mongodump, or exclude it"
            )));
        }
        _ => Some(listed.name.clone()),
    };
    let (mut indexes, mut size) = (Vec::new(), Some(Size::default()));
    if data_collection.is_some() {
        let dropped = || {
            DatabaseError::Changed(format!(
                "{name} was dropped during the planning of the dump"
            ))
        };
        indexes = lister.indexes(&listed.name).await?.ok_or_else(dropped)?;
        // Only an estimate. The user may lack the privilege.
        size = lister.size(&listed.name).await.ok();
    }
    let metadata = Metadata {
        options: listed.options.clone(),
        indexes: indexes.clone(),
        uuid: listed.uuid.clone(),
        collection_name: listed.name.clone(),
        kind: listed.kind,
    };
    sort_by_name(&mut indexes);
    let source = Source {
        lister,
        listed,
        indexes,
        data_collection,
        size: size.unwrap_or_default(),
    };
    Ok(Examined {
        source,
        metadata,
        size,
    })
}

/// The sum of the collections. If one size is unknown, the size of the databases, if that is more.
async fn estimate(found: &[Examined]) -> u64 {
    let sum = found
        .iter()
        .filter_map(|examined| examined.size)
        .map(|size| size.bytes)
        .sum();
    if found.iter().all(|examined| examined.size.is_some()) {
        return sum;
    }
    let mut whole = 0;
    let mut seen = HashSet::new();
    for examined in found {
        let lister = &examined.source.lister;
        if seen.insert(lister.database.name()) {
            whole += lister.data_size().await.unwrap_or(0);
        }
    }
    whole.max(sum)
}

fn assemble(
    connection: &Connection,
    found: Vec<Examined>,
    estimated_bytes: u64,
    parallel: u32,
) -> DumpPlan {
    let mut namespaces = Vec::with_capacity(found.len());
    let mut sources = Vec::with_capacity(found.len());
    let mut indexes = Vec::with_capacity(found.len());
    for examined in found {
        namespaces.push(PreludeNamespace::new(
            examined.source.lister.database.name(),
            &examined.metadata,
        ));
        indexes.push(examined.metadata.index_names());
        sources.push(examined.source);
    }
    let prelude = Prelude {
        concurrent_collections: i32::try_from(parallel).unwrap_or(i32::MAX),
        server_version: connection.server_version().to_owned(),
        tool_version: concat!("holdfast ", env!("CARGO_PKG_VERSION")).to_owned(),
        namespaces,
    };
    let estimated_documents = sources.iter().map(|source| source.size.documents).sum();
    DumpPlan {
        prelude,
        sources,
        indexes,
        estimated_bytes,
        estimated_documents,
    }
}

/// Servers may list the same indexes in another order.
pub(super) fn sort_by_name(indexes: &mut [Document]) {
    indexes.sort_by(|a, b| {
        a.get_str("name")
            .unwrap_or_default()
            .cmp(b.get_str("name").unwrap_or_default())
    });
}
