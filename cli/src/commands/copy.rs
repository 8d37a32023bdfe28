//! `holdfast copy <id>…`: copies backups to the second store. `--repair` reads the complete copy
//! and repairs it from the first store. The catalogue is optional: if it is reachable, the jobs
//! record the result. The reverse direction is a restore from the copy, by `--store`.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use clap::Args;
use holdfast_domain::{BackupId, BackupType};
use holdfast_operations::{
    CopyMode, CopyReport, CopyStep, Holdfast, OperationError, RunLimits, Silent, copy_backup,
    copy_without_catalogue,
};
use holdfast_repository::Repository;
use serde::Serialize;

use super::kind;
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
    /// The backups to copy. A full backup is copied as its parts
    #[arg(value_name = "BACKUP_ID", required_unless_present = "all")]
    ids: Vec<BackupId>,
    /// Copy every backup in the store, newest first
    #[arg(long, conflicts_with = "ids")]
    all: bool,
    /// Read every object of the copy, and replace altered objects from the first store. The object
    /// in the first store is verified before it replaces the copy
    #[arg(long)]
    repair: bool,
    #[command(flatten)]
    pub(crate) opening: Opening,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    #[serde(flatten)]
    report: &'a CopyReport,
    /// The second store.
    store: String,
    /// Whether its job records the copy.
    recorded: bool,
    /// The reason if it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    catalog_problem: Option<&'a str>,
}

pub(crate) async fn run(
    arguments: &Arguments,
    session: &Session,
    output: Output,
) -> Result<Exit, Failure> {
    let (primary, second) = (session.repository()?, second(session)?);
    let ids = wanted(arguments, &primary, session).await?;
    if ids.is_empty() {
        output.text(|| format!("{} holds no backup yet", primary.location()))?;
        return Ok(Exit::Done);
    }
    let mode = if arguments.repair {
        CopyMode::Repair
    } else {
        CopyMode::Missing
    };
    let work = Work {
        primary,
        second,
        mode,
        rows: Mutex::new(rows(session).await),
    };
    session.begin_writing();
    let mut failed = Vec::new();
    for id in &ids {
        if let Err(failure) = work.copy(id, output).await {
            failed.push((id, failure));
        }
    }
    Failure::from_parts(failed).map_or(Ok(Exit::Done), Err)
}

fn second(session: &Session) -> Result<Repository, Failure> {
    let second = session.second_repository()?.ok_or_else(|| {
        Failure::new(
            Exit::Settings,
            "a copy needs a second store, but BACKUP_CLOUD_BUCKET is not set",
        )
        .hint("set BACKUP_CLOUD_PROVIDER and BACKUP_CLOUD_BUCKET, and the keys of the second store")
    })?;
    if session.settings.store.as_ref() == Some(second.location()) {
        let problem = format!(
            "{} is both the first store and the second",
            second.location()
        );
        return Err(Failure::new(Exit::Settings, problem)
            .hint("set --store or BACKUP_STORE to the first store"));
    }
    Ok(second)
}

/// Each once, in the order of the command line.
async fn wanted(
    arguments: &Arguments,
    primary: &Repository,
    session: &Session,
) -> Result<Vec<BackupId>, Failure> {
    if arguments.all {
        return Ok(primary
            .list()
            .await?
            .into_iter()
            .map(|backup| backup.backup_id)
            .collect());
    }
    let mut ids = Vec::new();
    for id in &arguments.ids {
        if id.backup_type() == BackupType::Full {
            let parts = kind::parts_in_store(id, session).await?;
            if parts.is_empty() {
                return Err(OperationError::NotFound(id.clone()).into());
            }
            ids.extend(parts);
        } else {
            ids.push(id.clone());
        }
    }
    let mut seen = BTreeSet::new();
    ids.retain(|id| seen.insert(id.clone()));
    Ok(ids)
}

/// Whether jobs can record the copy.
enum Rows {
    Recorded(Box<Holdfast>),
    /// The catalogue cannot be used. It is tried only once.
    Not(String),
}

/// Jobs record only copies of the settings' own store.
async fn rows(session: &Session) -> Rows {
    if session.is_elsewhere() {
        return Rows::Not("the backups of --store are not those of the catalogue".to_owned());
    }
    match session.holdfast(Arc::new(Silent)).await {
        Ok(holdfast) => Rows::Recorded(Box::new(holdfast)),
        Err(failure) => Rows::Not(failure.message().to_owned()),
    }
}

struct Work {
    primary: Repository,
    second: Repository,
    mode: CopyMode,
    rows: Mutex<Rows>,
}

impl Work {
    async fn copy(&self, id: &BackupId, output: Output) -> Result<(), Failure> {
        let meter = Meter::new(&format!("copying {id}"));
        let (report, problem) = self.copied(id, &|done, of| meter.set(done, of)).await?;
        meter.clear();
        let document = Document {
            report: &report,
            store: self.second.location().to_string(),
            recorded: problem.is_none(),
            catalog_problem: problem.as_deref(),
        };
        output.result(&document, || render(&document))
    }

    async fn copied(
        &self,
        id: &BackupId,
        progress: &(dyn Fn(u64, u64) + Sync),
    ) -> Result<(CopyReport, Option<String>), Failure> {
        if let Some(h) = self.with_rows() {
            // Boxed: the future of the use case is too deep a type for the compiler's layout.
            match Box::pin(copy_backup(
                &h,
                &self.second,
                id,
                self.mode,
                RunLimits::none(),
                progress,
            ))
            .await
            {
                Err(OperationError::Catalog(error)) => self.without_rows(error.to_string()),
                step => return from_step(id, step?).map(|report| (report, None)),
            }
        }
        let copied = Box::pin(copy_without_catalogue(
            &self.primary,
            &self.second,
            id,
            self.mode,
            progress,
        ));
        Ok((copied.await?, self.why_not()))
    }

    fn with_rows(&self) -> Option<Holdfast> {
        match &*self.rows.lock().unwrap_or_else(PoisonError::into_inner) {
            Rows::Recorded(h) => Some((**h).clone()),
            Rows::Not(_) => None,
        }
    }

    fn without_rows(&self, why: String) {
        *self.rows.lock().unwrap_or_else(PoisonError::into_inner) = Rows::Not(why);
    }

    fn why_not(&self) -> Option<String> {
        match &*self.rows.lock().unwrap_or_else(PoisonError::into_inner) {
            Rows::Recorded(_) => None,
            Rows::Not(why) => Some(why.clone()),
        }
    }
}

fn from_step(id: &BackupId, step: CopyStep) -> Result<CopyReport, Failure> {
    match step {
        CopyStep::Done(report) => Ok(report),
        CopyStep::Gone => Err(OperationError::NotFound(id.clone()).into()),
        CopyStep::Busy(why) => Err(Failure::refused(why).hint("try again in a minute")),
        // Only a function's time ends.
        CopyStep::Continue => {
            Err(Failure::refused("its copy is incomplete")
                .hint("run the command again: it resumes"))
        }
    }
}

fn render(document: &Document<'_>) -> String {
    let CopyReport {
        backup_id,
        copied,
        present,
        mended,
        ..
    } = document.report;
    let mut lines = vec![format!(
        "{backup_id} is in {}: {} sent, {present} there already",
        document.store,
        text::count(*copied, "object")
    )];
    lines.extend(mended.iter().map(|what| format!("  mended {what}")));
    if let Some(problem) = document.catalog_problem {
        lines.push(format!("its job does not record the copy: {problem}"));
    }
    lines.join("\n")
}
