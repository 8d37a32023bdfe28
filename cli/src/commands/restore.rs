//! `holdfast restore`: a backup, or anyone's mongodump archive, into a server. On a terminal it first shows what would
//! happen and asks; elsewhere `--yes` has to be said. Files of content replace nothing, and need no question.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::{Args, Subcommand};
use holdfast_database::{
    AnonymizeReport, Existing, NamespaceMap, RestoreOptions, RestoreProgress, RestoreReport, RestoreStep, TtlIndexes,
    UnknownOptions, redacted_uri,
};
use holdfast_domain::{BackupId, BackupType, Secret};
use holdfast_operations::{
    Protection, Purpose, ReaderLease, RestoreTarget, prove_archive, rehearse_archive, restore_archive, restore_database,
};

use super::{anonymize, kind, restore_content, restored};
use crate::{
    confirm,
    connection::{Given, secret},
    failure::{Exit, Failure},
    opening::Opening,
    output::Output,
    progress::Meter,
    reading,
    session::Session,
};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Bring a backup back, and compare what was restored with its manifest
    Database {
        /// The backup
        #[arg(value_name = "BACKUP_ID")]
        id: BackupId,
        #[command(flatten)]
        how: How,
        #[command(flatten)]
        opening: Opening,
    },
    /// Restore a mongodump archive, plain or gzipped, whoever wrote it
    Archive {
        /// The archive; `-` is stdin, and then nobody can be asked: pass --yes or --dry-run
        #[arg(value_name = "FILE")]
        file: PathBuf,
        #[command(flatten)]
        how: How,
    },
    /// Bring the files of a content backup back, or their IPFS blocks
    Content(restore_content::Arguments),
}

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "these are the switches as they stand on the command line")]
struct How {
    #[command(flatten)]
    target: Target,
    /// Restore namespaces that match this pattern (`db.collection`, `*` stands for anything, `\*` for an asterisk) under
    /// the name that the --ns-to in the same position gives; may be given several times
    #[arg(long, value_name = "PATTERN")]
    ns_from: Vec<String>,
    /// The name for what --ns-from matches; each `*` stands for what it matched
    #[arg(long, value_name = "PATTERN")]
    ns_to: Vec<String>,
    /// Restore these namespaces alone (`db.collection` as in the backup); may be given several times
    #[arg(long, value_name = "NAMESPACE")]
    only: Vec<String>,
    /// Replace each target that holds something, and no other. The copy is restored and compared first, then takes
    /// its place. A target whose copy fails keeps what it holds. The server needs room for both
    #[arg(long, conflicts_with_all = ["merge", "drop_first"])]
    drop: bool,
    /// Drop each target first, then restore it: for sharded collections, and for users who may not rename. A restore
    /// that fails leaves less than there was
    #[arg(long, conflicts_with = "merge")]
    drop_first: bool,
    /// Restore into collections that are not empty: documents whose `_id` is there stay as they are, and are counted
    #[arg(long)]
    merge: bool,
    /// Restore collections without the options that this version does not know. Otherwise they are passed to the server,
    /// which may refuse the collection
    #[arg(long)]
    skip_unknown_options: bool,
    #[command(flatten)]
    anonymize: anonymize::Arguments,
    /// Show what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// Which server; `MONGODB_URI` where nothing is given.
#[derive(Debug, Args)]
#[group(multiple = false)]
struct Target {
    /// The server to restore into [default: `MONGODB_URI`]. Arguments are seen by every user of this machine: where there
    /// is a password in it, use --to-uri-env or --to-uri-file
    #[arg(long = "to-uri", value_name = "URI", value_parser = secret)]
    uri: Option<Secret>,
    /// The environment variable that holds the connection string
    #[arg(long = "to-uri-env", value_name = "NAME")]
    uri_env: Option<String>,
    /// The file that holds the connection string
    #[arg(long = "to-uri-file", value_name = "PATH")]
    uri_file: Option<PathBuf>,
}

pub(crate) async fn run(arguments: Arguments, session: &Session, output: Output) -> Result<Exit, Failure> {
    let (source, how) = match arguments.what {
        What::Content(what) => return restore_content::run(&what, session, output).await,
        What::Database { id, how, .. } => {
            kind::expect(BackupType::Database, &id, session).await?;
            (Source::Backup(id), how)
        }
        What::Archive { file, how } => (Source::Archive(file), how),
    };
    let target = how.target(session).await?;
    // From before the plan is shown to the end of the restore.
    let lease = source.protect(session, &target.options, output).await?;
    if !how.dry_run && !how.yes {
        preview_and_ask(&source, session, &target).await?;
    }
    if !how.dry_run {
        session.begin_writing();
    }
    let report = source.restore(session, &target).await?;
    if let Some(lease) = lease {
        lease.release().await;
    }
    finish(&source, &target, &report, output)
}

impl Arguments {
    /// What opens an encrypted backup beside the settings.
    pub(crate) const fn opening(&self) -> Option<&Opening> {
        match &self.what {
            What::Database { opening, .. } => Some(opening),
            What::Content(what) => Some(&what.opening),
            What::Archive { .. } => None,
        }
    }

    /// What to do after an interruption. What had been asked for decides: `--drop` after a merge would take more.
    pub(crate) const fn how_to_go_on(&self) -> &'static str {
        let how = match &self.what {
            What::Database { how, .. } | What::Archive { how, .. } => how,
            What::Content(what) => return what.how_to_go_on(),
        };
        match how.existing() {
            Existing::Merge => "where it had begun, a part is there: the same command again adds what is missing",
            Existing::Drop => {
                "each target that held something is unchanged, or replaced as a whole; the others can hold a part: run \
                 the same command again"
            }
            Existing::Refuse | Existing::DropFirst => {
                "where it had begun, the target holds a part of it: restore it again with --drop"
            }
        }
    }
}

impl How {
    async fn target(&self, session: &Session) -> Result<RestoreTarget, Failure> {
        let Target { uri, uri_env, uri_file } = &self.target;
        let given = Given {
            option: "--to-uri",
            plainly: uri.as_ref(),
            variable: uri_env.as_deref(),
            file: uri_file.as_deref(),
        };
        let options = RestoreOptions {
            map: NamespaceMap::parse(&self.ns_from, &self.ns_to).map_err(|error| Failure::usage(error.to_string()))?,
            existing: self.existing(),
            ttl_indexes: TtlIndexes::Keep,
            unknown_options: if self.skip_unknown_options { UnknownOptions::LeaveOut } else { UnknownOptions::Pass },
            dry_run: self.dry_run,
            only: Some(self.only.clone()).filter(|names| !names.is_empty()),
            database: None,
            exclude: vec![session.own_catalogue().await],
            anonymizer: self.anonymize.anonymizer()?,
        };
        let is_given = uri.is_some() || uri_env.is_some() || uri_file.is_some();
        if self.anonymize.is_asked_for() && !is_given && self.ns_from.is_empty() {
            return Err(Failure::usage("an anonymised restore would go where the originals are")
                .hint("name another server (--to-uri-env, --to-uri-file), or rename by --ns-from and --ns-to"));
        }
        let uri = given.or_else(|| session.source())?;
        if is_given && names_a_database(&uri) {
            return Err(Failure::usage("--to-uri names a server, and what was given names a database").hint(
                "leave the database out (with authSource=… in the options, if it was there for the login), and \
                       rename by --ns-from and --ns-to",
            ));
        }
        Ok(RestoreTarget { uri, options })
    }

    const fn existing(&self) -> Existing {
        match self {
            Self { drop: true, .. } => Existing::Drop,
            Self { drop_first: true, .. } => Existing::DropFirst,
            Self { merge: true, .. } => Existing::Merge,
            _ => Existing::Refuse,
        }
    }
}

/// Shows what would be done, then asks. Refuses at once where nobody can be asked.
async fn preview_and_ask(source: &Source, session: &Session, target: &RestoreTarget) -> Result<(), Failure> {
    if !confirm::can_ask() || source.is_stdin() {
        return Err(confirm::cannot_ask("--yes or --dry-run"));
    }
    let mut dry = target.clone();
    dry.options.dry_run = true;
    let report = source.restore(session, &dry).await?;
    Output::question(&restored::text(&source.to_string(), &shown(&dry), &report));
    confirm::ask("Restore this?").await
}

fn finish(source: &Source, target: &RestoreTarget, report: &RestoreReport, output: Output) -> Result<Exit, Failure> {
    let (source, target) = (source.to_string(), shown(target));
    output.result(&restored::document(&source, &target, report), || {
        let text = restored::text(&source, &target, report);
        if report.dry_run { format!("{text}\nnothing was changed") } else { text }
    })?;
    let misfits = report.anonymized.as_ref().map(AnonymizeReport::problems).unwrap_or_default();
    if !misfits.is_empty() {
        return Err(Failure::refused(format!("the rules do not fit: {}", misfits.join("; ")))
            .hint("correct the rules; one that may match nothing says `optional: true`"));
    }
    if report.is_faithful() {
        return Ok(Exit::Done);
    }
    Err(incomplete(report))
}

/// A part is restored, or would be. The report names each namespace that is not, and why.
fn incomplete(report: &RestoreReport) -> Failure {
    let failed: Vec<&str> = restored::not_restored(report).map(|namespace| namespace.to.as_str()).collect();
    let names = failed.join(", ");
    if report.dry_run {
        return Failure::new(Exit::Incomplete, format!("these would not be restored (reasons above): {names}"));
    }
    Failure::new(Exit::Incomplete, format!("restore incomplete, these are not restored (reasons above): {names}"))
        .hint("remove the reason, then restore these again: --only for each of them, with --drop")
}

/// The server: what goes into which database is in the table.
fn shown(target: &RestoreTarget) -> String {
    let uri = redacted_uri(&target.uri).unwrap_or_else(|| "***".to_owned());
    server_of(&uri).to_owned()
}

fn server_of(uri: &str) -> &str {
    let hosts = uri.find("://").map_or(0, |at| at + 3);
    uri[hosts..].find('/').map_or(uri, |slash| &uri[..hosts + slash])
}

fn names_a_database(uri: &Secret) -> bool {
    redacted_uri(uri).is_some_and(|uri| server_of(&uri).len() + 1 < uri.len())
}

/// What is restored.
enum Source {
    Backup(BackupId),
    Archive(PathBuf),
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Backup(id) => write!(f, "backup {id}"),
            Self::Archive(_) if self.is_stdin() => f.write_str("the archive on stdin"),
            Self::Archive(file) => write!(f, "archive {}", file.display()),
        }
    }
}

impl Source {
    fn is_stdin(&self) -> bool {
        matches!(self, Self::Archive(file) if file == Path::new("-"))
    }

    /// Keeps retention from deleting the backup, or says why nothing does.
    async fn protect(
        &self,
        session: &Session,
        options: &RestoreOptions,
        output: Output,
    ) -> Result<Option<ReaderLease>, Failure> {
        let Self::Backup(id) = self else { return Ok(None) };
        let lease = reading::protect(session, id, Purpose::Restore).await?;
        refuse_to_drop_first(id, lease.protection(), options)?;
        if let Some(warning) = lease.protection().warning(id) {
            output.note(&warning);
        }
        Ok(Some(lease))
    }

    async fn restore(&self, session: &Session, target: &RestoreTarget) -> Result<RestoreReport, Failure> {
        let meter = Arc::new(Meter::new(&format!("reading {self}")));
        match self {
            Self::Backup(id) => of_backup(id, session, target, &meter).await,
            Self::Archive(file) => of_archive(file, self.is_stdin(), target, &meter).await,
        }
    }
}

/// `--drop-first` needs the whole backup after it dropped the targets. The other ways keep what a target holds.
fn refuse_to_drop_first(id: &BackupId, protection: &Protection, options: &RestoreOptions) -> Result<(), Failure> {
    let drops = options.existing == Existing::DropFirst && !options.dry_run;
    if !drops || *protection != Protection::BeingDeleted {
        return Ok(());
    }
    let message =
        format!("retention has begun to delete backup {id}: --drop-first could drop targets without a backup");
    Err(Failure::refused(message).hint("pass --drop, which replaces a target only by a compared copy"))
}

async fn of_backup(
    id: &BackupId,
    session: &Session,
    target: &RestoreTarget,
    meter: &Meter,
) -> Result<RestoreReport, Failure> {
    let repository = session.repository()?;
    let manifest = repository.manifest(id).await?;
    let progress = |progress: &RestoreProgress| {
        meter.say(doing(progress));
        meter.set(progress.bytes, manifest.original_size);
    };
    let mut report = restore_database(&repository, id, target, &progress).await?;
    if report.dry_run {
        restored::expect_documents(&mut report, &manifest);
    }
    Ok(report)
}

async fn of_archive(
    file: &Path,
    is_stdin: bool,
    target: &RestoreTarget,
    meter: &Arc<Meter>,
) -> Result<RestoreReport, Failure> {
    let progress = |progress: &RestoreProgress| meter.say(doing(progress));
    let is_file = !is_stdin && std::fs::metadata(file).is_ok_and(|found| found.is_file());
    if is_file {
        meter.say("checking".to_owned());
        prove_archive(opened(file, false, meter)?).await?;
        rehearse_archive(opened(file, false, meter)?, target, &progress).await?;
    } else if let Some(option) = reads_twice(&target.options) {
        return Err(Failure::refused(format!(
            "{option} takes an archive that can be read twice, to see that it is whole first"
        ))
        .hint("save the archive as a file"));
    }
    Ok(restore_archive(opened(file, is_stdin, meter)?, target, &progress).await?)
}

/// What an archive that can be read once is not enough for.
fn reads_twice(options: &RestoreOptions) -> Option<&'static str> {
    if options.dry_run {
        return None;
    }
    match options.existing {
        Existing::DropFirst => Some("--drop-first"),
        // Nothing is replaced before the archive was read to its end.
        Existing::Refuse | Existing::Merge | Existing::Drop => options.anonymizer.as_ref().map(|_| "--anonymize"),
    }
}

fn opened(file: &Path, is_stdin: bool, meter: &Arc<Meter>) -> Result<Box<dyn Read + Send>, Failure> {
    if is_stdin {
        return Ok(Box::new(Metered { inner: io::stdin(), meter: Arc::clone(meter), read: 0, expected: 0 }));
    }
    let unreadable = |error: io::Error| Failure::file("read", file, &error);
    let inner = File::open(file).map_err(unreadable)?;
    let expected = inner.metadata().map_err(unreadable)?.len();
    Ok(Box::new(Metered { inner, meter: Arc::clone(meter), read: 0, expected }))
}

fn doing(progress: &RestoreProgress) -> String {
    let step = match progress.step {
        RestoreStep::Authenticating => "checking",
        RestoreStep::Inserting => "inserting",
        RestoreStep::Comparing => "comparing",
        RestoreStep::Indexing => "building indexes",
    };
    format!("{step}, {} documents", progress.documents)
}

/// Shows how much of a file was read.
struct Metered<R> {
    inner: R,
    meter: Arc<Meter>,
    read: u64,
    expected: u64,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.read += count as u64;
        self.meter.set(self.read, self.expected);
        Ok(count)
    }
}
