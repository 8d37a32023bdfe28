//! `holdfast verify <id>`: reads a backup and says whether it is what was written. The result is recorded in the
//! catalogue where that can be reached; that it cannot is no reason not to verify.

use std::sync::Arc;

use clap::{Args, ValueEnum};
use holdfast_domain::{BackupId, Timestamp, VerificationLevel, VerificationStatus};
use holdfast_operations::{Verification, record_verification};
use serde::Serialize;

use super::{items, kind};
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
    /// The backup
    #[arg(value_name = "BACKUP_ID")]
    id: BackupId,
    /// How deep to look
    #[arg(long, value_enum, default_value_t = Level::Checksum)]
    level: Level,
    #[command(flatten)]
    pub(crate) opening: Opening,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Level {
    /// The manifest, every artifact and every object of a file are there, with the right size
    Exists,
    /// And every byte is as it was written
    Checksum,
    /// And decrypted and unzipped it holds what the manifest says: of a database every namespace, its count and its
    /// content hash; of content every file, by its own SHA-256 and its CID
    Structure,
}

impl From<Level> for VerificationLevel {
    fn from(level: Level) -> Self {
        match level {
            Level::Exists => Self::Exists,
            Level::Checksum => Self::Checksum,
            Level::Structure => Self::Structure,
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

pub(crate) async fn run(arguments: &Arguments, session: &Session, output: Output) -> Result<Exit, Failure> {
    kind::expect_one(&arguments.id, session).await?;
    let repository = session.repository()?;
    let meter = Arc::new(Meter::new(&format!("reading {}", arguments.id)));
    let shown = Arc::clone(&meter);
    let progress = move |read, of| shown.set(read, of);
    let level = arguments.level.into();
    let found = holdfast_operations::verify(&repository, &arguments.id, level, Timestamp::now(), progress).await?;
    meter.clear();
    let recorded = record(&found, session).await;
    let problem = recorded.as_ref().err().map(Failure::message);
    let document = Document { verification: &found, recorded: recorded.is_ok(), catalog_problem: problem };
    output.result(&document, || text(&document))?;
    match found.status {
        VerificationStatus::Passed => Ok(Exit::Done),
        VerificationStatus::Failed => Ok(Exit::Corrupt),
    }
}

async fn record(found: &Verification, session: &Session) -> Result<(), Failure> {
    Ok(record_verification(&session.catalog().await?, found).await?)
}

fn text(document: &Document<'_>) -> String {
    let found = document.verification;
    let (id, level) = (&found.backup_id, found.level.as_str());
    let read = format!("{} read in {}", text::size(found.bytes_read), text::duration(found.duration_ms));
    let holds = found.items.as_ref().map(|items| format!("{}, ", items::held(items))).unwrap_or_default();
    let mut lines = match found.status {
        VerificationStatus::Passed => vec![format!("{id} passed at level {level}: {holds}{read}")],
        VerificationStatus::Failed => vec![format!("{id} FAILED at level {level}: {holds}{read}")],
    };
    lines.extend(found.problems.iter().map(|problem| format!("  {problem}")));
    if let Some(problem) = document.catalog_problem {
        lines.push(format!("not recorded: {problem}"));
    }
    lines.join("\n")
}
