//! Lists the unreferenced objects of a store in parts. A part is one of the 256 folders of objects
//! or of DAG records.
//!
//! The next run resumes at the part of an interrupted listing, so that each run makes progress to
//! the end.

use futures_util::TryStreamExt as _;
use holdfast_domain::{ObjectKey, Timestamp};
use holdfast_repository::Repository;
use holdfast_storage::ObjectInfo;
use jiff::SignedDuration;

use crate::{OperationError, RunLimits, job::run::is_late};

/// Younger objects are never deleted: they may belong to a backup without a row in this catalogue.
const MIN_AGE: SignedDuration = SignedDuration::from_hours(24);
/// Maximum number of objects per run. It bounds the memory.
const MAX_OBJECTS: usize = 50_000;
/// Objects listed between two checks of the clock.
const OBJECTS_PER_CLOCK_CHECK: u64 = 1000;
const FOLDERS: [&str; 2] = [ObjectKey::OBJECTS, ObjectKey::DAGS];
/// Parts of one folder: its subfolders have two hex digits.
const PARTS: u64 = 256;

/// Result of a listing.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Unreferenced objects, without young ones.
    pub(super) unreferenced: Vec<ObjectInfo>,
    /// First part of the next run, or `None` after a complete listing.
    pub(super) next: Option<u64>,
    /// Whether the time ended the listing.
    pub(super) is_out_of_time: bool,
}

/// Lists from this part on. It ends at the end of the store, of the time, or at the maximum number
/// of objects per run.
pub(super) async fn list(
    repository: &Repository,
    from: u64,
    is_referred_to: impl Fn(&ObjectKey) -> bool,
    limits: RunLimits,
    now: Timestamp,
) -> Result<Listing, OperationError> {
    let mut found = Listing::default();
    let mut listed: u64 = 0;
    for (part, prefix) in prefixes(from) {
        let mut objects = repository.store().list(&prefix);
        let mut at = part;
        while let Some(object) = objects.try_next().await? {
            at = part_of(&object.key).unwrap_or(at);
            listed += 1;
            found.is_out_of_time =
                listed.is_multiple_of(OBJECTS_PER_CLOCK_CHECK) && is_late(limits);
            if found.unreferenced.len() == MAX_OBJECTS || found.is_out_of_time {
                // One part may exceed a run's maximum, or may hold only locked objects. Then the
                // other parts come first.
                found.next = Some(if at == from { at + 1 } else { at });
                return Ok(found);
            }
            let is_old = now.duration_since(object.last_modified_at) > MIN_AGE;
            if is_old && !is_referred_to(&object.key) {
                found.unreferenced.push(object);
            }
        }
    }
    Ok(found)
}

/// Returns complete folders for a listing from the start. Each call lists a thousand objects, and
/// in most stores a part has fewer.
fn prefixes(from: u64) -> Vec<(u64, String)> {
    if from == 0 || from >= PARTS * 2 {
        return vec![(0, FOLDERS[0].to_owned()), (PARTS, FOLDERS[1].to_owned())];
    }
    let folder = |part: u64| if part < PARTS { FOLDERS[0] } else { FOLDERS[1] };
    (from..PARTS * 2)
        .map(|part| (part, format!("{}{:02x}/", folder(part), part % PARTS)))
        .collect()
}

fn part_of(key: &ObjectKey) -> Option<u64> {
    FOLDERS
        .into_iter()
        .zip([0, PARTS])
        .find_map(|(folder, first)| {
            let digits = key.as_str().strip_prefix(folder)?.get(..2)?;
            Some(first + u64::from_str_radix(digits, 16).ok()?)
        })
}

#[cfg(test)]
mod tests {
    use holdfast_domain::{Encoding, Sha256Digest};

    use super::*;

    #[test]
    fn every_part_has_a_prefix_and_every_object_a_part() {
        for part in 1..PARTS * 2 {
            let prefixes = prefixes(part);
            assert_eq!(prefixes.len() as u64, PARTS * 2 - part);
            let byte = u8::try_from(part % PARTS).unwrap();
            let address = Sha256Digest::new([byte; 32]);
            let key = if part < PARTS {
                ObjectKey::content_object(&address, Encoding::GZIP_ENCRYPTED)
            } else {
                ObjectKey::content_dag(&address, Encoding::PLAIN)
            };
            assert!(
                key.as_str().starts_with(&prefixes[0].1),
                "{key} is not in {}",
                prefixes[0].1
            );
            assert_eq!((part_of(&key), prefixes[0].0), (Some(part), part));
        }
        assert_eq!(
            part_of(&ObjectKey::restore_guide(&"content_1_a".parse().unwrap())),
            None
        );
    }
}
