//! The writing part of a restore, step by step. A namespace refused by the server fails alone. Only
//! a lost server or an invalid archive ends the restore. In that case no target has been replaced
//! yet.

mod comparing;
mod finishing;

use futures_util::{StreamExt, stream::FuturesUnordered};

use super::{
    Confirmation, Expected, RestoreFault, RestoreOptions, RestoreProgress, RestoreStep,
    RestoredNamespace, TargetState, TtlIndexes,
    definition::create,
    feed::{Batch, Decision, Feed},
    insert::{Outcome, insert},
    proof::Proof,
    scratch::{Scratch, drop_collection},
    target::Target,
    untouched,
};
use crate::{AnonymizeReport, CollectionContent, Connection, DatabaseError, anonymize::Applied};

/// Number of concurrent inserts.
const MAX_CONCURRENT_INSERTS: usize = 4;

/// Limit of bytes in concurrent inserts, in addition to the first batch. The driver copies each
/// batch twice.
const IN_FLIGHT_BYTES: usize = 16 * 1024 * 1024;

/// Number of recorded failures per namespace.
const FAILURES_KEPT: usize = 20;

/// A writing restore.
pub(super) struct Run<'a> {
    connection: &'a Connection,
    targets: &'a [Target],
    scratch: &'a Scratch,
    ttl: TtlIndexes,
    confirmation: Option<&'a Confirmation>,
    progress: &'a (dyn Fn(&RestoreProgress) + Sync),
    /// The reports, target by target.
    results: Vec<RestoredNamespace>,
    /// The state of each target so far.
    states: Vec<State>,
    /// Extracted measurements, target by target.
    measurements: Vec<CollectionContent>,
    /// The identities of the scratch collections, target by target.
    proofs: Vec<Proof>,
    documents: u64,
    bytes: u64,
}

/// The state of a target.
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
        scratch: &'a Scratch,
        options: &'a RestoreOptions,
        progress: &'a (dyn Fn(&RestoreProgress) + Sync),
    ) -> Self {
        let (ttl, confirmation) = (options.ttl_indexes, options.confirmation.as_ref());
        let results = targets.iter().map(untouched).collect();
        let states = targets.iter().map(|target| State {
            is_given_up: target.refusal.is_some(),
            is_touched: false,
        });
        let measurements = vec![CollectionContent::default(); targets.len()];
        let states = states.collect();
        let proofs = vec![Proof::default(); targets.len()];
        let (documents, bytes) = (0, 0);
        Self {
            connection,
            targets,
            scratch,
            ttl,
            confirmation,
            progress,
            results,
            states,
            measurements,
            proofs,
            documents,
            bytes,
        }
    }

    /// The names of the targets with writes.
    pub(super) fn into_touched(self) -> Vec<String> {
        let touched = self
            .targets
            .iter()
            .zip(self.states)
            .filter(|(_, state)| state.is_touched);
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
        self.report_step(RestoreStep::Indexing);
        self.create_indexes().await?;
        self.let_expire().await?;
        self.compare_structure().await?;
        self.replace_all().await;
        self.create_views().await;
        self.conclude().await;
        Ok((std::mem::take(&mut self.results), anonymized))
    }

    async fn create_all(&mut self) -> Result<(), RestoreFault> {
        for at in self.at_work(Target::is_new) {
            if matches!(self.targets[at].state, TargetState::Dropped(_)) {
                self.confirm().await?;
            }
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
            if target.scratch.is_some() {
                self.proofs[at] = Proof::begin(target).await?;
            }
        }
        Ok(())
    }

    /// Asks the caller whether a target with data may be dropped or replaced now.
    ///
    /// # Errors
    /// [`RestoreFault::Unprotected`] if it must stay.
    async fn confirm(&self) -> Result<(), RestoreFault> {
        match self.confirmation {
            Some(confirmation) => confirmation
                .confirm()
                .await
                .map_err(RestoreFault::Unprotected),
            None => Ok(()),
        }
    }

    /// The active targets with this property.
    fn at_work(&self, holds: impl Fn(&Target) -> bool) -> Vec<usize> {
        (0..self.targets.len())
            .filter(|at| !self.states[*at].is_given_up && holds(&self.targets[*at]))
            .collect()
    }

    /// Gives up the refused namespace.
    ///
    /// # Errors
    /// The server went away, or has no free space: then the restore ends.
    fn give_up_or_end(&mut self, at: usize, error: DatabaseError) -> Result<(), DatabaseError> {
        if error.is_of_the_server() {
            return Err(error);
        }
        self.give_up(at, error.to_string());
        Ok(())
    }

    fn give_up(&mut self, at: usize, failure: String) {
        fail(&mut self.results[at], failure);
        self.states[at].is_given_up = true;
    }

    async fn insert_all(
        &mut self,
        feed: &mut Feed,
        decision: Decision,
    ) -> Result<(), RestoreFault> {
        let mut target_of = vec![None; decision.wanted.len()];
        for (at, target) in self.targets.iter().enumerate() {
            target_of[target.number] = Some(at);
        }
        feed.resume(decision);
        let targets = self.targets;
        let mut running = FuturesUnordered::new();
        let mut in_flight = 0;
        while let Some(batch) = feed.next().await {
            let Some(at) = target_of[batch.namespace].filter(|at| !self.states[*at].is_given_up)
            else {
                continue;
            };
            self.states[at].is_touched |= targets[at].scratch.is_none();
            // A capped collection's documents keep their order: one batch after the other.
            let keeps_order = targets[at].is_capped();
            while !running.is_empty()
                && (keeps_order
                    || running.len() >= MAX_CONCURRENT_INSERTS
                    || in_flight + batch.bytes > IN_FLIGHT_BYTES)
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
        let Some(Inserted { at, bytes, outcome }) = done else {
            return Ok(0);
        };
        match outcome {
            Ok(outcome) => self.count(at, outcome),
            Err(error) => self.give_up_or_end(at, error)?,
        }
        self.bytes += bytes as u64;
        self.report_step(RestoreStep::Inserting);
        Ok(bytes)
    }

    fn count(&mut self, at: usize, outcome: Outcome) {
        let result = &mut self.results[at];
        result.inserted += outcome.inserted;
        result.skipped += outcome.skipped;
        // An incomplete copy never replaces the target.
        self.states[at].is_given_up |=
            !outcome.failures.is_empty() && self.targets[at].scratch.is_some();
        for failure in outcome.failures {
            fail(result, failure);
        }
        self.measurements[at].add(outcome.measurements);
        self.documents += outcome.inserted + outcome.skipped;
    }

    fn report_step(&self, step: RestoreStep) {
        (self.progress)(&RestoreProgress {
            step,
            documents: self.documents,
            bytes: self.bytes,
        });
    }
}

/// The results of the rules, if each rule had an effect. A trial preceded the restore. So a rule
/// without an effect means a replaced archive.
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
    Inserted {
        at,
        bytes: batch.bytes,
        outcome,
    }
}

fn fail(result: &mut RestoredNamespace, failure: String) {
    match result.failures.len() {
        kept if kept < FAILURES_KEPT => result.failures.push(failure),
        FAILURES_KEPT => result.failures.push("and more of the kind".to_owned()),
        _ => {}
    }
}
