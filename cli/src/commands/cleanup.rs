//! `holdfast cleanup`: shows and deletes expired backups. `--dry-run` only shows them. In a
//! directory it also removes the remains of dead runs, because no function does it there.

use std::sync::Arc;

use clap::Args;
use holdfast_domain::{
    BackupId, RetentionVerdict, Timestamp,
    settings::{Settings, StoreLocation},
};
use holdfast_operations::{
    CollectionReport, Holdfast, PolicyOrigin, RetentionPlan, RetentionReport, RunLimits, Silent,
    SweepReport, Trust, TypePlan, TypeReport, plan_collection, plan_retention, retain, sweep,
};
use serde_json::json;

use crate::{
    confirm,
    failure::{Exit, Failure},
    output::Output,
    session::Session,
    text::{self, Side},
};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Show what would be deleted, and delete nothing
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    /// Delete without confirmation
    #[arg(long)]
    yes: bool,
}

const COLUMNS: [(&str, Side); 5] = [
    ("BACKUP", Side::Left),
    ("CREATED", Side::Left),
    ("SIZE", Side::Right),
    ("VERDICT", Side::Left),
    ("WHY", Side::Left),
];

pub(crate) async fn run(
    arguments: &Arguments,
    session: &Session,
    output: Output,
) -> Result<Exit, Failure> {
    let holdfast = session.holdfast(Arc::new(Silent)).await?;
    let plan = plan_retention(&holdfast, Trust::AsListed, Timestamp::now()).await?;
    if arguments.dry_run {
        let unreferenced = plan_collection(&holdfast, &plan, plan.at).await?;
        let mut document = json!({ "dryRun": true, "plan": &plan, "unreferenced": unreferenced.unreferenced,
            "unreferencedBytes": unreferenced.unreferenced_bytes });
        if let Some(why) = &unreferenced.suspended {
            document["collectionSuspended"] = json!(why);
        }
        output.result(&document, || {
            format!(
                "{}{}",
                render(&plan, &session.settings),
                objects_text(&unreferenced)
            )
        })?;
        let needs_attention = plan.needs_attention() || unreferenced.suspended.is_some();
        return Ok(if needs_attention {
            Exit::Attention
        } else {
            Exit::Done
        });
    }
    if !arguments.yes {
        if !confirm::can_ask() {
            return Err(confirm::cannot_ask("--yes or --dry-run"));
        }
        Output::question(&render(&plan, &session.settings));
        confirm::ask("Delete these backups, and every file that no other backup needs?").await?;
    }
    let is_suspended = plan.database.suspended.is_some() || plan.content.suspended.is_some();
    if !is_suspended && let Some(swept) = swept(&holdfast).await? {
        print(&swept, output);
    }
    // Boxed: the future of the use case is too deep a type for the compiler's layout.
    let report = Box::pin(retain(&holdfast, RunLimits::none(), Timestamp::now())).await?;
    output.result(&report, || done(&report))?;
    Ok(match report.all_problems().next() {
        Some(_) => Exit::Failed,
        None if report.needs_attention() => Exit::Attention,
        None => Exit::Done,
    })
}

/// Removes the remains of dead runs in a directory. In a bucket the functions do it, and raise the
/// alarms.
async fn swept(holdfast: &Holdfast) -> Result<Option<SweepReport>, Failure> {
    if !matches!(holdfast.repository.location(), StoreLocation::Directory(_)) {
        return Ok(None);
    }
    Ok(Some(
        Box::pin(sweep(holdfast, None, Timestamp::now())).await?,
    ))
}

fn print(report: &SweepReport, output: Output) {
    let cleared = report.uploads_aborted + report.objects_removed;
    if cleared > 0 {
        output.note(&format!(
            "{} of dead runs removed",
            text::count(cleared, "unfinished file")
        ));
    }
    for id in report.stalled.iter().chain(&report.not_started) {
        output.note(&format!(
            "{id} stopped without a result, and is marked as failed"
        ));
    }
    for id in report.to_continue.iter().map(|one| &one.backup_id) {
        output.note(&format!(
            "{id} was interrupted. The next `holdfast run content` or `holdfast run full` resumes it. `holdfast \
             cancel {id}` ends it"
        ));
    }
    for problem in &report.problems {
        output.note(&format!("not removed: {problem}"));
    }
}

fn render(plan: &RetentionPlan, settings: &Settings) -> String {
    [("database", &plan.database), ("content", &plan.content)]
        .map(|(name, plan)| type_text(name, plan, settings))
        .join("\n")
}

fn type_text(name: &str, plan: &TypePlan, settings: &Settings) -> String {
    let by = match plan.policy.origin {
        PolicyOrigin::Stored => "by the stored policy".to_owned(),
        PolicyOrigin::Settings => "by the settings".to_owned(),
        PolicyOrigin::Unconfirmed => "by the settings, once they are confirmed".to_owned(),
        PolicyOrigin::Unreadable => {
            format!(
                "because the stored policy cannot be read: {}",
                plan.policy.problem.as_deref().unwrap_or_default()
            )
        }
    };
    let mut heading = format!(
        "{name}: keeps {} and deletes {} ({}), {by}",
        text::count(plan.keep, "backup"),
        text::count(plan.delete, "backup"),
        text::size(plan.bytes)
    );
    for line in attention(plan) {
        heading.push('\n');
        heading.push_str(&line);
    }
    if plan.backups.is_empty() {
        return format!("{heading}\n");
    }
    let row = |backup: &holdfast_operations::PlannedBackup| {
        let why: Vec<String> = backup
            .decision
            .reasons
            .iter()
            .map(ToString::to_string)
            .collect();
        vec![
            backup.decision.backup_id.to_string(),
            text::time(backup.decision.created_at, settings),
            text::size(backup.size),
            match backup.decision.verdict {
                RetentionVerdict::Keep => "keep".to_owned(),
                RetentionVerdict::Delete => "delete".to_owned(),
            },
            why.join("; "),
        ]
    };
    let rows: Vec<_> = plan.backups.iter().map(row).collect();
    format!("{heading}\n{}", text::table(&COLUMNS, &rows))
}

/// The decisions for a person, one line each.
fn attention(plan: &TypePlan) -> Vec<String> {
    let suspended = plan
        .suspended
        .iter()
        .map(|why| format!("  suspended: {why}"));
    let lost = plan.lost.iter().map(lost_line);
    let returned = plan
        .returned
        .iter()
        .map(|id| format!("  {id}: its manifest is back, and a run completes it again"));
    suspended.chain(lost).chain(returned).collect()
}

fn lost_line(id: &BackupId) -> String {
    format!("  lost {id}: its manifest is missing. Restore it, or run `holdfast lost accept {id}`")
}

fn objects_text(unreferenced: &CollectionReport) -> String {
    if let Some(why) = &unreferenced.suspended {
        return format!("\n{why}");
    }
    format!(
        "\n{} ({}) would then belong to no backup",
        text::count(unreferenced.unreferenced, "content object"),
        text::size(unreferenced.unreferenced_bytes)
    )
}

fn done(report: &RetentionReport) -> String {
    let mut lines = Vec::new();
    for (name, type_text) in [("database", &report.database), ("content", &report.content)] {
        lines.push(deletions_text(name, type_text));
        lines.extend(
            type_text
                .deleted
                .iter()
                .map(|deleted| format!("  deleted {}", deleted.backup_id)),
        );
        lines.extend(
            type_text
                .blocked
                .iter()
                .map(|blocked| format!("  kept {}: {}", blocked.backup_id, blocked.lock)),
        );
        lines.extend(
            type_text
                .suspended
                .iter()
                .map(|why| format!("  suspended: {why}")),
        );
        lines.extend(type_text.lost.iter().map(lost_line));
        lines.extend(
            type_text
                .returned
                .iter()
                .map(|id| format!("  {id}: its manifest is back, and it is completed again")),
        );
    }
    let collection = &report.collection;
    lines.push(match (&collection.suspended, &collection.skipped) {
        (Some(why), _) => why.clone(),
        (None, Some(why)) => format!("content objects are left to the next run: {why}"),
        (None, None) => {
            format!(
                "content objects: {} deleted ({})",
                collection.deleted,
                text::size(collection.bytes_freed)
            )
        }
    });
    lines.extend(
        report
            .all_problems()
            .map(|problem| format!("failed: {problem}")),
    );
    lines.join("\n")
}

fn deletions_text(name: &str, report: &TypeReport) -> String {
    format!(
        "{name}: {} deleted ({}), {} left, {} of them good",
        text::count(report.deleted.len() as u64, "backup"),
        text::size(report.bytes_freed),
        report.retained,
        report.good
    )
}
