//! `holdfast catalog rebuild`: fills a lost catalogue from the manifests in the store. It reports
//! unreadable backups and the rows that no store contains.

use std::sync::Arc;

use clap::{Args, Subcommand};
use holdfast_domain::{BackupId, BackupType, Timestamp};
use holdfast_operations::{
    Holdfast, RebuildProgress, RebuildReport, ReinstatedParent, Silent, Trust, UnreadCause,
    plan_rebuild, plan_retention, rebuild_catalog,
};
use serde::Serialize;

use crate::{
    failure::{Exit, Failure},
    opening::Opening,
    output::Output,
    progress::Meter,
    session::Session,
    text,
};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: CatalogCommand,
}

#[derive(Debug, Subcommand)]
enum CatalogCommand {
    /// Add missing jobs, and missing items of content backups, to the catalogue from the manifests
    /// in the store. Existing rows stay unchanged
    Rebuild(Rebuild),
}

#[derive(Debug, Args)]
struct Rebuild {
    /// Show what would be added, and write nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    opening: Opening,
}

impl Arguments {
    /// Keys for encrypted backups in addition to the settings.
    pub(crate) const fn opening(&self) -> &Opening {
        let CatalogCommand::Rebuild(what) = &self.what;
        &what.opening
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    store: String,
    /// The catalogue's database.
    catalog: String,
    #[serde(flatten)]
    report: &'a RebuildReport,
    /// Number of backups that retention deletes at its next run. Absent after a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    retention_deletes: Option<u64>,
}

pub(crate) async fn run(
    arguments: &Arguments,
    session: &Session,
    output: Output,
) -> Result<Exit, Failure> {
    let CatalogCommand::Rebuild(what) = &arguments.what;
    let holdfast = session.holdfast(Arc::new(Silent)).await?;
    let meter = Meter::new("reading backups");
    let progress = |done: &RebuildProgress| {
        meter.count(done.backups, done.of);
        meter.set_message(format!(
            "reading backups ({} of content so far):",
            text::count(done.items, "item")
        ));
    };
    let report = if what.dry_run {
        plan_rebuild(&holdfast, &progress).await
    } else {
        session.begin_writing();
        rebuild_catalog(&holdfast, &progress).await
    };
    meter.clear();
    let report = report?;
    let document = Document {
        store: holdfast.repository.location().to_string(),
        catalog: holdfast.catalog.location().database,
        report: &report,
        retention_deletes: retention_deletes(&holdfast, &report).await?,
    };
    output.result(&document, || render(&document))?;
    Ok(exit(&report))
}

/// Stored policies were lost with the catalogue. Until now, retention kept every backup without a
/// job.
async fn retention_deletes(
    holdfast: &Holdfast,
    report: &RebuildReport,
) -> Result<Option<u64>, Failure> {
    if report.dry_run {
        return Ok(None);
    }
    let plan = plan_retention(holdfast, Trust::AsListed, Timestamp::now()).await?;
    Ok(Some(plan.database.delete + plan.content.delete))
}

/// The common cause of all unread backups.
fn exit(report: &RebuildReport) -> Exit {
    if report.is_whole() {
        return Exit::Done;
    }
    let lacks_key = report
        .unread
        .iter()
        .any(|backup| backup.cause == UnreadCause::Key);
    let is_damaged = !report.damaged.is_empty()
        || report
            .unread
            .iter()
            .any(|backup| backup.cause != UnreadCause::Key);
    match (lacks_key, is_damaged) {
        (true, false) => Exit::Settings,
        (false, true) => Exit::Corrupt,
        _ => Exit::Failed,
    }
}

fn render(document: &Document<'_>) -> String {
    let report = document.report;
    let mut lines = vec![summary(document)];
    lines.extend(
        report
            .added
            .iter()
            .map(|added| format!("  added {}{}", added.backup_id, items(added.items))),
    );
    lines.extend(report.completed.iter().map(completed));
    lines.extend(report.brought_back.iter().map(brought_back));
    lines.extend(report.filled_up.iter().map(|backup| {
        format!(
            "  {}: only its items were missing{}",
            backup.backup_id,
            items(backup.items)
        )
    }));
    lines.extend(report.returned.iter().map(|id| {
        if report.dry_run {
            format!("  {id} would be completed again: its manifest is back")
        } else {
            format!("  {id} is completed again: its manifest is back")
        }
    }));
    lines.extend(report.damaged.iter().map(|damaged| {
        let id = &damaged.backup_id;
        format!(
            "  DAMAGED {id}: {}. Check with `holdfast verify {id}`",
            damaged.problem
        )
    }));
    lines.extend(
        report
            .unread
            .iter()
            .map(|unread| format!("  NOT ADDED {}: {}", unread.backup_id, unread.reason)),
    );
    lines.extend(
        report
            .repository_problem
            .iter()
            .map(|problem| format!("  the repository: {problem}")),
    );
    lines.extend(hints(report));
    if !report.dry_run && !report.added.is_empty() {
        lines.push(String::new());
        lines.push(LIMITS.to_owned());
    }
    let concerns_retention = !report.added.is_empty() || !report.policies_unconfirmed.is_empty();
    if !report.dry_run && concerns_retention {
        lines.push(retention(
            report,
            document.retention_deletes.unwrap_or_default(),
        ));
    }
    lines.join("\n")
}

fn completed(id: &BackupId) -> String {
    let why = match id.backup_type() {
        BackupType::Full => "all of its parts are completed",
        BackupType::Database | BackupType::Content => "its manifest exists",
    };
    format!("  completed {id}: its job had failed, but {why}")
}

fn brought_back(ReinstatedParent { backup_id, status }: &ReinstatedParent) -> String {
    format!(
        "  {backup_id} is {status} again: it was deleted with its parts, but a part is a backup again"
    )
}

fn summary(document: &Document<'_>) -> String {
    let Document {
        store,
        catalog,
        report,
        ..
    } = document;
    let (added, stood) = (
        text::count(report.added.len() as u64, "backup"),
        report.stood,
    );
    let rows = text::count(report.items, "item");
    if report.dry_run {
        return format!(
            "from {store}, {added} would be added to catalogue {catalog}, with {rows}. {stood} already exist"
        );
    }
    format!(
        "from {store}, {added} added to catalogue {catalog}, with {rows}. No second download for {}. {stood} already \
         existed",
        text::count(report.sources, "source")
    )
}

fn items(items: u64) -> String {
    if items == 0 {
        String::new()
    } else {
        format!(", {}", text::count(items, "item"))
    }
}

/// Further advice, with remedies.
fn hints(report: &RebuildReport) -> Vec<String> {
    let mut hints = Vec::new();
    if report
        .unread
        .iter()
        .any(|backup| backup.cause == UnreadCause::Key)
    {
        hints.push(
            "  Encrypted backups are added only after their manifests are authenticated: set BACKUP_ENCRYPTION_KEY or \
             BACKUP_KMS_KEY_ID, or pass --identity or --exported, then repeat the command"
                .to_owned(),
        );
    }
    if !report.parents_unknown.is_empty() {
        hints.push(format!(
            "  not added, because the store does not have both of their parts: {}",
            names(&report.parents_unknown)
        ));
    }
    if !report.without_manifest.is_empty() {
        hints.push(format!(
            "  not backups, because they have no manifest (runs or deletions at the time of the loss): {}. If none of \
             them runs, delete their folders by hand",
            names(&report.without_manifest)
        ));
    }
    hints
}

fn names(ids: &[BackupId]) -> String {
    const MAX_NAMED: usize = 10;
    let named: Vec<&str> = ids.iter().take(MAX_NAMED).map(BackupId::as_str).collect();
    match ids.len().saturating_sub(MAX_NAMED) {
        0 => named.join(", "),
        more => format!("{} and {more} more (--json has all)", named.join(", ")),
    }
}

const LIMITS: &str = "No backup contains these, so they are missing in the catalogue: failed or deleted backups, \
                      verification results, stored retention policies. If `holdfast export` was used, the newest \
                      object under exports/ contains them for reference.";

fn retention(report: &RebuildReport, deletes: u64) -> String {
    let deletes = match deletes {
        0 => "By the present policies, retention deletes none of them.".to_owned(),
        _ => format!(
            "By the present policies, retention DELETES {}.",
            text::count(deletes, "backup")
        ),
    };
    let kinds = &report.policies_unconfirmed;
    if kinds.is_empty() {
        return format!("{deletes} See `holdfast cleanup --dry-run`.");
    }
    let set: Vec<String> = kinds
        .iter()
        .map(|kind| format!("`holdfast policy set {kind}`"))
        .collect();
    let unset: Vec<String> = kinds
        .iter()
        .map(|kind| format!("`holdfast policy unset {kind}`"))
        .collect();
    let kinds: Vec<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
    format!(
        "Retention of {} backups is SUSPENDED. Store your former policies: {}. If you had none, confirm the settings: \
         {}.\n{deletes} See `holdfast cleanup --dry-run`.",
        kinds.join(" and "),
        set.join(", "),
        unset.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use holdfast_domain::{JobStatus, Timestamp};

    use super::*;

    #[test]
    fn a_settled_job_is_listed_with_its_reason() {
        let id = |kind| BackupId::new(kind, Timestamp::UNIX_EPOCH, [0; 4]);
        let reason = |kind| completed(&id(kind)).rsplit_once(": ").unwrap().1.to_owned();
        assert_eq!(
            reason(BackupType::Database),
            "its job had failed, but its manifest exists"
        );
        assert_eq!(
            reason(BackupType::Full),
            "its job had failed, but all of its parts are completed"
        );
        for status in [
            JobStatus::Failed,
            JobStatus::Cancelled,
            JobStatus::Completed,
        ] {
            let line = brought_back(&ReinstatedParent {
                backup_id: id(BackupType::Full),
                status,
            });
            assert!(
                line.contains(&format!("is {status} again")) && !line.contains("manifest"),
                "{line}"
            );
        }
    }
}
