//! `holdfast lost list` shows backups with a missing manifest. `holdfast lost accept` accepts their
//! loss: the next run of retention deletes their remains.

use std::sync::Arc;

use clap::{Args, Subcommand};
use holdfast_domain::{BackupId, CopyStatus, Job, Timestamp, settings::Settings};
use holdfast_operations::{
    Holdfast, LostBackup, LostBackups, ManifestPresence, Silent, accept_loss, expect_fitting_store,
    expect_lost, lost_backups,
};

use crate::{
    confirm, environment,
    failure::{Exit, Failure},
    output::Output,
    session::Session,
    text::{self, Side},
};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: LostCommand,
}

#[derive(Debug, Subcommand)]
enum LostCommand {
    /// List the backups of the catalogue without a manifest in the store
    List,
    /// Accept the loss of backups. The next cleanup deletes their remains, and their copies in the
    /// second store
    Accept(Accept),
}

#[derive(Debug, Args)]
struct Accept {
    /// The lost backups, as listed by `holdfast lost list`
    #[arg(
        value_name = "BACKUP_ID",
        required_unless_present = "all",
        conflicts_with = "all"
    )]
    ids: Vec<BackupId>,
    /// Accept every backup that `holdfast lost list` shows as missing
    #[arg(long)]
    all: bool,
    /// Accept without confirmation
    #[arg(long)]
    yes: bool,
}

const COLUMNS: [(&str, Side); 5] = [
    ("BACKUP", Side::Left),
    ("CREATED", Side::Left),
    ("FOUND LOST", Side::Left),
    ("MANIFEST", Side::Left),
    ("SECOND COPY", Side::Left),
];

pub(crate) async fn run(
    arguments: &Arguments,
    session: &Session,
    output: Output,
) -> Result<Exit, Failure> {
    let holdfast = session.holdfast(Arc::new(Silent)).await?;
    match &arguments.what {
        LostCommand::List => {
            let lost = lost_backups(&holdfast).await?;
            output.result(&lost, || list(&lost, &session.settings))?;
            if !lost.backups.is_empty() {
                return Ok(Exit::Attention);
            }
        }
        LostCommand::Accept(what) => accept(what, &holdfast, output).await?,
    }
    Ok(Exit::Done)
}

fn list(lost: &LostBackups, settings: &Settings) -> String {
    if lost.backups.is_empty() {
        return format!(
            "no backup is lost: {} has every manifest of the catalogue",
            lost.store
        );
    }
    let row = |backup: &LostBackup| {
        let found = backup
            .lost_at
            .map_or_else(|| "not yet".to_owned(), |at| text::time(at, settings));
        let manifest = match backup.manifest {
            ManifestPresence::Missing => "missing",
            ManifestPresence::Present => "back",
        };
        let copy = backup
            .copy
            .as_ref()
            .map_or_else(|| "none".to_owned(), |copy| copy.status.to_string());
        vec![
            backup.backup_id.to_string(),
            text::time(backup.created_at, settings),
            found,
            manifest.to_owned(),
            copy,
        ]
    };
    let rows: Vec<_> = lost.backups.iter().map(row).collect();
    let id = lost
        .backups
        .first()
        .map(|backup| backup.backup_id.to_string())
        .unwrap_or_default();
    let advice = lost.suspended.clone().unwrap_or_else(|| {
        format!(
            "To keep a backup, restore its manifest and run `holdfast cleanup`. To give it up, run `holdfast lost accept \
             {id}`"
        )
    });
    format!("{}\n\n{advice}", text::table(&COLUMNS, &rows).trim_end())
}

async fn accept(what: &Accept, holdfast: &Holdfast, output: Output) -> Result<(), Failure> {
    let store = expect_fitting_store(holdfast).await?;
    let ids = if what.all {
        missing(holdfast).await?
    } else {
        what.ids.clone()
    };
    let mut jobs = Vec::new();
    for id in &ids {
        jobs.push(expect_lost(holdfast, id).await?);
    }
    if !what.yes && !jobs.is_empty() {
        if !confirm::can_ask() {
            return Err(
                Failure::refused("nothing was changed: stdin is not a terminal")
                    .hint("check `holdfast lost list`, then pass --yes"),
            );
        }
        Output::question(&consequences(&jobs, holdfast));
        confirm::ask("Accept the loss of these backups?").await?;
    }
    for job in &jobs {
        let accepted = accept_loss(
            holdfast,
            store,
            &job.backup_id,
            environment::operator(),
            Timestamp::now(),
        )
        .await?;
        output.result(&accepted, || {
            format!(
                "{}: the loss is accepted, and `holdfast cleanup` deletes the rest",
                accepted.backup_id
            )
        })?;
    }
    if jobs.is_empty() {
        output.text(|| "no backup is lost".to_owned())?;
    }
    Ok(())
}

async fn missing(holdfast: &Holdfast) -> Result<Vec<BackupId>, Failure> {
    let lost = lost_backups(holdfast).await?.backups.into_iter();
    Ok(lost
        .filter(|one| one.manifest == ManifestPresence::Missing)
        .map(|one| one.backup_id)
        .collect())
}

fn consequences(jobs: &[Job], holdfast: &Holdfast) -> String {
    let mut lines = vec![format!(
        "No manifest in {}:",
        holdfast.repository.location()
    )];
    for job in jobs {
        let copy = job
            .copy
            .as_ref()
            .filter(|copy| copy.status == CopyStatus::Completed);
        let copy = copy
            .map(|copy| format!(", and its copy in {}", copy.store))
            .unwrap_or_default();
        lines.push(format!(
            "  {}: the next cleanup deletes its remains{copy}",
            job.backup_id
        ));
    }
    lines.join("\n")
}
