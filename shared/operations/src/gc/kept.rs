//! What may not be removed from a store: what backups refer to, in the store and, of the second, in the first too. What a
//! run has read is kept for the next one if its time runs out.

use std::collections::BTreeSet;

use holdfast_catalog::CollectingProgress;
use holdfast_codec::random_bytes;
use holdfast_domain::{BackupId, BackupType, ObjectKey, Timestamp};

use super::{
    Of,
    references::{Reading, References},
};
use crate::{
    Holdfast, OperationError, RunLimits,
    retention::{
        expected::{Expected, collection_suspension},
        inventory::manifests,
    },
};
use holdfast_repository::Repository;

/// Readings of the store, for content backups that are completed during one.
const READINGS: u32 = 3;

/// Whether a collection may begin.
pub(super) enum Known {
    /// Every reference is known.
    All,
    /// The time ran out.
    OutOfTime,
    /// Expected manifests are missing.
    Suspended(String),
}

/// What may not be removed from a store.
#[derive(Default)]
pub(super) struct Kept {
    there: References,
    /// Of the second store: what backups in the first refer to. Whoever copies one of those, without a row or after a
    /// long pause, may count on what was there when it looked.
    first: References,
    /// The part of the store that is listed next.
    pub(super) part: u64,
    /// Whether an earlier run left something.
    pub(super) is_continued: bool,
}

impl Kept {
    /// What an earlier run left, if its time ran out.
    pub(super) async fn resume(h: &Holdfast, of: Of<'_>) -> Result<Self, OperationError> {
        let there = progress(h, of.name(), of.repository(h)).await?;
        let first = match of {
            Of::First => None,
            Of::Second(_) => progress(h, FIRST_OF_SECOND, &h.repository).await?,
        };
        let part = there.as_ref().map_or(0, |progress| progress.part);
        Ok(Self {
            part,
            is_continued: there.is_some() || first.is_some(),
            there: there.map(References::from_progress).unwrap_or_default(),
            first: first.map(References::from_progress).unwrap_or_default(),
        })
    }

    /// Reads what was not read yet.
    pub(super) async fn read(
        &mut self,
        h: &Holdfast,
        of: Of<'_>,
        (limits, now): (RunLimits, Timestamp),
    ) -> Result<Known, OperationError> {
        match of {
            Of::First => read_expected(h, &mut self.there, &BTreeSet::new(), (limits, now)).await,
            Of::Second(second) => {
                if self.there.read(second, &BTreeSet::new(), limits).await? == Reading::OutOfTime {
                    return Ok(Known::OutOfTime);
                }
                read_expected(h, &mut self.first, &BTreeSet::new(), (limits, now)).await
            }
        }
    }

    /// Keeps what was read, and where the listing stopped, for the next run.
    pub(super) async fn keep(&self, h: &Holdfast, of: Of<'_>) -> Result<(), OperationError> {
        keep(h, of.name(), self.there.to_progress(of.repository(h).location().to_string(), self.part)).await?;
        if matches!(of, Of::Second(_)) {
            keep(h, FIRST_OF_SECOND, self.first.to_progress(h.repository.location().to_string(), 0)).await?;
        }
        Ok(())
    }

    /// Keeps only where the listing stopped: what was read is quickly read again.
    pub(super) async fn keep_part(&self, h: &Holdfast, of: Of<'_>) -> Result<(), OperationError> {
        let store = of.repository(h).location().to_string();
        keep(h, of.name(), CollectingProgress { store, part: self.part, ..CollectingProgress::default() }).await
    }

    /// The whole store was examined: the next run begins at the start, with what is there by then.
    pub(super) async fn forget(&self, h: &Holdfast, of: Of<'_>) -> Result<(), OperationError> {
        if !self.is_continued {
            return Ok(());
        }
        h.catalog.forget_collecting_progress(of.name()).await?;
        if matches!(of, Of::Second(_)) {
            h.catalog.forget_collecting_progress(FIRST_OF_SECOND).await?;
        }
        Ok(())
    }

    pub(super) fn contains(&self, key: &ObjectKey) -> bool {
        self.there.contains(key) || self.first.contains(key)
    }
}

/// Under which name the references of the first store are kept that a collection in the second needs.
const FIRST_OF_SECOND: &str = "second-first";

async fn progress(
    h: &Holdfast,
    name: &str,
    repository: &Repository,
) -> Result<Option<CollectingProgress>, OperationError> {
    Ok(h.catalog.collecting_progress(name, &repository.location().to_string()).await?)
}

async fn keep(h: &Holdfast, name: &str, progress: CollectingProgress) -> Result<(), OperationError> {
    let run = hex::encode(random_bytes::<8>()?);
    Ok(h.catalog.keep_collecting_progress(name, &run, &progress, Timestamp::now()).await?)
}

/// Reads the jobs that ended a short time ago and the backups in the first store. Then looks for every manifest that the
/// catalogue expects there: a missing one may name any object.
pub(super) async fn read_expected(
    h: &Holdfast,
    references: &mut References,
    gone: &BTreeSet<BackupId>,
    (limits, now): (RunLimits, Timestamp),
) -> Result<Known, OperationError> {
    // First the jobs: a manifest that is written after this is found among the backups, or its items are known.
    if references.read_ended_jobs(h, limits, now).await? == Reading::OutOfTime {
        return Ok(Known::OutOfTime);
    }
    for _ in 0..READINGS {
        if references.read(&h.repository, gone, limits).await? == Reading::OutOfTime {
            return Ok(Known::OutOfTime);
        }
        let databases = manifests(&h.repository, BackupType::Database).await?;
        let databases = Expected::compare(h, BackupType::Database, |id| databases.contains(id)).await?;
        // One that an earlier run read may be missing now.
        let listed = manifests(&h.repository, BackupType::Content).await?;
        let is_read = |id: &BackupId| gone.contains(id) || (references.contains_backup(id) && listed.contains(id));
        let contents = Expected::compare(h, BackupType::Content, is_read).await?;
        match collection_suspension(databases.unresolved().chain(contents.unresolved())) {
            Some(why) => return Ok(Known::Suspended(why)),
            None if contents.unseen == 0 => return Ok(Known::All),
            None => {}
        }
    }
    let why = "no content object was deleted, because content backups were completed meanwhile";
    Ok(Known::Suspended(why.to_owned()))
}
