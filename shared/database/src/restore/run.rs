//! The writing part of a restore, step by step.

use std::sync::Arc;

use futures_util::{StreamExt, stream, stream::FuturesUnordered};
use holdfast_archive::{NamespaceKind, NamespaceSummary, Summary};

use super::{
    Comparison, Expected, RestoreFault, RestoreProgress, RestoreStep, RestoredNamespace, TtlIndexes,
    feed::{Batch, Decision, Feed, Walked},
    insert::{Outcome, insert},
    measurements::unpack,
    structure::{create_indexes, create_views, index_names, indexes_of, prepare},
    target::Target,
    untouched,
};
use crate::{
    AnonymizeReport, CollectionContent, Connection, DatabaseError,
    anonymize::Applied,
    content::{TakeIn, read_back},
    content_hash_of,
};

/// Batches being inserted at a time, and collections being read back.
const AT_A_TIME: usize = 4;

/// Bytes of the batches being inserted, beyond the first; the driver copies each of them twice.
const IN_FLIGHT_BYTES: usize = 16 * 1024 * 1024;

/// Failures kept for each namespace.
const FAILURES_KEPT: usize = 20;

/// A restore that writes.
pub(super) struct Run<'a> {
    connection: &'a Connection,
    targets: &'a [Target],
    ttl: TtlIndexes,
    progress: &'a (dyn Fn(&RestoreProgress) + Sync),
    /// What there is to report, target by target.
    results: Vec<RestoredNamespace>,
    /// Which targets were dropped, created or written to.
    touched: Vec<bool>,
    /// What was taken out of buckets, target by target.
    measurements: Vec<CollectionContent>,
    documents: u64,
    bytes: u64,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        connection: &'a Connection,
        targets: &'a [Target],
        ttl: TtlIndexes,
        progress: &'a (dyn Fn(&RestoreProgress) + Sync),
    ) -> Self {
        let results = targets.iter().map(untouched).collect();
        let touched = vec![false; targets.len()];
        let measurements = vec![CollectionContent::default(); targets.len()];
        Self { connection, targets, ttl, progress, results, touched, measurements, documents: 0, bytes: 0 }
    }

    /// The names of what was written to.
    pub(super) fn into_touched(self) -> Vec<String> {
        let touched = self.targets.iter().zip(self.touched).filter(|(_, touched)| *touched);
        touched.map(|(target, _)| target.name()).collect()
    }

    pub(super) async fn all(
        &mut self,
        mut feed: Feed,
        decision: Decision,
        expected: Option<Expected<'_>>,
    ) -> Result<(Vec<RestoredNamespace>, Option<AnonymizeReport>), RestoreFault> {
        for (at, target) in self.targets.iter().enumerate() {
            self.touched[at] = target.is_new() && !target.is_view();
            prepare(target).await?;
        }
        self.insert_all(&mut feed, decision).await?;
        let Walked { summary, rules } = feed.outcome().await?;
        let anonymized = fitting(rules.as_ref())?;
        self.compare_with_manifest(&summary, expected);
        self.compare_with_archive(&summary, rules.as_ref()).await?;
        self.tell(RestoreStep::Indexing);
        self.make_indexes().await;
        self.make_views().await;
        self.make_expiring_indexes().await;
        self.list_indexes().await?;
        Ok((std::mem::take(&mut self.results), anonymized))
    }

    async fn insert_all(&mut self, feed: &mut Feed, decision: Decision) -> Result<(), RestoreFault> {
        let mut target_of = vec![None; decision.wanted.len()];
        for (at, target) in self.targets.iter().enumerate() {
            target_of[target.number] = Some(at);
        }
        feed.go_on(decision);
        let targets = self.targets;
        let mut running = FuturesUnordered::new();
        let mut in_flight = 0;
        while let Some(batch) = feed.next().await {
            let Some(at) = target_of[batch.namespace] else { continue };
            self.touched[at] = true;
            // A capped collection's documents keep their order: one batch after the other.
            let keeps_order = targets[at].is_capped();
            while !running.is_empty()
                && (keeps_order || running.len() >= AT_A_TIME || in_flight + batch.bytes > IN_FLIGHT_BYTES)
            {
                in_flight -= self.settle(running.next().await)?;
            }
            in_flight += batch.bytes;
            running.push(inserted(targets, at, batch));
            if keeps_order {
                in_flight -= self.settle(running.next().await)?;
            }
        }
        while !running.is_empty() {
            self.settle(running.next().await)?;
        }
        Ok(())
    }

    /// Counts what became of a batch, and says how many bytes it had.
    fn settle(&mut self, done: Option<Result<Inserted, DatabaseError>>) -> Result<usize, RestoreFault> {
        let Some(done) = done.transpose()? else { return Ok(0) };
        let result = &mut self.results[done.at];
        result.inserted += done.outcome.inserted;
        result.skipped += done.outcome.skipped;
        for failure in done.outcome.failures {
            fail(result, failure);
        }
        self.measurements[done.at].add(done.outcome.measurements);
        self.documents += done.outcome.inserted + done.outcome.skipped;
        self.bytes += done.bytes as u64;
        self.tell(RestoreStep::Inserting);
        Ok(done.bytes)
    }

    /// What the archive holds, against what the manifest says.
    fn compare_with_manifest(&mut self, summary: &Summary, expected: Option<Expected<'_>>) {
        for (target, result) in self.targets.iter().zip(&mut self.results) {
            let held = &summary.namespaces[target.number];
            result.documents = held.documents;
            if let Some(expected) = &expected {
                result.comparison = manifest_difference(held, expected).map_or(Comparison::Equal, Comparison::Differs);
            }
        }
    }

    /// What the target holds now, against what the archive holds.
    async fn compare_with_archive(&mut self, summary: &Summary, rules: Option<&Applied>) -> Result<(), DatabaseError> {
        let (connection, targets) = (self.connection, self.targets);
        let compared = targets.iter().enumerate().filter(|(_, target)| !target.is_view() && !target.is_merged());
        let numbers: Vec<_> = compared.map(|(at, _)| at).collect();
        let mut reading = stream::iter(numbers)
            .map(|at| async move {
                let target = &targets[at];
                (at, found_in(connection, target).await)
            })
            .buffer_unordered(AT_A_TIME);
        (self.documents, self.bytes) = (0, 0);
        while let Some((at, found)) = reading.next().await {
            let found = found?;
            let number = targets[at].number;
            let held = &summary.namespaces[number];
            let changed = rules.filter(|rules| rules.changes(number)).map(|rules| rules.content(number));
            let written = if let Some(changed) = changed {
                changed
            } else if targets[at].takes_measurements() {
                self.measurements[at]
            } else {
                CollectionContent { documents: held.documents, bytes: held.bytes, content_hash: held.content_hash }
            };
            let result = &mut self.results[at];
            if let Some(difference) = target_difference(&written, &found) {
                result.comparison = Comparison::Differs(difference);
            } else if !matches!(result.comparison, Comparison::Differs(_)) {
                result.comparison = if changed.is_some() { Comparison::Anonymized } else { Comparison::Equal };
            }
            self.documents += found.documents;
            self.bytes += found.bytes;
            self.tell(RestoreStep::Comparing);
        }
        Ok(())
    }

    async fn make_indexes(&mut self) {
        for (target, result) in self.targets.iter().zip(&mut self.results) {
            for failure in create_indexes(target, &indexes_of(target, self.ttl).lasting).await {
                fail(result, failure);
            }
        }
    }

    async fn make_views(&mut self) {
        for (at, failure) in create_views(self.targets).await {
            fail(&mut self.results[at], failure);
        }
    }

    async fn make_expiring_indexes(&mut self) {
        for (target, result) in self.targets.iter().zip(&mut self.results) {
            for failure in create_indexes(target, &indexes_of(target, self.ttl).expiring).await {
                fail(result, failure);
            }
        }
    }

    async fn list_indexes(&mut self) -> Result<(), DatabaseError> {
        for (target, result) in self.targets.iter().zip(&mut self.results) {
            result.indexes = if target.is_view() { Vec::new() } else { index_names(target).await? };
        }
        Ok(())
    }

    fn tell(&self, step: RestoreStep) {
        (self.progress)(&RestoreProgress { step, documents: self.documents, bytes: self.bytes });
    }
}

/// What the rules did, where each of them did something. They were tried before the restore, so that one that did not
/// means that the archive is another one now.
fn fitting(rules: Option<&Applied>) -> Result<Option<AnonymizeReport>, RestoreFault> {
    let report = rules.map(Applied::report);
    match report.as_ref().map(AnonymizeReport::problems) {
        Some(problems) if !problems.is_empty() => Err(RestoreFault::Rules(problems.join("; "))),
        _ => Ok(report),
    }
}

struct Inserted {
    at: usize,
    bytes: usize,
    outcome: Outcome,
}

async fn inserted(targets: &[Target], at: usize, batch: Batch) -> Result<Inserted, DatabaseError> {
    let outcome = insert(&targets[at], &batch).await?;
    Ok(Inserted { at, bytes: batch.bytes, outcome })
}

fn fail(result: &mut RestoredNamespace, failure: String) {
    match result.failures.len() {
        kept if kept < FAILURES_KEPT => result.failures.push(failure),
        FAILURES_KEPT => result.failures.push("and more of the kind".to_owned()),
        _ => {}
    }
}

/// What a target holds: its documents, or of a server that keeps measurements these, taken out of the buckets it shows.
async fn found_in(connection: &Connection, target: &Target) -> Result<CollectionContent, DatabaseError> {
    let (database, collection) = (target.database.name(), target.data_collection());
    if !target.takes_measurements() {
        return content_hash_of(connection, database, &collection).await;
    }
    let meta_field = target.meta_field().map(str::to_owned);
    let measurements: TakeIn = Arc::new(move |content, bucket| {
        let unpacked = unpack(bucket, meta_field.as_deref());
        let measurements = unpacked.map_err(|error| DatabaseError::Refused(error.to_string()))?;
        for measurement in &measurements {
            content.add_document(measurement);
        }
        Ok(())
    });
    read_back(connection, database, &collection, measurements).await
}

fn target_difference(written: &CollectionContent, found: &CollectionContent) -> Option<String> {
    if written.documents != found.documents {
        let (written, found) = (written.documents, found.documents);
        return Some(format!("the archive holds {written} documents, the target {found} now"));
    }
    let is_same = written.content_hash == found.content_hash;
    (!is_same).then(|| "the target holds as many documents as the archive, but not the same".to_owned())
}

fn manifest_difference(held: &NamespaceSummary, expected: &Expected<'_>) -> Option<String> {
    let mut namespaces = expected.namespaces.iter();
    let expected_of = namespaces.find(|wanted| wanted.db == held.db && wanted.collection == held.collection)?;
    if held.documents != expected_of.documents {
        let (held, wanted) = (held.documents, expected_of.documents);
        return Some(format!("the archive holds {held} documents, the manifest says {wanted}"));
    }
    let is_same = (expected.digest)(held.content_hash) == expected_of.content_hash;
    let has_documents = held.kind != NamespaceKind::View;
    (has_documents && !is_same).then(|| "the archive holds other documents than the manifest says".to_owned())
}
