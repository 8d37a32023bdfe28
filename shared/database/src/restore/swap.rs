//! A proved copy takes the place of a target.
//!
//! A collection over a collection changes places in one step of the server. Nothing else can be renamed: a view is
//! redefined or created again, and a time series is copied from its scratch collection. In between such a target is
//! missing or incomplete.

use bson::RawDocumentBuf;
use futures_util::TryStreamExt;
use holdfast_archive::NamespaceKind;

use super::{
    TtlIndexes,
    compare::{Wanted, content_difference, found_in},
    definition::{create, create_indexes, expire_after, indexes_of, set_expiry},
    feed::Batch,
    handed_on::HandedOn,
    insert::insert,
    probe::rename,
    scratch::drop_collection,
    target::{Target, lister},
    views::put_back,
};
use crate::{
    Connection, DatabaseError, classify,
    listing::Listed,
    raw::{batch_size, documents, has_zero_timestamp},
};

/// What is left of a target whose replacement failed.
#[derive(Debug)]
pub(super) enum SwapFault {
    /// The target is as it was.
    Kept(String),
    /// The target is gone or incomplete.
    Incomplete(String),
    /// The target is gone. The scratch collection holds what it was to hold, and must stay.
    Lost(String),
}

/// Puts the scratch collection in the place of the target.
pub(super) async fn swap(connection: &Connection, target: &Target, existing: &Listed) -> Result<(), SwapFault> {
    match existing.kind {
        NamespaceKind::Collection => rename_over(connection, target).await,
        NamespaceKind::View => {
            drop_collection(&target.database, &target.collection).await.map_err(kept)?;
            let Err(fault) = rename_over(connection, target).await else { return Ok(()) };
            let is_back = put_back(&target.database, existing).await;
            Err(if is_back { fault } else { SwapFault::Lost(fault.into_text()) })
        }
        _ => {
            drop_collection(&target.database, &target.collection).await.map_err(kept)?;
            rename_over(connection, target).await.map_err(|fault| SwapFault::Lost(fault.into_text()))
        }
    }
}

impl SwapFault {
    fn into_text(self) -> String {
        match self {
            Self::Kept(text) | Self::Incomplete(text) | Self::Lost(text) => text,
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is handed to map_err")]
pub(super) fn kept(error: DatabaseError) -> SwapFault {
    SwapFault::Kept(error.to_string())
}

async fn rename_over(connection: &Connection, target: &Target) -> Result<(), SwapFault> {
    let scratch = target.filled();
    let before = uuid_of(target, scratch).await.map_err(kept)?;
    let from = format!("{}.{scratch}", target.database.name());
    let Err(error) = rename(connection.client().database("admin"), &from, &target.name()).await else { return Ok(()) };
    let error = classify(&error).during(format!("renaming to {}", target.name()));
    if !error.is_transient() {
        return Err(kept(error));
    }
    // The answer can be lost after the rename.
    match uuid_of(target, &target.collection).await {
        Ok(now) if now.is_some() && now == before => Ok(()),
        Ok(_) => Err(kept(error)),
        Err(_) => Err(SwapFault::Incomplete(format!("{error}; it is the old or the new collection, as a whole"))),
    }
}

async fn uuid_of(target: &Target, collection: &str) -> Result<Option<String>, DatabaseError> {
    let listed = lister(target.database.clone()).collection(collection).await?;
    Ok(listed.and_then(|listed| listed.uuid))
}

/// Puts a time series in the place of what is there: drops that, and copies the proved measurements.
pub(super) async fn replace_series(
    connection: &Connection,
    target: &Target,
    ttl: TtlIndexes,
) -> Result<Vec<String>, SwapFault> {
    let incomplete = |error: DatabaseError| {
        SwapFault::Incomplete(format!("{error}; the backup still holds it: restore it again with --drop"))
    };
    drop_collection(&target.database, &target.collection).await.map_err(kept)?;
    create(target, &target.collection).await.map_err(incomplete)?;
    let mut failures = copy(connection, target).await.map_err(incomplete)?;
    failures.extend(difference_of_copies(connection, target).await.map_err(incomplete)?);
    let indexes = indexes_of(target, ttl);
    for wanted in [indexes.lasting, indexes.expiring] {
        failures.extend(create_indexes(target, &target.collection, &wanted).await.map_err(incomplete)?);
    }
    if let Some(seconds) = expire_after(target, ttl) {
        failures.extend(set_expiry(target, &target.collection, seconds).await.map_err(incomplete)?);
    }
    Ok(failures)
}

async fn copy(connection: &Connection, target: &Target) -> Result<Vec<String>, DatabaseError> {
    let from = target.data_collection(target.filled());
    let failed = |error: mongodb::error::Error| classify(&error).during(format!("copying to {}", target.name()));
    let series = connection.client().database(target.database.name()).collection::<RawDocumentBuf>(&from);
    let reading = series.find(bson::Document::new()).batch_size(batch_size(None));
    let mut batches = reading.batch().await.map_err(failed)?;
    let mut failures = Vec::new();
    while let Some(batch) = batches.try_next().await.map_err(failed)? {
        let buckets = documents(&batch).map(|bucket| bucket.map(<[u8]>::to_vec)).collect::<Result<Vec<_>, _>>()?;
        if buckets.is_empty() {
            continue;
        }
        let batch = Batch {
            namespace: target.number,
            bytes: buckets.iter().map(Vec::len).sum(),
            has_zero_timestamp: buckets.iter().any(|bucket| has_zero_timestamp(bucket)),
            documents: buckets,
        };
        failures.extend(insert(target, &target.collection, &batch).await?.failures);
    }
    Ok(failures)
}

async fn difference_of_copies(connection: &Connection, target: &Target) -> Result<Option<String>, DatabaseError> {
    let proved = found_in(connection, target, target.filled()).await?;
    let copied = found_in(connection, target, &target.collection).await?;
    let wanted = Wanted { content: proved.content, handed_on: &HandedOn::default(), is_anonymized: false };
    Ok(content_difference(target, &wanted, &copied))
}
