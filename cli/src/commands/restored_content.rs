//! The result of a content restore, as text for people and a document for machines.

use std::path::Path;

use holdfast_domain::{BackupId, ItemRecord};
use holdfast_recovery::{CarReport, ContentRestoreReport, NotRestored};
use serde_json::{Value, json};

use super::items;
use crate::{
    failure::{Exit, Failure},
    output::Output,
    text,
};

/// Prints the result. A damaged or missing file is a failure. An item without a file in the backup
/// is not.
pub(super) fn print(
    id: &BackupId,
    to: &Path,
    report: &ContentRestoreReport,
    missing: &[ItemRecord],
    output: Output,
) -> Result<Exit, Failure> {
    output.result(&document(id, to, report), || text(id, to, report, missing))?;
    if report.is_faithful() {
        return Ok(Exit::Done);
    }
    let failed = text::count(report.failed.len() as u64, "file");
    Err(Failure::new(
        Exit::Incomplete,
        format!("restore incomplete: {failed} not restored (see above)"),
    )
    .hint("correct the cause, then repeat the command: it restores the missing files"))
}

fn document(id: &BackupId, to: &Path, report: &ContentRestoreReport) -> Value {
    let failed = |failed: &NotRestored| json!({ "contentId": failed.content_id, "fileName": failed.file_name, "reason": failed.reason });
    json!({
        "backupId": id,
        "directory": to,
        "faithful": report.is_faithful(),
        "restored": report.restored,
        "kept": report.kept,
        "bytes": report.bytes,
        "notBackedUp": report.not_backed_up,
        "failed": report.failed.iter().map(failed).collect::<Vec<_>>(),
    })
}

fn text(id: &BackupId, to: &Path, report: &ContentRestoreReport, missing: &[ItemRecord]) -> String {
    let restored = text::count(report.restored, "file");
    let mut lines = vec![format!(
        "{id}: {restored}, {}, restored to {}",
        text::size(report.bytes),
        to.display()
    )];
    if report.kept > 0 {
        lines.push(format!(
            "{} kept, the same as in the backup",
            text::count(report.kept, "file")
        ));
    }
    if report.not_backed_up > 0 {
        lines.push(format!(
            "{} not in the backup. Its reasons:",
            were(report.not_backed_up, "item")
        ));
        lines.push(items::failures(&missing[..missing.len().min(items::SHOWN)]));
        lines.extend(items::and_more(report.not_backed_up));
    }
    if !report.failed.is_empty() {
        let failed = report.failed.len() as u64;
        lines.push(format!("{} NOT restored:", were(failed, "file")));
        lines.extend(report.failed.iter().take(items::SHOWN).map(not_restored));
        lines.extend(items::and_more(failed));
    }
    lines
        .iter()
        .map(|line| line.trim_end())
        .collect::<Vec<_>>()
        .join("\n")
}

fn not_restored(failed: &NotRestored) -> String {
    let item = failed
        .content_id
        .as_ref()
        .map(|id| format!("item {id}, "))
        .unwrap_or_default();
    format!("  {item}{}: {}", failed.file_name, failed.reason)
}

fn were(number: u64, noun: &str) -> String {
    format!(
        "{} {}",
        text::count(number, noun),
        if number == 1 { "was" } else { "were" }
    )
}

pub(super) fn car_document(place: &Path, report: &CarReport) -> Value {
    json!({
        "file": place,
        "roots": report.roots,
        "items": report.items,
        "blocks": report.blocks,
        "bytes": report.bytes,
        "withoutBlocks": report.without_blocks,
    })
}

/// The contents of a CAR.
pub(super) fn car_text(place: &str, report: &CarReport) -> String {
    let (blocks, items) = (
        text::count(report.blocks, "block"),
        text::count(report.items, "item"),
    );
    let mut lines = vec![format!(
        "{place} contains {blocks}, {}, of {items}",
        text::size(report.bytes)
    )];
    lines.extend(
        report
            .roots
            .iter()
            .take(items::SHOWN)
            .map(|root| format!("root {root}")),
    );
    lines.extend(items::and_more(report.roots.len() as u64));
    if report.without_blocks > 0 {
        lines.push(blockless(report));
    }
    lines.join("\n")
}

/// The items that a CAR cannot contain.
fn blockless(report: &CarReport) -> String {
    let items = text::count(report.without_blocks, "item");
    format!(
        "{items} without blocks (from Gaia, or from a gateway without blocks). `--to` restores them as files"
    )
}

#[cfg(test)]
mod tests {
    use holdfast_domain::{ContentItem, ItemFailure, ItemFailureCode, ItemStatus, StorageType};

    use super::*;

    fn missing(content_id: u64) -> ItemRecord {
        let item = ContentItem {
            content_id: content_id.to_string(),
            title: "a\u{1b}[2Jtitle".to_owned(),
            url: "ipfs://x".to_owned(),
            storage_type: StorageType::Ipfs,
            creator: None,
            cut: std::collections::BTreeMap::new(),
        };
        let error = ItemFailure {
            code: ItemFailureCode::NotFound,
            message: "no gateway has it".to_owned(),
        };
        ItemRecord {
            item,
            status: ItemStatus::Failed,
            attempts: 1,
            file_name: None,
            file: None,
            error: Some(error),
        }
    }

    #[test]
    fn a_report_says_what_is_missing_and_why_and_no_more_than_can_be_read() {
        let failed = NotRestored {
            content_id: Some("7".to_owned()),
            file_name: "7_x.png".to_owned(),
            reason: "its object is damaged".to_owned(),
        };
        let report = ContentRestoreReport {
            restored: 5,
            kept: 2,
            bytes: 1024,
            not_backed_up: 25,
            failed: vec![failed; 21],
        };
        let missing: Vec<ItemRecord> = (0..25).map(missing).collect();
        let text = text(
            &"content_1_aa".parse().unwrap(),
            Path::new("/to"),
            &report,
            &missing,
        );
        for expected in [
            "5 files, 1.0 KiB, restored to /to",
            "2 files kept",
            "25 items were not in the backup",
            "no gateway has it",
            "not-found",
            "… and 5 more",
            "21 files were NOT restored",
            "item 7, 7_x.png: its object is damaged",
            "… and 1 more",
        ] {
            assert!(text.contains(expected), "{expected}: {text}");
        }
        assert!(
            !text.contains('\u{1b}') && text.lines().count() < 50,
            "{text}"
        );
    }
}
