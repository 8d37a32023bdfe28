//! The items of a content backup, as text.

use holdfast_domain::{BackupId, ItemCounts, ItemRecord};
use holdfast_operations::OperationError;
use holdfast_recovery::content_items;
use holdfast_repository::Repository;

use crate::text::{self, Side};

/// Maximum number of items to show.
pub(super) const SHOWN: usize = 20;

/// `498 of 500 items`, or `500 items` if none is missing.
pub(super) fn held(items: &ItemCounts) -> String {
    let of = text::count(items.expected, "item");
    let held = items.expected.saturating_sub(items.failed);
    if items.failed == 0 {
        of
    } else {
        format!("{held} of {of}")
    }
}

/// The contents of a backup, and the results of its items.
pub(super) fn fields(items: &ItemCounts) -> Vec<(&'static str, String)> {
    let mut fields = vec![
        (
            "holds",
            format!("{}, {}", held(items), text::size(items.bytes)),
        ),
        ("fetched", items.done.to_string()),
        ("unchanged", items.unchanged.to_string()),
    ];
    if items.failed > 0 {
        fields.push(("failed", items.failed.to_string()));
    }
    fields
}

/// The first items of a backup without a file, up to this number.
pub(super) async fn without_files(
    repository: &Repository,
    id: &BackupId,
    most: usize,
) -> Result<Vec<ItemRecord>, OperationError> {
    let mut found = Vec::new();
    content_items(repository, id, |item| {
        if item.file.is_none() && found.len() < most {
            found.push(item);
        }
    })
    .await?;
    Ok(found)
}

/// Items without a file, with the reasons.
pub(super) fn failures(items: &[ItemRecord]) -> String {
    let columns = [
        ("ITEM", Side::Left),
        ("TITLE", Side::Left),
        ("CODE", Side::Left),
        ("WHY", Side::Left),
    ];
    let rows: Vec<Vec<String>> = items.iter().map(row).collect();
    text::table(&columns, &rows)
}

fn row(record: &ItemRecord) -> Vec<String> {
    let (code, why) = record.error.as_ref().map_or(("", String::new()), |error| {
        (error.code.as_str(), error.message.clone())
    });
    let title: String = record.item.title.chars().take(40).collect();
    vec![record.item.content_id.clone(), title, code.to_owned(), why]
}

/// The last line of a shortened list.
pub(super) fn and_more(all: u64) -> Option<String> {
    let more = all.saturating_sub(SHOWN as u64);
    (more > 0).then(|| format!("… and {more} more"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_missing_items_are_reported() {
        let whole = ItemCounts {
            expected: 3,
            done: 1,
            unchanged: 2,
            ..ItemCounts::default()
        };
        assert_eq!(held(&whole), "3 items");
        assert!(fields(&whole).iter().all(|(name, _)| *name != "failed"));
        let partial = ItemCounts {
            expected: 3,
            done: 1,
            unchanged: 1,
            failed: 1,
            ..ItemCounts::default()
        };
        assert_eq!(held(&partial), "2 of 3 items");
        assert!(fields(&partial).contains(&("failed", "1".to_owned())));
    }

    #[test]
    fn a_cut_list_counts_the_omitted_lines() {
        assert_eq!(and_more(20), None);
        assert_eq!(and_more(21).as_deref(), Some("… and 1 more"));
    }
}
