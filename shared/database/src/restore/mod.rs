//! The restore: any mongodump archive, walked and proved on its way into a database.
//!
//! All refusals come before the first write. Then collections are created with their options, and
//! documents are inserted unchanged. The written documents are read back and compared. Indexes are
//! created, those that delete documents last. A target with content is not written to: a scratch
//! collection is, and it replaces the target after its proof. Views come at the end. A namespace
//! refused by the server fails alone.

mod adjust;
mod compare;
mod confirmation;
mod definition;
mod existing;
mod feed;
mod insert;
mod map;
mod measurements;
mod name;
mod options;
mod privileges;
mod probe;
mod proof;
mod rehearsal;
mod report;
mod run;
mod scratch;
mod sent;
mod structure;
mod swap;
mod swap_fault;
mod target;
mod views;

use std::io::Read;

pub use self::scratch::{OnlyCopy, Remedy, ScratchCollection, scratch_collections};
pub use self::{
    adjust::{AdjustedPart, Adjustment, Change},
    confirmation::Confirmation,
    map::{MapError, NamespaceMap},
    options::{Existing, Expected, ExpectedNamespace, RestoreOptions, TtlIndexes, UnknownOptions},
    report::{
        Comparison, LeftOut, RestoreError, RestoreFault, RestoreProgress, RestoreReport,
        RestoreResult, RestoreStep, RestoredNamespace, TargetState,
    },
};
use self::{
    existing::inspect,
    feed::{Decision, Feed, FeedError},
    privileges::refuse_without_privileges,
    probe::refuse_what_cannot_be_replaced,
    rehearsal::{decide, rehearse},
    run::Run,
    scratch::{Scratch, remove_dead},
    target::{Target, choose, refuse_other_archive},
};
use crate::{AnonymizeReport, Connection};

/// Restores an archive, read on its own blocking thread.
///
/// The reader must return only authenticated bytes. Its error ends the restore. With `expected`,
/// the content of the archive is compared with the manifest.
///
/// # Errors
/// [`RestoreError`] with the incomplete targets. Refusals come before the first write.
pub async fn restore<R: Read + Send + 'static>(
    connection: &Connection,
    archive: R,
    options: &RestoreOptions,
    expected: Option<Expected<'_>>,
    progress: &(dyn Fn(&RestoreProgress) + Sync),
) -> Result<RestoreReport, RestoreError> {
    let mut feed = Feed::start(archive);
    let prelude = feed.prelude().await.map_err(RestoreFault::from)?;
    if let Some(expected) = &expected {
        refuse_other_archive(&prelude, expected)?;
    }
    let (mut targets, left_out) = choose(connection, &prelude, options)?;
    let decision = decide(&prelude, &targets, options)?;
    let in_the_way = inspect(&mut targets, options).await?;
    refuse_what_cannot_be_replaced(connection, &targets).await?;
    if options.dry_run {
        refuse_without_privileges(connection, &mut targets, options.ttl_indexes).await?;
        let namespaces = targets.iter().map(untouched).collect();
        let mut report = RestoreReport {
            dry_run: true,
            namespaces,
            in_the_way,
            left_out,
            ..RestoreReport::default()
        };
        if decision.rules.is_some() {
            rehearse(feed, decision, &targets, &mut report, progress).await?;
        }
        return Ok(report);
    }
    let removed_scratch = remove_dead(connection, &targets).await?;
    let scratch = Scratch::begin(connection, &mut targets).await?;
    let mut run = Run::new(connection, &targets, &scratch, options, progress);
    let ended = written(&mut run, &scratch, feed, decision, expected).await;
    scratch.remove().await;
    match ended {
        Ok((namespaces, anonymized)) => Ok(RestoreReport {
            namespaces,
            left_out,
            removed_scratch,
            anonymized,
            ..RestoreReport::default()
        }),
        Err(cause) => Err(RestoreError {
            cause,
            incomplete: run.into_touched(),
        }),
    }
}

/// Writes, with a beat during the work.
async fn written(
    run: &mut Run<'_>,
    scratch: &Scratch,
    feed: Feed,
    decision: Decision,
    expected: Option<Expected<'_>>,
) -> Result<(Vec<RestoredNamespace>, Option<AnonymizeReport>), RestoreFault> {
    tokio::select! {
        ended = run.all(feed, decision, expected) => ended,
        never = scratch.keep_beating() => match never {},
    }
}

/// The report of an untouched target.
fn untouched(target: &Target) -> RestoredNamespace {
    let names = target
        .metadata
        .index_names()
        .into_iter()
        .filter(|name| name != "_id_");
    RestoredNamespace {
        from: target.from.clone(),
        to: target.name(),
        kind: target.metadata.kind,
        target: target.state,
        replaces: target
            .existing
            .as_ref()
            .map(|existing| existing.kind)
            .filter(|kind| *kind != target.metadata.kind),
        result: RestoreResult::Planned,
        documents: 0,
        inserted: 0,
        skipped: 0,
        indexes: names.collect(),
        comparison: Comparison::NotDone,
        adjustments: target.adjustments.clone(),
        structure: Vec::new(),
        notes: Vec::new(),
        failures: target.refusal.iter().cloned().collect(),
    }
}

impl From<FeedError> for RestoreFault {
    fn from(error: FeedError) -> Self {
        match error {
            FeedError::Archive(error) => Self::Archive(error),
            FeedError::Source(error) => Self::Source(error),
            FeedError::Rules(failure) => Self::Rules(failure.to_string()),
            FeedError::Stopped => Self::Invalid("the restore was stopped".to_owned()),
        }
    }
}
