//! `holdfast verify <id>`: reads a backup and compares it with its manifest. `--level drill`
//! restores it into scratch databases, and drops them even after an interruption. The result is
//! recorded in the catalogue if it is reachable. An unreachable catalogue does not prevent a
//! verification.

use std::sync::Arc;

use clap::{Args, ValueEnum};
use holdfast_database::RestoreProgress;
use holdfast_domain::{
    BackupId, DrilledCollection, Timestamp, VerificationLevel, VerificationStatus,
};
use holdfast_operations::{compare_with_job, record_verification};
use holdfast_recovery::{RecoveryError, Verification, drill, readers::Purpose};
use serde::Serialize;

use super::{items, kind};
use crate::{
    connection::Given,
    failure::{Exit, Failure},
    interrupt,
    opening::Opening,
    output::Output,
    progress::Meter,
    reading,
    session::Session,
    text,
};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The backup to verify
    #[arg(value_name = "BACKUP_ID")]
    id: BackupId,
    /// The level of verification
    #[arg(long, value_enum, default_value_t = Level::Checksum)]
    level: Level,
    /// For a drill, the name of the environment variable with the connection string of the server
    /// for the scratch databases [default: `BACKUP_DRILL_URI`]
    #[arg(long, value_name = "NAME")]
    drill_uri_env: Option<String>,
    #[command(flatten)]
    pub(crate) opening: Opening,
}

impl Arguments {
    /// Whether an interruption leaves something to undo.
    pub(crate) fn is_drill(&self) -> bool {
        matches!(self.level, Level::Drill)
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Level {
    /// Check that the manifest, every artifact and every file object exist with the right size
    Exists,
    /// In addition, compare every byte with the checksums
    Checksum,
    /// In addition, decrypt, decompress and compare the contents with the manifest. For a database,
    /// that is the count and content hash of every namespace. For content, that is the SHA-256
    /// and the CID of every file
    Structure,
    /// In addition, restore into scratch databases of another server, compare, and drop them. Only
    /// for database backups
    Drill,
}

impl From<Level> for VerificationLevel {
    fn from(level: Level) -> Self {
        match level {
            Level::Exists => Self::Exists,
            Level::Checksum => Self::Checksum,
            Level::Structure => Self::Structure,
            Level::Drill => Self::Drill,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    #[serde(flatten)]
    verification: &'a Verification,
    recorded: bool,
    /// Why it could not be recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    catalog_problem: Option<&'a str>,
}

pub(crate) async fn run(
    arguments: &Arguments,
    session: &Session,
    output: Output,
) -> Result<Exit, Failure> {
    kind::expect_one(&arguments.id, session).await?;
    if arguments.drill_uri_env.is_some() && !arguments.is_drill() {
        return Err(Failure::usage("--drill-uri-env needs --level drill"));
    }
    let meter = Arc::new(Meter::new(&format!("reading {}", arguments.id)));
    let lease = reading::protect(session, &arguments.id, Purpose::Verify).await?;
    let found = if arguments.is_drill() {
        drilled(arguments, session, &meter).await
    } else {
        read(arguments, session, &meter).await
    };
    meter.clear();
    lease.release().await;
    let mut found = found?;
    let recorded = record(&mut found, session).await;
    let problem = recorded.as_ref().err().map(Failure::message);
    let document = Document {
        verification: &found,
        recorded: recorded.is_ok(),
        catalog_problem: problem,
    };
    output.result(&document, || text(&document))?;
    Ok(match found.status {
        VerificationStatus::Failed => Exit::Corrupt,
        VerificationStatus::Passed if found.repository_problems.is_empty() => Exit::Done,
        VerificationStatus::Passed => Exit::Attention,
    })
}

async fn read(
    arguments: &Arguments,
    session: &Session,
    meter: &Arc<Meter>,
) -> Result<Verification, Failure> {
    let (repository, shown) = (session.repository()?, Arc::clone(meter));
    let progress = move |read, of| shown.set(read, of);
    let level = arguments.level.into();
    Ok(holdfast_recovery::verify(
        &repository,
        &arguments.id,
        level,
        Timestamp::now(),
        progress,
    )
    .await?)
}

async fn drilled(
    arguments: &Arguments,
    session: &Session,
    meter: &Arc<Meter>,
) -> Result<Verification, Failure> {
    let variable = arguments.drill_uri_env.as_deref();
    let given = Given {
        option: "--drill-uri",
        plainly: None,
        variable,
        file: None,
    };
    let server = match (&session.settings.drill.uri, variable) {
        (None, None) => {
            return Err(Failure::new(Exit::Settings, "a drill needs a server for its scratch databases")
                .hint("set BACKUP_DRILL_URI, or name a variable with its connection string: --drill-uri-env"));
        }
        (Some(uri), _) => given.or_else(|| Ok(uri))?,
        (None, Some(_)) => {
            given.or_else(|| Err(Failure::usage("--drill-uri-env names no variable")))?
        }
    };
    let repository = session.repository()?;
    let progress = |progress: &RestoreProgress| meter.set(progress.bytes, 0);
    let drill = drill(
        &repository,
        &arguments.id,
        &server,
        Timestamp::now(),
        interrupt::next(),
        &progress,
    );
    match Box::pin(drill).await {
        Err(error @ RecoveryError::Unfinished(_)) => {
            Err(Failure::new(Exit::Interrupted, error.to_string()))
        }
        drilled => Ok(drilled?),
    }
}

/// Records the result in the catalogue. The result of a copy is not recorded, because it is no
/// evidence about the backup in the catalogue.
async fn record(found: &mut Verification, session: &Session) -> Result<(), Failure> {
    if session.is_elsewhere() {
        return Err(Failure::failed(
            "the backups of --store are not those of the catalogue",
        ));
    }
    let catalog = session.catalog().await?;
    compare_with_job(&catalog, &session.repository()?, found).await?;
    Ok(record_verification(&catalog, found).await?)
}

fn text(document: &Document<'_>) -> String {
    let found = document.verification;
    let (id, level) = (&found.backup_id, found.level.as_str());
    let read = format!(
        "{} read in {}",
        text::size(found.bytes_read),
        text::duration(found.duration_ms)
    );
    let holds = found
        .items
        .as_ref()
        .map(|items| format!("{}, ", items::held(items)))
        .unwrap_or_default();
    let mut lines = match found.status {
        VerificationStatus::Passed => vec![format!("{id} passed at level {level}: {holds}{read}")],
        VerificationStatus::Failed => vec![format!("{id} FAILED at level {level}: {holds}{read}")],
    };
    lines.extend(found.collections.iter().map(collection));
    lines.extend(found.problems.iter().map(|problem| format!("  {problem}")));
    lines.extend(
        found
            .repository_problems
            .iter()
            .map(|problem| format!("  repository: {problem}")),
    );
    lines.extend(found.notes.iter().map(|note| format!("  note: {note}")));
    if let Some(problem) = document.catalog_problem {
        lines.push(format!("not recorded: {problem}"));
    }
    lines.join("\n")
}

fn collection(drilled: &DrilledCollection) -> String {
    let DrilledCollection {
        namespace,
        expected,
        restored,
        same_content,
        indexes,
        indexes_left_out,
        ..
    } = drilled;
    let content = match same_content {
        Some(true) => ", the same content",
        Some(false) => ", OTHER CONTENT",
        None => "",
    };
    let left_out = match indexes_left_out.as_slice() {
        [] => String::new(),
        names => format!(
            ", left out because they delete documents: {}",
            names.join(", ")
        ),
    };
    format!(
        "  {namespace}: {restored} of {expected} documents{content}, {} indexes{left_out}",
        indexes.len()
    )
}
