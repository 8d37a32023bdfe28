//! The manifests that the catalogue expects, compared with those in the store. A missing manifest
//! may name any object. So retention protects everything until the manifest is back or an operator
//! accepts the loss.

use holdfast_repository::Repository;
use std::collections::BTreeSet;

use futures_util::{StreamExt as _, TryStreamExt as _};
use holdfast_catalog::{Catalog, Expectation};
use holdfast_domain::{BackupId, BackupType, ObjectKey};
use holdfast_storage::StoreError;

use super::{RETAINED_TYPES, mismatch::StoreMismatch};
use crate::{OperationError, inventory};

/// Manifests checked at a time.
const CONCURRENCY: usize = 16;
/// Ids named in one sentence.
const MAX_NAMED: usize = 5;

/// The expected backups of one type.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Expected {
    /// Number of backups with a completed job.
    pub(crate) completed: u64,
    /// Completed backups without a manifest.
    pub(crate) missing: Vec<BackupId>,
    /// Lost backups, still without a manifest.
    pub(crate) lost: Vec<BackupId>,
    /// Lost backups with a returned manifest, including those with an accepted loss.
    pub(crate) returned: Vec<BackupId>,
    /// Number of backups with a manifest written after the listing of the store.
    pub(crate) unseen: u64,
}

impl Expected {
    /// Compares the catalogue with the manifests that were `seen` in the store before.
    pub(crate) async fn compare(
        repository: &Repository,
        catalog: &Catalog,
        kind: BackupType,
        seen: impl Fn(&BackupId) -> bool,
    ) -> Result<Self, OperationError> {
        let mut found = Self::default();
        let (mut absent, mut absent_lost) = (Vec::new(), Vec::new());
        for one in catalog.expected(kind).await? {
            found.completed += u64::from(one.expectation == Expectation::Present);
            match (one.expectation, seen(&one.backup_id)) {
                (Expectation::Present, true) | (Expectation::AcceptedLoss, false) => {}
                (Expectation::Present, false) => absent.push(one.backup_id),
                (Expectation::Lost | Expectation::AcceptedLoss, true) => {
                    found.returned.push(one.backup_id);
                }
                (Expectation::Lost, false) => absent_lost.push(one.backup_id),
            }
        }
        let (missing, lost) = (
            without_manifest(repository, catalog, kind, absent).await?,
            without_manifest(repository, catalog, kind, absent_lost).await?,
        );
        found.unseen = missing.unseen + lost.unseen;
        (found.missing, found.lost) = (missing.gone, lost.gone);
        Ok(found)
    }

    /// Whether the store holds fewer than half of the completed backups.
    const fn is_short(&self) -> bool {
        self.present() * 2 < self.completed
    }

    const fn present(&self) -> u64 {
        self.completed.saturating_sub(self.missing.len() as u64)
    }

    /// All backups with a missing manifest.
    pub(crate) fn unresolved(&self) -> impl Iterator<Item = &BackupId> {
        self.missing.iter().chain(&self.lost)
    }
}

struct Absent {
    gone: Vec<BackupId>,
    unseen: u64,
}

/// The backups among these with a certainly missing manifest, as far as they are still expected.
///
/// Since the listing of the store, a backup may have been completed, or deleted by another run.
async fn without_manifest(
    repository: &Repository,
    catalog: &Catalog,
    kind: BackupType,
    ids: Vec<BackupId>,
) -> Result<Absent, OperationError> {
    let head = |id: BackupId| async move {
        match repository.store().head(&ObjectKey::manifest(&id)).await {
            Ok(_) => Ok(None),
            Err(StoreError::NotFound { .. }) => Ok(Some(id)),
            Err(error) => Err(OperationError::from(error)),
        }
    };
    let heads: Vec<_> = futures_util::stream::iter(ids)
        .map(head)
        .buffered(CONCURRENCY)
        .try_collect()
        .await?;
    let unseen = heads.iter().filter(|gone| gone.is_none()).count() as u64;
    let mut gone: Vec<BackupId> = heads.into_iter().flatten().collect();
    if !gone.is_empty() {
        let expected = catalog.expected(kind).await?;
        let expected = expected
            .into_iter()
            .filter(|one| one.expectation != Expectation::AcceptedLoss);
        let expected: BTreeSet<BackupId> = expected.map(|one| one.backup_id).collect();
        gone.retain(|id| expected.contains(id));
    }
    Ok(Absent { gone, unseen })
}

/// The reason for suspending retention of one type, if any: the store holds fewer than half of the
/// catalogue's completed backups, of this type or of both types together. It is probably another
/// store.
pub(crate) fn suspension(
    repository: &Repository,
    kind: BackupType,
    of_type: &Expected,
    both: [Option<&Expected>; 2],
) -> Option<StoreMismatch> {
    if of_type.is_short() {
        return Some(mismatch(repository, kind.as_str(), of_type));
    }
    let [Some(database), Some(content)] = both else {
        return None;
    };
    let together = Expected {
        completed: database.completed + content.completed,
        missing: database
            .missing
            .iter()
            .chain(&content.missing)
            .cloned()
            .collect(),
        ..Expected::default()
    };
    together
        .is_short()
        .then(|| mismatch(repository, "database and content", &together))
}

fn mismatch(repository: &Repository, kinds: &'static str, expected: &Expected) -> StoreMismatch {
    StoreMismatch {
        location: repository.location().clone(),
        present: expected.present(),
        completed: expected.completed,
        kinds,
    }
}

/// The reason for not collecting content objects while these manifests are missing.
pub(crate) fn collection_suspension<'a>(
    missing: impl IntoIterator<Item = &'a BackupId>,
) -> Option<String> {
    let missing: Vec<&str> = missing.into_iter().map(BackupId::as_str).collect();
    let id = missing.first()?;
    let named = missing[..missing.len().min(MAX_NAMED)].join(", ");
    let more = match missing.len().saturating_sub(MAX_NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Some(format!(
        "no content object was deleted, because expected manifests are missing: {named}{more}. Restore them, or accept \
         each loss with `holdfast lost accept {id}`"
    ))
}

/// The reason for not deleting anything: the store of one type, or of both types together, does not
/// match the catalogue.
pub(crate) fn store_mismatch(
    repository: &Repository,
    database: Option<&Expected>,
    content: Option<&Expected>,
) -> Option<StoreMismatch> {
    let both = [database, content];
    let mut of_types = RETAINED_TYPES.into_iter().zip(both);
    of_types.find_map(|(kind, of_type)| suspension(repository, kind, of_type?, both))
}

/// The same reason, after a new listing of the first store.
///
/// # Errors
/// If the store or the catalogue is unavailable.
pub(crate) async fn first_store_mismatch(
    repository: &Repository,
    catalog: &Catalog,
) -> Result<Option<StoreMismatch>, OperationError> {
    let mut both = Vec::new();
    for kind in RETAINED_TYPES {
        let seen = inventory::manifests(repository, kind).await?;
        both.push(Expected::compare(repository, catalog, kind, |id| seen.contains(id)).await?);
    }
    Ok(store_mismatch(repository, both.first(), both.get(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected(completed: u64, missing: u64) -> Expected {
        let id = |number: u64| format!("db_{number}_a").parse().unwrap();
        Expected {
            completed,
            missing: (0..missing).map(id).collect(),
            ..Expected::default()
        }
    }

    #[test]
    fn a_store_is_short_if_it_holds_fewer_than_half() {
        for (completed, missing, is_short) in [
            (0, 0, false),
            (1, 0, false),
            (1, 1, true),
            (2, 1, false),
            (2, 2, true),
            (3, 1, false),
            (3, 2, true),
            (31, 15, false),
            (31, 16, true),
        ] {
            assert_eq!(
                expected(completed, missing).is_short(),
                is_short,
                "{missing} of {completed} are missing"
            );
        }
    }

    #[test]
    fn a_suspended_collection_names_the_first_missing_backups_and_counts_the_rest() {
        assert_eq!(collection_suspension([]), None);
        let seven = expected(7, 7).missing;
        let why = collection_suspension(&seven).unwrap();
        assert!(
            why.contains("db_0_a, db_1_a, db_2_a, db_3_a, db_4_a and 2 more"),
            "{why}"
        );
        let one = collection_suspension(&seven[..1]).unwrap();
        assert!(one.contains("db_0_a. Restore"), "{one}");
    }
}
