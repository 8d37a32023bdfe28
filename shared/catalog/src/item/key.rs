//! The name of an item inside a backup. Content ids and document ids come from a database with many
//! writers. They may be long, odd, or imitate another id.
//!
//! The names have three distinct forms: a content id without `~`, `<start>~~<hash>` for any other,
//! and one of these with `~<document>` for a further document of the same content id. `<document>`
//! has no `~`.

use bson::{Document, doc};
use holdfast_domain::BackupId;
use sha2::{Digest, Sha256};

/// The longest unchanged content id, in bytes.
const LONGEST: usize = 200;
/// The readable start of a longer one.
const START: usize = 100;
/// The longest unchanged document id, in bytes.
const LONGEST_DOCUMENT: usize = 64;

/// The name of the first document with this content id.
pub(super) fn name(content_id: &str) -> String {
    if content_id.len() <= LONGEST && !content_id.contains('~') {
        return content_id.to_owned();
    }
    let start = content_id.split('~').next().unwrap_or_default();
    let start = &start[..start.floor_char_boundary(START)];
    format!("{start}~~{}", hash(content_id))
}

/// The name of a further document with the same content id.
pub(super) fn name_of_further(content_id: &str, document: &str) -> String {
    format!("{}~{document}", name(content_id))
}

/// A bounded form of a document's id. A plain id, the usual case, stays unchanged.
pub(super) fn document(doc_id: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if !doc_id.is_empty() && doc_id.len() <= LONGEST_DOCUMENT && doc_id.bytes().all(plain) {
        doc_id.to_owned()
    } else {
        format!("sha256:{}", hash(doc_id))
    }
}

fn hash(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}

/// The `_id` of an item's row.
pub(super) fn row_id(backup: &BackupId, content_id: &str) -> String {
    format!("{backup}/{content_id}")
}

/// The name inside its backup of this row's item.
pub(super) fn content_id(row_id: &str) -> Option<&str> {
    row_id.split_once('/').map(|(_, content_id)| content_id)
}

/// The `_id`s of a backup's rows: all of them, or those after a given one.
pub(super) fn range(backup: &BackupId, after: Option<&str>) -> Document {
    // The next character after `/` is `0`.
    let end = format!("{backup}0");
    let start = after.map_or_else(
        || doc! { "$gte": row_id(backup, "") },
        |after| doc! { "$gt": row_id(backup, after) },
    );
    start.into_iter().chain(doc! { "$lt": end }).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn usual_ids_are_taken_as_they_are() {
        for id in [
            "",
            "7",
            "65f0c0ffee65f0c0ffee65f0",
            "3f6c1f0e-8f3e-4a53-9a3b-1d8a1b6b2f11",
            "a/b",
            "ä\0b",
        ] {
            assert_eq!(name(id), id);
        }
        assert_eq!(name(&"x".repeat(200)), "x".repeat(200));
        assert_eq!(
            name_of_further("7", &document("65f0c0ffee65f0c0ffee65f0")),
            "7~65f0c0ffee65f0c0ffee65f0"
        );
    }

    #[test]
    fn a_long_id_is_cut_and_gets_its_hash() {
        let (long, longer) = ("ä".repeat(5_000), "ä".repeat(5_001));
        assert!(name(&long).starts_with(&format!("{}~~", "ä".repeat(50))));
        assert_ne!(name(&long), name(&longer));
        assert!(document(&long).len() < 80);
    }

    #[test]
    fn no_id_can_imitate_the_name_of_another() {
        let long = "x".repeat(300);
        let further = name_of_further("7", "a");
        for target in [name(&long), further.clone(), name_of_further(&long, "a")] {
            assert_ne!(name(&target), target);
        }
        // A document id with the end of another name, and one with the hash of a name.
        assert_ne!(
            name_of_further("7", &document("~a")),
            name_of_further("7~", &document("a"))
        );
        assert_ne!(document(&document("~a")), document("~a"));
    }

    proptest! {
        #[test]
        fn names_are_bounded_and_apart(
            a in "[ab~/]{0,4}|x{198,203}", b in "[ab~/]{0,4}|x{198,203}",
            one in "[ab~:]{0,3}", other in "[ab~:]{0,3}",
        ) {
            let further = |id: &str, doc: &str| name_of_further(id, &document(doc));
            prop_assert_eq!(name(&a) == name(&b), a == b);
            prop_assert_eq!(further(&a, &one) == further(&b, &other), a == b && one == other);
            prop_assert_ne!(name(&a), further(&b, &one));
            prop_assert!(further(&a, &one).len() <= 272);
        }
    }
}
