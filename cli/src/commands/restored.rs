//! The result or the plan of a restore, as a table for people and a document for machines.

use std::collections::HashMap;

use holdfast_database::{Comparison, RestoreReport, RestoreResult, RestoredNamespace, TargetState};
use holdfast_domain::Manifest;
use serde::Serialize;

use super::anonymize::{self, Samples};
use crate::text::{self, Side};

/// Adds document counts from the manifest, because a dry run does not read the documents.
pub(super) fn expect_documents(report: &mut RestoreReport, manifest: &Manifest) {
    let counts: HashMap<String, u64> = manifest
        .namespaces
        .iter()
        .map(|held| (format!("{}.{}", held.db, held.collection), held.documents))
        .collect();
    for namespace in &mut report.namespaces {
        namespace.documents = counts.get(&namespace.from).copied().unwrap_or_default();
    }
}

/// Namespaces that are not faithfully restored.
pub(super) fn not_restored(report: &RestoreReport) -> impl Iterator<Item = &RestoredNamespace> {
    report
        .namespaces
        .iter()
        .filter(|namespace| !namespace.is_faithful())
}

/// The report with its two ends.
#[derive(Serialize)]
pub(super) struct Document<'a> {
    source: &'a str,
    target: &'a str,
    faithful: bool,
    #[serde(flatten)]
    report: &'a RestoreReport,
}

pub(super) fn document<'a>(
    source: &'a str,
    target: &'a str,
    report: &'a RestoreReport,
) -> Document<'a> {
    Document {
        source,
        target,
        faithful: report.is_faithful(),
        report,
    }
}

pub(super) fn text(source: &str, target: &str, report: &RestoreReport) -> String {
    let columns = [
        ("FROM", Side::Left),
        ("TO", Side::Left),
        ("KIND", Side::Left),
        ("DOCUMENTS", Side::Right),
        ("INDEXES", Side::Right),
        ("THERE BEFORE", Side::Left),
        (if report.dry_run { "" } else { "RESULT" }, Side::Left),
    ];
    let rows: Vec<Vec<String>> = report
        .namespaces
        .iter()
        .map(|namespace| row(namespace, report))
        .collect();
    let verb = if report.dry_run {
        "would be restored"
    } else {
        "was restored"
    };
    let samples = if report.dry_run {
        Samples::Shown
    } else {
        Samples::Hidden
    };
    let mut parts = vec![
        format!("{source} {verb} into {target}"),
        text::table(&columns, &rows),
    ];
    for namespace in &report.namespaces {
        parts.extend(lines_of(namespace).map(|line| format!("{}: {line}", namespace.to)));
    }
    parts.extend(space(report));
    parts.extend(
        report
            .removed_scratch
            .iter()
            .map(|name| format!("removed {name}, left by a killed restore")),
    );
    parts.extend(
        report
            .left_out
            .iter()
            .map(|left_out| format!("left out {}: {}", left_out.namespace, left_out.reason)),
    );
    parts.extend(
        report
            .anonymized
            .iter()
            .map(|rules| anonymize::text(rules, samples)),
    );
    parts
        .iter()
        .map(|part| part.trim_end())
        .collect::<Vec<_>>()
        .join("\n")
}

/// Failures, differences and intended changes of a namespace.
fn lines_of(namespace: &RestoredNamespace) -> impl Iterator<Item = String> {
    let differences = namespace
        .structure
        .iter()
        .map(|difference| format!("DIFFERS: {difference}"));
    let notes = namespace.notes.iter().map(|note| format!("note: {note}"));
    let adjustments = namespace.adjustments.iter().map(ToString::to_string);
    namespace
        .failures
        .iter()
        .cloned()
        .chain(differences)
        .chain(adjustments)
        .chain(notes)
}

/// While a copy is restored, the target still takes its space.
fn space(report: &RestoreReport) -> Option<String> {
    let is_replaced =
        |target: &TargetState| matches!(target, TargetState::Replaced(number) if *number > 0);
    let replaced = report
        .namespaces
        .iter()
        .filter(|namespace| is_replaced(&namespace.target))
        .count();
    (report.dry_run && replaced > 0).then(|| {
        let targets = text::count(u64::try_from(replaced).unwrap_or(u64::MAX), "target");
        format!("the server needs space for a second copy of {targets}, until each copy has replaced its target")
    })
}

fn row(namespace: &RestoredNamespace, report: &RestoreReport) -> Vec<String> {
    let dry_run = report.dry_run;
    // A dry run reads only the archive's list of namespaces, so the number of documents is unknown.
    let unknown = dry_run
        && report
            .namespaces
            .iter()
            .all(|namespace| namespace.documents == 0);
    vec![
        namespace.from.clone(),
        namespace.to.clone(),
        namespace.kind.to_string(),
        if unknown {
            "?".to_owned()
        } else {
            namespace.documents.to_string()
        },
        namespace.indexes.len().to_string(),
        there_before(namespace, report),
        if dry_run {
            String::new()
        } else {
            result(namespace)
        },
    ]
}

fn there_before(namespace: &RestoredNamespace, report: &RestoreReport) -> String {
    let dry_run = report.dry_run;
    let documents = |number: &u64| match namespace.replaces {
        Some(kind) if kind.as_str() == "view" => "a view".to_owned(),
        Some(kind) => format!("a {kind} of {}", text::count(*number, "document")),
        None => text::count(*number, "document"),
    };
    let is_replaced = namespace.result == RestoreResult::Restored;
    match &namespace.target {
        TargetState::Absent => "nothing".to_owned(),
        TargetState::Empty => "an empty collection".to_owned(),
        TargetState::Dropped(number) if dry_run => {
            format!("{}, to be dropped first", documents(number))
        }
        TargetState::Dropped(number) => format!("{}, dropped", documents(number)),
        TargetState::Replaced(number) if dry_run => {
            format!("{}, to be replaced", documents(number))
        }
        TargetState::Replaced(number) if is_replaced => format!("{}, replaced", documents(number)),
        TargetState::Replaced(number) if namespace.result == RestoreResult::Kept => {
            format!("{}, kept", documents(number))
        }
        TargetState::Replaced(number) => documents(number),
        TargetState::Merged(number) => format!("{}, kept", documents(number)),
        TargetState::InTheWay(0) => "in the way".to_owned(),
        TargetState::InTheWay(number) => format!("{}, in the way", documents(number)),
    }
}

fn result(namespace: &RestoredNamespace) -> String {
    let compared = match &namespace.comparison {
        // Only the archive was compared with its manifest. It does not contain earlier documents of
        // the target.
        Comparison::Equal if matches!(namespace.target, TargetState::Merged(_)) => {
            "merged, not compared".to_owned()
        }
        Comparison::Equal => "equal".to_owned(),
        Comparison::Anonymized => "anonymised".to_owned(),
        Comparison::NotDone => "not compared".to_owned(),
        Comparison::Differs(how) => format!("DIFFERS: {how}"),
    };
    let skipped = match namespace.skipped {
        0 => String::new(),
        number => format!(", {number} there already"),
    };
    let failed = match (namespace.is_faithful(), namespace.result) {
        (true, _) => "",
        (false, RestoreResult::Kept) => ", NOT RESTORED: target unchanged",
        (false, _) => ", INCOMPLETE",
    };
    format!(
        "{} inserted{skipped}, {compared}{failed}",
        namespace.inserted
    )
}

#[cfg(test)]
mod tests {
    use holdfast_database::{AdjustedPart, Adjustment, Change, LeftOut, RestoredNamespace};

    use super::*;

    fn planned(documents: u64) -> RestoreReport {
        RestoreReport {
            dry_run: true,
            ..report(documents)
        }
    }

    fn report(documents: u64) -> RestoreReport {
        let namespace = RestoredNamespace {
            from: "a.users".to_owned(),
            to: "b.users".to_owned(),
            kind: holdfast_archive::NamespaceKind::Collection,
            target: TargetState::Dropped(7),
            replaces: None,
            result: RestoreResult::Incomplete,
            documents,
            inserted: documents,
            skipped: 0,
            indexes: Vec::new(),
            comparison: Comparison::Differs("2 documents are missing".to_owned()),
            structure: vec!["`capped` is true in the archive and nothing in the target".to_owned()],
            notes: vec!["a note".to_owned()],
            adjustments: vec![Adjustment {
                part: AdjustedPart::Option,
                name: "autoIndexId".to_owned(),
                indexes: Vec::new(),
                change: Change::LeftOut,
                reason: "the server always creates the index on _id".to_owned(),
            }],
            failures: vec!["an index was refused".to_owned()],
        };
        let left_out = LeftOut {
            namespace: "admin.system.version".to_owned(),
            reason: "the server's own".to_owned(),
        };
        RestoreReport {
            dry_run: false,
            namespaces: vec![namespace],
            in_the_way: Vec::new(),
            left_out: vec![left_out],
            removed_scratch: vec!["b.holdfast_restore_0a1b2c3d_0123456789ab".to_owned()],
            anonymized: None,
        }
    }

    #[test]
    fn what_went_wrong_and_what_was_left_out_is_said() {
        let text = text("backup x", "mongodb://h/", &report(3));
        for expected in [
            "DIFFERS: 2 documents are missing",
            "an index was refused",
            "left out admin.system.version",
            "b.users: option autoIndexId left out: the server always",
            "7 documents, dropped",
            "b.users: DIFFERS: `capped`",
            "b.users: note: a note",
            "INCOMPLETE",
            "removed b.holdfast_restore_0a1b2c3d_0123456789ab",
        ] {
            assert!(text.contains(expected), "{expected}: {text}");
        }
    }

    #[test]
    fn a_target_of_another_kind_and_the_space_of_the_copy_are_named() {
        let mut planned = planned(3);
        planned.namespaces[0].target = TargetState::Replaced(7);
        planned.namespaces[0].replaces = Some(holdfast_archive::NamespaceKind::Timeseries);
        let shown = text("backup x", "mongodb://h/", &planned);
        assert!(
            shown.contains("a timeseries of 7 documents, to be replaced"),
            "{shown}"
        );
        assert!(
            shown.contains("space for a second copy of 1 target"),
            "{shown}"
        );
        let mut kept = report(3);
        kept.namespaces[0].target = TargetState::Replaced(7);
        kept.namespaces[0].result = RestoreResult::Kept;
        let shown = text("backup x", "mongodb://h/", &kept);
        assert!(
            shown.contains("7 documents, kept") && shown.contains("NOT RESTORED"),
            "{shown}"
        );
    }

    #[test]
    fn a_dry_run_does_not_say_that_it_did_anything() {
        let text = text("archive x", "mongodb://h/", &planned(0));
        assert!(
            text.contains("b.users: option autoIndexId left out"),
            "{text}"
        );
        assert!(
            text.contains("would be restored")
                && text.contains("to be dropped")
                && text.contains(" ?"),
            "{text}"
        );
        assert!(
            !text.contains("inserted") && !text.contains("RESULT"),
            "{text}"
        );
    }
}
