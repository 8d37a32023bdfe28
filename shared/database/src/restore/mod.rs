//! The restore: any mongodump archive, walked and proved on its way into a database.
//!
//! Everything that can be refused is refused before the first write. Then collections are created with their options,
//! documents inserted as they lie in the archive, what was written is read back and compared, indexes are made, views
//! created, and last the indexes that delete documents. What breaks on the way names what it left incomplete.

mod adjust;
mod existing;
mod feed;
mod insert;
mod map;
mod measurements;
mod name;
mod options;
mod rehearsal;
mod report;
mod run;
mod structure;
mod target;

use std::io::Read;

pub use self::{
    adjust::{AdjustedPart, Adjustment, Change},
    map::{MapError, NamespaceMap},
    options::{Existing, Expected, ExpectedNamespace, RestoreOptions, TtlIndexes, UnknownOptions},
    report::{
        Comparison, LeftOut, RestoreError, RestoreFault, RestoreProgress, RestoreReport, RestoreStep,
        RestoredNamespace, TargetState,
    },
};
use self::{
    existing::inspect,
    feed::{Feed, FeedError},
    rehearsal::{decide, rehearse},
    run::Run,
    target::{Target, choose, refuse_other_archive},
};
use crate::Connection;

/// Restores an archive, read on a blocking thread of its own.
///
/// The reader must hand out nothing that was not authenticated; an error of it ends the restore. With `expected`, what
/// the archive holds is compared with what the manifest says.
///
/// # Errors
/// [`RestoreError`], which names what it left incomplete; refusals come before anything is written.
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
    let (targets, left_out) = choose(connection, &prelude, options)?;
    let (mut targets, refused): (Vec<Target>, Vec<Target>) =
        targets.into_iter().partition(|target| target.refusal.is_none());
    let refused: Vec<RestoredNamespace> = refused.iter().map(untouched).collect();
    let decision = decide(&prelude, &targets, options)?;
    inspect(&mut targets, options).await?;
    if options.dry_run {
        let namespaces = targets.iter().map(untouched).chain(refused).collect();
        let mut report = RestoreReport { dry_run: true, namespaces, left_out, anonymized: None };
        if decision.rules.is_some() {
            rehearse(feed, decision, &targets, &mut report, progress).await?;
        }
        return Ok(report);
    }
    let mut run = Run::new(connection, &targets, options.ttl_indexes, progress);
    match run.all(feed, decision, expected).await {
        Ok((mut namespaces, anonymized)) => {
            namespaces.extend(refused);
            Ok(RestoreReport { dry_run: false, namespaces, left_out, anonymized })
        }
        Err(cause) => Err(RestoreError { cause, incomplete: run.into_touched() }),
    }
}

/// What there is to say of a target that nothing was done to.
fn untouched(target: &Target) -> RestoredNamespace {
    let names = target.metadata.index_names().into_iter().filter(|name| name != "_id_");
    RestoredNamespace {
        from: target.from.clone(),
        to: target.name(),
        kind: target.metadata.kind,
        target: target.state,
        documents: 0,
        inserted: 0,
        skipped: 0,
        indexes: names.collect(),
        comparison: Comparison::NotDone,
        adjustments: target.adjustments.clone(),
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
