//! The objects of a store that nothing refers to, part by part: a part is one of the 256 folders of objects, or of DAG
//! records. A listing that stops begins there the next time, so that what lies at the end is reached.

use futures_util::TryStreamExt as _;
use holdfast_domain::{ObjectKey, Timestamp};
use holdfast_storage::ObjectInfo;
use jiff::SignedDuration;

use crate::{OperationError, RunLimits, retention::backups::is_late};
use holdfast_repository::Repository;

/// An object this young is never touched: it may be of a backup that nobody here knows of.
const LEFT_ALONE_FOR: SignedDuration = SignedDuration::from_hours(24);
/// The most that one run removes: what bounds its memory.
const MOST: usize = 50_000;
/// Objects listed between two looks at the clock.
const OBJECTS_PER_LOOK: u64 = 1000;
const FOLDERS: [&str; 2] = [ObjectKey::OBJECTS, ObjectKey::DAGS];
/// Parts of one folder: its subfolders have two hex digits.
const PARTS: u64 = 256;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Objects that nothing refers to, but for young ones.
    pub(super) unreferenced: Vec<ObjectInfo>,
    /// The part that the next run begins with. `None` once everything from the first part on was listed.
    pub(super) next: Option<u64>,
    /// Whether the time ended the listing.
    pub(super) is_out_of_time: bool,
}

/// Lists from this part on, to the end of the store, of the time, or of what one run removes.
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
            found.is_out_of_time = listed.is_multiple_of(OBJECTS_PER_LOOK) && is_late(limits);
            if found.unreferenced.len() == MOST || found.is_out_of_time {
                // Where one part has more than one run removes, or locked objects alone, the others come first.
                found.next = Some(if at == from { at + 1 } else { at });
                return Ok(found);
            }
            let is_old = now.duration_since(object.last_modified_at) > LEFT_ALONE_FOR;
            if is_old && !is_referred_to(&object.key) {
                found.unreferenced.push(object);
            }
        }
    }
    Ok(found)
}

/// Whole folders where a listing begins at the start: each call lists a thousand objects, and most stores have fewer in
/// a part.
fn prefixes(from: u64) -> Vec<(u64, String)> {
    if from == 0 || from >= PARTS * 2 {
        return vec![(0, FOLDERS[0].to_owned()), (PARTS, FOLDERS[1].to_owned())];
    }
    let folder = |part: u64| if part < PARTS { FOLDERS[0] } else { FOLDERS[1] };
    (from..PARTS * 2).map(|part| (part, format!("{}{:02x}/", folder(part), part % PARTS))).collect()
}

fn part_of(key: &ObjectKey) -> Option<u64> {
    FOLDERS.into_iter().zip([0, PARTS]).find_map(|(folder, first)| {
        let digits = key.as_str().strip_prefix(folder)?.get(..2)?;
        Some(first + u64::from_str_radix(digits, 16).ok()?)
    })
}

#[cfg(test)]
mod tests {
    use holdfast_domain::Sha256Digest;

    use super::*;

    #[test]
    fn every_part_has_a_prefix_and_every_object_a_part() {
        for part in 1..PARTS * 2 {
            let prefixes = prefixes(part);
            assert_eq!(prefixes.len() as u64, PARTS * 2 - part);
            let byte = u8::try_from(part % PARTS).unwrap();
            let address = Sha256Digest::new([byte; 32]);
            let key = if part < PARTS {
                ObjectKey::content_object(&address, true, true)
            } else {
                ObjectKey::content_dag(&address, false)
            };
            assert!(key.as_str().starts_with(&prefixes[0].1), "{key} is not in {}", prefixes[0].1);
            assert_eq!((part_of(&key), prefixes[0].0), (Some(part), part));
        }
        assert_eq!(part_of(&ObjectKey::restore_guide(&"content_1_a".parse().unwrap())), None);
    }
}
