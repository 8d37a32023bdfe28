//! Names of scratch collections: `holdfast_restore_<run>_<hash of the target>`. They are short,
//! because a namespace has 255 bytes at most. Their form is fixed, so no user's collection is
//! mistaken for one.

use bson::oid::ObjectId;
use sha2::{Digest as _, Sha256};

/// The prefix of every scratch collection. It is reserved: mongodump leaves out every collection
/// with it.
pub(crate) const SCRATCH_PREFIX: &str = "holdfast_restore_";
/// The last part of the name of the collection with the beat of a restore.
const BEAT: &str = "beat";
const RUN_DIGITS: usize = 8;
const TARGET_DIGITS: usize = 12;

/// A unique name for one restore.
pub(crate) fn new_run() -> String {
    let digest = Sha256::digest(ObjectId::new().bytes());
    hex::encode(digest)[..RUN_DIGITS].to_owned()
}

/// The scratch collection of a target.
pub(crate) fn target_name(run: &str, collection: &str) -> String {
    let digest = hex::encode(Sha256::digest(collection));
    format!("{SCRATCH_PREFIX}{run}_{}", &digest[..TARGET_DIGITS])
}

/// The collection with the beat of a restore.
pub(crate) fn beat_name(run: &str) -> String {
    format!("{SCRATCH_PREFIX}{run}_{BEAT}")
}

/// The restore that created this collection, if one did.
pub(crate) fn run_of(collection: &str) -> Option<&str> {
    let (run, target) = collection.strip_prefix(SCRATCH_PREFIX)?.split_once('_')?;
    let is_hex = |text: &str, digits| {
        text.len() == digits
            && text
                .bytes()
                .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    };
    (is_hex(run, RUN_DIGITS) && (target == BEAT || is_hex(target, TARGET_DIGITS))).then_some(run)
}

/// Whether this is a scratch collection of a restore. Such a collection is never dumped or
/// restored.
pub(crate) fn is_scratch(collection: &str) -> bool {
    run_of(collection).is_some()
}

pub(crate) fn is_beat(collection: &str) -> bool {
    run_of(collection).is_some_and(|run| collection == beat_name(run))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scratch_name_is_recognised_and_no_similar_name_is() {
        let run = new_run();
        let name = target_name(&run, "contents");
        assert_eq!(run_of(&name), Some(run.as_str()));
        assert!(is_scratch(&beat_name(&run)) && is_beat(&beat_name(&run)) && !is_beat(&name));
        for other in [
            "holdfast_restore_notes",
            "holdfast_restore_0a1b2c3d",
            "holdfast_restore_0a1b2c3d_notes",
            "holdfast_restore_0A1B2C3D_beat",
            "holdfast_restore_0a1b2c3d_0123456789abc",
            "my_holdfast_restore_0a1b2c3d_beat",
        ] {
            assert!(!is_scratch(other), "{other}");
        }
    }

    #[test]
    fn a_scratch_name_fits_beside_every_database_however_long_its_target() {
        let longest_database = 63;
        let buckets = "system.buckets.".len();
        let name = target_name(&new_run(), &"x".repeat(255));
        assert!(
            longest_database + 1 + buckets + name.len() <= 255 && name.len() <= 40,
            "{name}"
        );
        assert_ne!(target_name("0a1b2c3d", "a"), target_name("0a1b2c3d", "b"));
    }
}
