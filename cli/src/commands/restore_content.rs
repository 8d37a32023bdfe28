//! `holdfast restore content`: restores the files of a backup into a directory, or their original
//! IPFS blocks into a CAR. It needs only the store.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::Args;
use holdfast_domain::{BackupId, BackupType};
use holdfast_recovery::{
    CarReport, ContentRestoreProgress, export_car, readers::Purpose, restore_content,
};
use holdfast_repository::RepositoryError;

use super::{decrypt::stdout_for_data, items, kind, restored_content};
use crate::{
    failure::{Exit, Failure},
    opening::Opening,
    output::Output,
    part_file::PartFile,
    progress::Meter,
    reading,
    session::Session,
    text,
};

/// The remedy if there are no blocks.
const FILES: &str = "--to restores files even without their blocks";

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The backup to restore
    #[arg(value_name = "BACKUP_ID")]
    id: BackupId,
    #[command(flatten)]
    place: Place,
    /// Restore only the item with this content ID
    #[arg(long, value_name = "ID")]
    content_id: Option<String>,
    #[command(flatten)]
    pub(super) opening: Opening,
}

/// Files or blocks.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Place {
    /// Write the files into this directory, and create it if necessary. Every file is checked. An
    /// existing identical file is kept, so the same command resumes an interrupted restore
    #[arg(long, value_name = "DIRECTORY")]
    to: Option<PathBuf>,
    /// Write the original IPFS blocks, with their original CIDs, into this CAR file for `ipfs dag
    /// import`. `-` is stdout, which must not be a terminal
    #[arg(long, value_name = "FILE")]
    to_car: Option<PathBuf>,
}

impl Arguments {
    /// The advice after an interruption.
    pub(super) const fn how_to_resume(&self) -> &'static str {
        if self.place.to.is_some() {
            "the same command resumes: existing files are checked and kept"
        } else {
            "no CAR is left. The same command begins it again"
        }
    }
}

pub(super) async fn run(
    arguments: &Arguments,
    session: &Session,
    output: Output,
) -> Result<Exit, Failure> {
    kind::expect(BackupType::Content, &arguments.id, session).await?;
    session.begin_writing();
    let lease = reading::protect(session, &arguments.id, Purpose::Restore).await?;
    if let Some(warning) = lease.protection().warning(&arguments.id) {
        output.note(&warning);
    }
    let restored = restore(arguments, session, output).await;
    lease.release().await;
    restored
}

async fn restore(
    arguments: &Arguments,
    session: &Session,
    output: Output,
) -> Result<Exit, Failure> {
    match (&arguments.place.to, &arguments.place.to_car) {
        (Some(directory), _) => to_directory(arguments, directory, session, output).await,
        (None, Some(file)) if file == Path::new("-") => to_stdout(arguments, session, output).await,
        (None, Some(file)) => to_car(arguments, file, session, output).await,
        (None, None) => Err(Failure::usage("no target: pass --to or --to-car")),
    }
}

async fn to_directory(
    what: &Arguments,
    to: &Path,
    session: &Session,
    output: Output,
) -> Result<Exit, Failure> {
    if fs::metadata(to).is_ok_and(|found| !found.is_dir()) {
        return Err(Failure::refused(format!(
            "--to needs a directory: {} is something else",
            to.display()
        ))
        .hint("name a directory. A missing one is created"));
    }
    let repository = session.repository()?;
    let meter = Meter::new(&format!("restoring {}", what.id));
    let progress = |progress: &ContentRestoreProgress| {
        meter.set_message(format!(
            "restoring {}, {},",
            what.id,
            text::size(progress.bytes)
        ));
        meter.count(progress.items, progress.expected);
    };
    let report = restore_content(
        &repository,
        &what.id,
        to,
        what.content_id.as_deref(),
        &progress,
    )
    .await?;
    let missing = match report.not_backed_up {
        0 => Vec::new(),
        // If the items cannot be listed, the files are restored all the same, and the number of
        // items is reported.
        _ => items::without_files(&repository, &what.id, items::SHOWN)
            .await
            .unwrap_or_default(),
    };
    meter.clear();
    restored_content::print(&what.id, to, &report, &missing, output)
}

async fn to_stdout(what: &Arguments, session: &Session, output: Output) -> Result<Exit, Failure> {
    let report = export(what, session, stdout_for_data()?).await?;
    output.note(&restored_content::car_text("stdout", &report));
    Ok(Exit::Done)
}

async fn to_car(
    what: &Arguments,
    place: &Path,
    session: &Session,
    output: Output,
) -> Result<Exit, Failure> {
    let unwritable = |error: io::Error| Failure::file("write", place, &error);
    let (part, file) = PartFile::create(place).map_err(unwritable)?;
    let report = export(what, session, file).await?;
    part.keep(output).map_err(unwritable)?;
    let shown = place.display().to_string();
    output.result(&restored_content::car_document(place, &report), || {
        format!(
            "{}\n`ipfs dag import {shown}` brings them into a node",
            restored_content::car_text(&shown, &report)
        )
    })?;
    Ok(Exit::Done)
}

async fn export(what: &Arguments, session: &Session, file: File) -> Result<CarReport, Failure> {
    let repository = session.repository()?;
    let meter = Arc::new(Meter::new(&format!("rebuilding the blocks of {}", what.id)));
    let out = Metered {
        inner: BufWriter::with_capacity(1 << 20, file),
        meter: Arc::clone(&meter),
        written: 0,
    };
    let exported = export_car(&repository, &what.id, what.content_id.as_deref(), out).await;
    meter.clear();
    let report = match exported {
        Err(error @ RepositoryError::NoItem(_)) => return Err(Failure::from(error).hint(FILES)),
        exported => exported?,
    };
    if report.roots.is_empty() {
        let message = format!("{} has no item with IPFS blocks", what.id);
        return Err(Failure::not_found(message).hint(FILES));
    }
    Ok(report)
}

/// Shows how much was written.
struct Metered<W> {
    inner: W,
    meter: Arc<Meter>,
    written: u64,
}

impl<W: Write> Write for Metered<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.written += count as u64;
        self.meter.set(self.written, 0);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
