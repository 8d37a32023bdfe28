//! The references of backups: the objects that a collection must keep.
//!
//! For the second store they include the references of backups in the first store. If the time
//! ends, the next run resumes with the recorded references.

use std::collections::BTreeSet;

use holdfast_catalog::CollectingProgress;
use holdfast_codec::random_bytes;
use holdfast_domain::{BackupId, BackupType, ObjectKey, Timestamp};
use holdfast_repository::Repository;

use super::{
    Side,
    references::{Reading, References},
};
use crate::{
    Holdfast, OperationError, RunLimits,
    inventory::{
        expected::{Expected, collection_suspension},
        manifests,
    },
};

/// Maximum number of readings, because content backups may complete during one.
const MAX_READINGS: u32 = 3;

/// Whether a collection may begin.
pub(super) enum Completeness {
    /// Every reference is known.
    All,
    /// The time ended.
    OutOfTime,
    /// Expected manifests are missing.
    Suspended(String),
}

/// The objects that a collection must keep.
#[derive(Default)]
pub(super) struct LiveSet {
    there: References,
    /// For the second store: references of backups in the first store. A copy without a row, or
    /// after a long pause, may rely on objects from its earlier check.
    first: References,
    /// The next part of the store to list.
    pub(super) part: u64,
    /// Whether an earlier run recorded progress.
    pub(super) is_continued: bool,
}

impl LiveSet {
    /// Reads the progress of an earlier run without enough time.
    pub(super) async fn resume(h: &Holdfast, side: Side<'_>) -> Result<Self, OperationError> {
        let there = progress(h, side.name(), side.repository(h)).await?;
        let first = match side {
            Side::Primary => None,
            Side::Replica(_) => progress(h, FIRST_OF_SECOND, &h.repository).await?,
        };
        let part = there.as_ref().map_or(0, |progress| progress.part);
        Ok(Self {
            part,
            is_continued: there.is_some() || first.is_some(),
            there: there.map(References::from_progress).unwrap_or_default(),
            first: first.map(References::from_progress).unwrap_or_default(),
        })
    }

    /// Reads the remaining backups.
    pub(super) async fn read(
        &mut self,
        h: &Holdfast,
        side: Side<'_>,
        (limits, now): (RunLimits, Timestamp),
    ) -> Result<Completeness, OperationError> {
        match side {
            Side::Primary => {
                read_expected(h, &mut self.there, &BTreeSet::new(), (limits, now)).await
            }
            Side::Replica(second) => {
                if self.there.read(second, &BTreeSet::new(), limits).await? == Reading::OutOfTime {
                    return Ok(Completeness::OutOfTime);
                }
                read_expected(h, &mut self.first, &BTreeSet::new(), (limits, now)).await
            }
        }
    }

    /// Records the references and the position of the listing for the next run.
    pub(super) async fn save_progress(
        &self,
        h: &Holdfast,
        side: Side<'_>,
    ) -> Result<(), OperationError> {
        save(
            h,
            side.name(),
            self.there
                .to_progress(side.repository(h).location().to_string(), self.part),
        )
        .await?;
        if matches!(side, Side::Replica(_)) {
            save(
                h,
                FIRST_OF_SECOND,
                self.first
                    .to_progress(h.repository.location().to_string(), 0),
            )
            .await?;
        }
        Ok(())
    }

    /// Records only the position of the listing. The references are quick to read again.
    pub(super) async fn save_position(
        &self,
        h: &Holdfast,
        side: Side<'_>,
    ) -> Result<(), OperationError> {
        let store = side.repository(h).location().to_string();
        save(
            h,
            side.name(),
            CollectingProgress {
                store,
                part: self.part,
                ..CollectingProgress::default()
            },
        )
        .await
    }

    /// Deletes the progress after a complete listing. The next run begins at the start, with the
    /// objects of that time.
    pub(super) async fn clear_progress(
        &self,
        h: &Holdfast,
        side: Side<'_>,
    ) -> Result<(), OperationError> {
        if !self.is_continued {
            return Ok(());
        }
        h.catalog.forget_collecting_progress(side.name()).await?;
        if matches!(side, Side::Replica(_)) {
            h.catalog
                .forget_collecting_progress(FIRST_OF_SECOND)
                .await?;
        }
        Ok(())
    }

    pub(super) fn contains(&self, key: &ObjectKey) -> bool {
        self.there.contains(key) || self.first.contains(key)
    }
}

/// Name of the progress record with the first store's references, for a collection in the second
/// store.
const FIRST_OF_SECOND: &str = "second-first";

async fn progress(
    h: &Holdfast,
    name: &str,
    repository: &Repository,
) -> Result<Option<CollectingProgress>, OperationError> {
    Ok(h.catalog
        .collecting_progress(name, &repository.location().to_string())
        .await?)
}

async fn save(
    h: &Holdfast,
    name: &str,
    progress: CollectingProgress,
) -> Result<(), OperationError> {
    let run = hex::encode(random_bytes::<8>()?);
    Ok(h.catalog
        .keep_collecting_progress(name, &run, &progress, Timestamp::now())
        .await?)
}

/// Reads the recently ended jobs and the backups in the first store. Then it checks each manifest
/// that the catalogue expects: a missing manifest may name any object.
pub(super) async fn read_expected(
    h: &Holdfast,
    references: &mut References,
    gone: &BTreeSet<BackupId>,
    (limits, now): (RunLimits, Timestamp),
) -> Result<Completeness, OperationError> {
    // The jobs come first. A manifest written after this step is either listed among the backups,
    // or its items are known.
    if references.read_ended_jobs(h, limits, now).await? == Reading::OutOfTime {
        return Ok(Completeness::OutOfTime);
    }
    for _ in 0..MAX_READINGS {
        if references.read(&h.repository, gone, limits).await? == Reading::OutOfTime {
            return Ok(Completeness::OutOfTime);
        }
        let databases = manifests(&h.repository, BackupType::Database).await?;
        let databases =
            Expected::compare(h, BackupType::Database, |id| databases.contains(id)).await?;
        // A manifest from an earlier run's reading may be missing now.
        let listed = manifests(&h.repository, BackupType::Content).await?;
        let is_read = |id: &BackupId| {
            gone.contains(id) || (references.contains_backup(id) && listed.contains(id))
        };
        let contents = Expected::compare(h, BackupType::Content, is_read).await?;
        match collection_suspension(databases.unresolved().chain(contents.unresolved())) {
            Some(why) => return Ok(Completeness::Suspended(why)),
            None if contents.unseen == 0 => return Ok(Completeness::All),
            None => {}
        }
    }
    let why = "no content object was deleted, because content backups were completed meanwhile";
    Ok(Completeness::Suspended(why.to_owned()))
}
