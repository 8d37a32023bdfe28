//! Replaces a target with its proved copy.
//!
//! A collection replaces a collection in one step of the server. Other kinds cannot be renamed: a
//! view is redefined or recreated, and a time series is copied from its scratch collection. In
//! between such a target is missing or incomplete.

use bson::RawDocumentBuf;
use futures_util::TryStreamExt;
use holdfast_archive::NamespaceKind;

use super::{
    TtlIndexes,
    compare::{Wanted, content_difference, found_in},
    definition::{create, create_indexes, expire_after, indexes_of, set_expiry},
    feed::Batch,
    insert::insert,
    probe::rename,
    proof::{Proof, uuid_of},
    scratch::Scratch,
    sent::SentDocuments,
    swap_fault::{SwapFault, drop_existing, kept},
    target::Target,
    views::recreate,
};
use crate::{
    Connection, DatabaseError, classify,
    listing::Listed,
    raw::{batch_size, documents, has_zero_timestamp},
};

/// A proved scratch collection, and its target.
pub(super) struct Replacement<'a> {
    pub(super) connection: &'a Connection,
    pub(super) scratch: &'a Scratch,
    pub(super) proof: &'a Proof,
    pub(super) target: &'a Target,
}

impl Replacement<'_> {
    /// Replaces the target with the scratch collection. Returns the parts of a complete copy
    /// refused by the server.
    pub(super) async fn swap(
        &self,
        existing: &Listed,
        ttl: TtlIndexes,
    ) -> Result<Vec<String>, SwapFault> {
        self.scratch.confirm(self.target).await.map_err(kept)?;
        if self.target.is_series() {
            return self.replace_by_series(ttl).await;
        }
        match existing.kind {
            NamespaceKind::Collection => {
                self.proof
                    .require_proved(self.connection, self.target)
                    .await
                    .map_err(kept)?;
                self.rename_over().await?;
            }
            _ => self.drop_then_rename(existing).await?,
        }
        Ok(Vec::new())
    }

    async fn drop_then_rename(&self, existing: &Listed) -> Result<(), SwapFault> {
        self.drop_target().await?;
        let renamed = match self.rename_over().await {
            Err(fault)
                if existing.kind == NamespaceKind::View
                    && recreate(&self.target.database, existing).await =>
            {
                Err(fault)
            }
            renamed => renamed.map_err(|fault| SwapFault::Lost(fault.into_text())),
        };
        self.release_unless_lost(renamed).await
    }

    /// Drops the target. Until it is complete, no restore drops its scratch collection.
    async fn drop_target(&self) -> Result<(), SwapFault> {
        self.scratch.hold(self.target).await.map_err(kept)?;
        let dropped = match self
            .proof
            .require_proved(self.connection, self.target)
            .await
        {
            Ok(()) => drop_existing(self.target).await,
            Err(error) => Err(kept(error)),
        };
        if dropped.is_err() {
            self.release_unless_lost(dropped).await
        } else {
            dropped
        }
    }

    async fn release_unless_lost<T>(&self, result: Result<T, SwapFault>) -> Result<T, SwapFault> {
        if !matches!(result, Err(SwapFault::Lost(_))) {
            self.scratch.release(self.target).await;
        }
        result
    }

    async fn rename_over(&self) -> Result<(), SwapFault> {
        let target = self.target;
        let from = format!("{}.{}", target.database.name(), target.filled());
        let admin = self.connection.client().database("admin");
        let Err(error) = rename(admin, &from, &target.name()).await else {
            return Ok(());
        };
        let error = classify(&error).during(format!("renaming to {}", target.name()));
        if !error.is_transient() {
            return Err(kept(error));
        }
        // The answer can be lost after the rename.
        match uuid_of(target, &target.collection).await {
            Ok(now) if self.proof.has_uuid(now.as_ref().and_then(Option::as_ref)) => Ok(()),
            Ok(_) => Err(kept(error)),
            Err(_) => Err(SwapFault::Incomplete(format!(
                "{error}. It is either the complete old collection or the complete new one"
            ))),
        }
    }

    /// Drops the target, and copies the proved measurements to a new one.
    async fn replace_by_series(&self, ttl: TtlIndexes) -> Result<Vec<String>, SwapFault> {
        self.drop_target().await?;
        let copied = self.copy_and_compare().await;
        self.release_unless_lost(copied).await?;
        let unfinished = |error: DatabaseError| {
            SwapFault::Incomplete(format!(
                "{error}. Its documents are restored, but not its indexes"
            ))
        };
        self.finish_series(ttl).await.map_err(unfinished)
    }

    async fn copy_and_compare(&self) -> Result<(), SwapFault> {
        let lost = |error: DatabaseError| SwapFault::Lost(error.to_string());
        create(self.target, &self.target.collection)
            .await
            .map_err(lost)?;
        let mut failures = copy(self.connection, self.target).await.map_err(lost)?;
        failures.extend(self.difference_of_copy().await.map_err(lost)?);
        if failures.is_empty() {
            Ok(())
        } else {
            Err(SwapFault::Lost(failures.join("; ")))
        }
    }

    async fn difference_of_copy(&self) -> Result<Option<String>, DatabaseError> {
        let Some(content) = self.proof.content else {
            return Ok(Some("no copy was compared".to_owned()));
        };
        let copied = found_in(self.connection, self.target, &self.target.collection).await?;
        let wanted = Wanted {
            content,
            sent: &SentDocuments::default(),
            is_anonymized: false,
        };
        Ok(content_difference(self.target, &wanted, &copied))
    }

    async fn finish_series(&self, ttl: TtlIndexes) -> Result<Vec<String>, DatabaseError> {
        let target = self.target;
        let indexes = indexes_of(target, ttl);
        let mut failures = Vec::new();
        for wanted in [indexes.lasting, indexes.expiring] {
            failures.extend(create_indexes(target, &target.collection, &wanted).await?);
        }
        if let Some(seconds) = expire_after(target, ttl) {
            failures.extend(set_expiry(target, &target.collection, seconds).await?);
        }
        Ok(failures)
    }
}

async fn copy(connection: &Connection, target: &Target) -> Result<Vec<String>, DatabaseError> {
    let from = target.data_collection(target.filled());
    let failed = |error: mongodb::error::Error| {
        classify(&error).during(format!("copying to {}", target.name()))
    };
    let series = connection
        .client()
        .database(target.database.name())
        .collection::<RawDocumentBuf>(&from);
    let reading = series
        .find(bson::Document::new())
        .batch_size(batch_size(None));
    let mut batches = reading.batch().await.map_err(failed)?;
    let mut failures = Vec::new();
    while let Some(batch) = batches.try_next().await.map_err(failed)? {
        let buckets = documents(&batch)
            .map(|bucket| bucket.map(<[u8]>::to_vec))
            .collect::<Result<Vec<_>, _>>()?;
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
