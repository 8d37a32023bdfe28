//! The writing part of a restore, step by step. A namespace that the server refuses fails alone. Only a server that went
//! away, or an archive that is not whole, ends the restore; then no target has been replaced yet.

use futures_util::{StreamExt, stream, stream::FuturesUnordered};
use holdfast_archive::Summary;

use super::{
    Comparison, Expected, RestoreFault, RestoreProgress, RestoreResult, RestoreStep, RestoredNamespace, TargetState,
    TtlIndexes,
    compare::{Wanted, content_difference, found_in, index_differences, manifest_difference, option_differences},
    definition::{
        create, create_indexes, expire_after, has_expiry, index_names, indexes_of, set_expiry, wanted_options,
    },
    feed::{Batch, Decision, Feed, Walked},
    insert::{Outcome, insert},
    scratch::drop_collection,
    structure::comes_with_the_collection,
    swap::{SwapFault, replace_series, swap},
    target::Target,
    untouched, views,
};
use crate::{AnonymizeReport, CollectionContent, Connection, DatabaseError, anonymize::Applied};

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
    /// What became of each target so far.
    states: Vec<State>,
    /// What was taken out of buckets, target by target.
    measurements: Vec<CollectionContent>,
    /// Scratch collections that hold what a target has lost.
    needed: Vec<String>,
    documents: u64,
    bytes: u64,
}

/// What became of a target.
#[derive(Debug, Clone, Copy, Default)]
struct State {
    /// Nothing more is written to it, or to its scratch collection.
    is_given_up: bool,
    /// The target itself was dropped, created or written to.
    is_touched: bool,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        connection: &'a Connection,
        targets: &'a [Target],
        ttl: TtlIndexes,
        progress: &'a (dyn Fn(&RestoreProgress) + Sync),
    ) -> Self {
        let results = targets.iter().map(untouched).collect();
        let states = targets.iter().map(|target| State { is_given_up: target.refusal.is_some(), is_touched: false });
        let measurements = vec![CollectionContent::default(); targets.len()];
        let states = states.collect();
        let needed = Vec::new();
        Self { connection, targets, ttl, progress, results, states, measurements, needed, documents: 0, bytes: 0 }
    }

    /// The scratch collections that must stay.
    pub(super) fn needed(&self) -> &[String] {
        &self.needed
    }

    /// The names of the targets that were written to.
    pub(super) fn into_touched(self) -> Vec<String> {
        let touched = self.targets.iter().zip(self.states).filter(|(_, state)| state.is_touched);
        touched.map(|(target, _)| target.name()).collect()
    }

    pub(super) async fn all(
        &mut self,
        mut feed: Feed,
        decision: Decision,
        expected: Option<Expected<'_>>,
    ) -> Result<(Vec<RestoredNamespace>, Option<AnonymizeReport>), RestoreFault> {
        self.create_all().await?;
        self.insert_all(&mut feed, decision).await?;
        let walked = feed.outcome().await?;
        let anonymized = fitting(walked.rules.as_ref())?;
        self.note_generated_ids(&walked);
        self.compare_with_manifest(&walked.summary, expected);
        self.compare_with_archive(&walked).await?;
        self.tell(RestoreStep::Indexing);
        self.create_indexes().await?;
        self.let_expire().await?;
        self.compare_structure().await?;
        self.replace_all().await;
        self.create_views().await;
        self.conclude().await;
        Ok((std::mem::take(&mut self.results), anonymized))
    }

    async fn create_all(&mut self) -> Result<(), DatabaseError> {
        for at in self.at_work(Target::is_new) {
            if let Err(error) = self.create_one(at).await {
                self.give_up_or_end(at, error)?;
            }
        }
        Ok(())
    }

    async fn create_one(&mut self, at: usize) -> Result<(), DatabaseError> {
        let target = &self.targets[at];
        if matches!(target.state, TargetState::Dropped(_)) {
            self.states[at].is_touched = true;
            drop_collection(&target.database, &target.collection).await?;
        }
        if !target.is_view() {
            create(target, target.filled()).await?;
            self.states[at].is_touched |= target.scratch.is_none();
        }
        Ok(())
    }

    /// The targets that were not given up, and for which this holds.
    fn at_work(&self, holds: impl Fn(&Target) -> bool) -> Vec<usize> {
        (0..self.targets.len()).filter(|at| !self.states[*at].is_given_up && holds(&self.targets[*at])).collect()
    }

    /// Gives up the namespace that the server refused.
    ///
    /// # Errors
    /// The server went away: then the restore ends.
    fn give_up_or_end(&mut self, at: usize, error: DatabaseError) -> Result<(), DatabaseError> {
        if error.is_transient() {
            return Err(error);
        }
        self.give_up(at, error.to_string());
        Ok(())
    }

    fn give_up(&mut self, at: usize, failure: String) {
        fail(&mut self.results[at], failure);
        self.states[at].is_given_up = true;
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
            let Some(at) = target_of[batch.namespace].filter(|at| !self.states[*at].is_given_up) else { continue };
            self.states[at].is_touched |= targets[at].scratch.is_none();
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

    /// Counts the outcome of a batch, and returns its bytes.
    fn settle(&mut self, done: Option<Inserted>) -> Result<usize, RestoreFault> {
        let Some(Inserted { at, bytes, outcome }) = done else { return Ok(0) };
        match outcome {
            Ok(outcome) => self.count(at, outcome),
            Err(error) => self.give_up_or_end(at, error)?,
        }
        self.bytes += bytes as u64;
        self.tell(RestoreStep::Inserting);
        Ok(bytes)
    }

    fn count(&mut self, at: usize, outcome: Outcome) {
        let result = &mut self.results[at];
        result.inserted += outcome.inserted;
        result.skipped += outcome.skipped;
        // A copy without some of its documents never takes the target's place.
        self.states[at].is_given_up |= !outcome.failures.is_empty() && self.targets[at].scratch.is_some();
        for failure in outcome.failures {
            fail(result, failure);
        }
        self.measurements[at].add(outcome.measurements);
        self.documents += outcome.inserted + outcome.skipped;
    }

    fn note_generated_ids(&mut self, walked: &Walked) {
        for (target, result) in self.targets.iter().zip(&mut self.results) {
            let generated = walked.handed_on[target.number].with_id.documents;
            if generated > 0 {
                let note = format!("documents without `_id` in the archive, each given a new ObjectId: {generated}");
                result.notes.push(note);
            }
        }
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
    async fn compare_with_archive(&mut self, walked: &Walked) -> Result<(), DatabaseError> {
        let (connection, targets) = (self.connection, self.targets);
        let numbers = self.at_work(|target| !target.is_view() && !target.is_merged());
        let mut reading = stream::iter(numbers)
            .map(|at| async move { (at, found_in(connection, &targets[at], targets[at].filled()).await) })
            .buffer_unordered(AT_A_TIME);
        (self.documents, self.bytes) = (0, 0);
        while let Some((at, found)) = reading.next().await {
            let found = match found {
                Ok(found) => found,
                Err(error) => {
                    self.give_up_or_end(at, error)?;
                    continue;
                }
            };
            let (wanted, is_anonymized) = self.wanted_of(at, walked);
            let result = &mut self.results[at];
            if let Some(difference) = content_difference(&targets[at], &wanted, &found) {
                result.comparison = Comparison::Differs(difference);
            } else if !matches!(result.comparison, Comparison::Differs(_)) {
                result.comparison = if is_anonymized { Comparison::Anonymized } else { Comparison::Equal };
            }
            self.documents += found.content.documents;
            self.bytes += found.content.bytes;
            self.tell(RestoreStep::Comparing);
        }
        Ok(())
    }

    /// What a target must hold, and whether the rules changed it.
    fn wanted_of<'w>(&self, at: usize, walked: &'w Walked) -> (Wanted<'w>, bool) {
        let number = self.targets[at].number;
        let (held, handed_on) = (&walked.summary.namespaces[number], &walked.handed_on[number]);
        let changed = walked.rules.as_ref().filter(|rules| rules.changes(number)).map(|rules| rules.content(number));
        let content = match changed {
            Some(changed) => changed,
            None if self.targets[at].takes_measurements() => self.measurements[at],
            None => CollectionContent { documents: held.documents, bytes: held.bytes, content_hash: held.content_hash },
        };
        (Wanted { content, handed_on, is_anonymized: changed.is_some() }, changed.is_some())
    }

    async fn create_indexes(&mut self) -> Result<(), DatabaseError> {
        for at in self.at_work(|target| !target.is_view()) {
            let wanted = indexes_of(&self.targets[at], self.ttl).lasting;
            self.create_these(at, &wanted).await?;
        }
        Ok(())
    }

    async fn create_these(&mut self, at: usize, indexes: &[bson::Document]) -> Result<(), DatabaseError> {
        let target = &self.targets[at];
        for failure in create_indexes(target, target.filled(), indexes).await? {
            fail(&mut self.results[at], failure);
        }
        Ok(())
    }

    /// Last of all that is done to a collection: from now on the server deletes documents by their age.
    async fn let_expire(&mut self) -> Result<(), DatabaseError> {
        for at in self.at_work(|target| !target.is_view()) {
            let target = &self.targets[at];
            if target.is_replaced() && !self.results[at].is_faithful() {
                continue;
            }
            let wanted = indexes_of(target, self.ttl).expiring;
            self.create_these(at, &wanted).await?;
            // A time series that is replaced is copied before.
            let is_copied = target.is_series() && target.is_replaced();
            if let Some(seconds) = expire_after(target, self.ttl).filter(|_| target.is_new() && !is_copied) {
                match set_expiry(target, target.filled(), seconds).await {
                    Ok(note) => self.results[at].notes.extend(note),
                    Err(error) => self.give_up_or_end(at, error)?,
                }
            } else if has_expiry(target) && self.ttl == TtlIndexes::Omit {
                let note = "`expireAfterSeconds` of the collection was left out, so that nothing expires";
                self.results[at].notes.push(note.to_owned());
            }
        }
        Ok(())
    }

    /// Options and indexes as the server has them now, against those that were asked for.
    async fn compare_structure(&mut self) -> Result<(), DatabaseError> {
        for at in self.at_work(|target| !target.is_view() && !target.is_merged()) {
            let found = structure_differences(&self.targets[at], self.ttl).await;
            match found {
                Ok(differences) => {
                    let known = &self.results[at].failures;
                    let is_new = |what: &String| !known.iter().any(|failure| failure.contains(missing_index(what)));
                    let differences: Vec<String> = differences.into_iter().filter(is_new).collect();
                    self.results[at].structure.extend(differences);
                }
                Err(error) => self.give_up_or_end(at, error)?,
            }
        }
        Ok(())
    }

    /// Puts each proved copy in the place of its target. The others are left out: their targets stay.
    async fn replace_all(&mut self) {
        for at in self.at_work(|target| target.is_replaced() && !target.is_view()) {
            let target = &self.targets[at];
            if !self.results[at].is_faithful() {
                continue;
            }
            let Some(existing) = &target.existing else { continue };
            let replaced = if target.is_series() {
                replace_series(self.connection, target, self.ttl).await
            } else {
                swap(self.connection, target, existing).await.map(|()| Vec::new())
            };
            self.states[at].is_touched = !matches!(replaced, Err(SwapFault::Kept(_)));
            match replaced {
                Ok(failures) => failures.into_iter().for_each(|failure| fail(&mut self.results[at], failure)),
                Err(SwapFault::Kept(failure) | SwapFault::Incomplete(failure)) => self.give_up(at, failure),
                Err(SwapFault::Lost(failure)) => {
                    let scratch = target.filled().to_owned();
                    self.give_up(at, format!("{failure}; its documents are in the collection {scratch}: rename that"));
                    self.needed.push(scratch);
                }
            }
        }
    }

    async fn create_views(&mut self) {
        for at in views::in_order_of_creation(self.targets) {
            if self.states[at].is_given_up {
                continue;
            }
            let target = &self.targets[at];
            let created = match (&target.existing, target.is_replaced()) {
                (Some(existing), true) => views::replace(target, existing).await,
                _ => views::create_and_read(target).await,
            };
            match created {
                Ok(()) => self.compare_view(at).await,
                Err(error) => self.give_up(at, error.to_string()),
            }
        }
    }

    async fn compare_view(&mut self, at: usize) {
        let target = &self.targets[at];
        self.states[at].is_touched = true;
        match target.lister().collection(&target.collection).await {
            Ok(Some(found)) => {
                self.results[at].structure.extend(option_differences(&wanted_options(target), &found.options));
            }
            Ok(None) => self.results[at].structure.push("the view is missing".to_owned()),
            Err(error) => fail(&mut self.results[at], error.to_string()),
        }
    }

    /// Says of each target what became of it, and which indexes it has.
    async fn conclude(&mut self) {
        for at in 0..self.targets.len() {
            let (target, state) = (&self.targets[at], self.states[at]);
            let indexes = if target.is_view() { Ok(Vec::new()) } else { index_names(target).await };
            match indexes {
                Ok(indexes) => self.results[at].indexes = indexes,
                Err(error) if target.refusal.is_none() => fail(&mut self.results[at], error.to_string()),
                Err(_) => {}
            }
            let result = &mut self.results[at];
            result.result = match (result.is_faithful(), state.is_touched || target.is_merged()) {
                (true, _) => RestoreResult::Restored,
                (false, true) => RestoreResult::Incomplete,
                (false, false) => RestoreResult::Kept,
            };
        }
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
    outcome: Result<Outcome, DatabaseError>,
}

async fn inserted(targets: &[Target], at: usize, batch: Batch) -> Inserted {
    let outcome = insert(&targets[at], targets[at].filled(), &batch).await;
    Inserted { at, bytes: batch.bytes, outcome }
}

fn fail(result: &mut RestoredNamespace, failure: String) {
    match result.failures.len() {
        kept if kept < FAILURES_KEPT => result.failures.push(failure),
        FAILURES_KEPT => result.failures.push("and more of the kind".to_owned()),
        _ => {}
    }
}

async fn structure_differences(target: &Target, ttl: TtlIndexes) -> Result<Vec<String>, DatabaseError> {
    let lister = target.lister();
    let Some(found) = lister.collection(target.filled()).await? else {
        return Ok(vec!["the collection is missing".to_owned()]);
    };
    let mut differences = option_differences(&wanted_options(target), &found.options);
    let present = lister.indexes(target.filled()).await?.unwrap_or_default();
    let indexes = indexes_of(target, ttl);
    let wanted = [indexes.lasting, indexes.expiring].concat();
    // A time series brings an index of its own.
    let comes_by_itself = |index: &bson::Document| target.is_series() || comes_with_the_collection(index);
    differences.extend(index_differences(&wanted, &present, comes_by_itself));
    Ok(differences)
}

/// The part of a difference that a failure to create the index has too.
fn missing_index(difference: &str) -> &str {
    difference.strip_suffix(" is missing").unwrap_or(difference)
}
