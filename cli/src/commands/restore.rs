//! `holdfast restore`: restores a backup, or any mongodump archive, into a server. On a terminal it
//! shows the plan and asks for confirmation. Elsewhere it requires `--yes`. A restore of content
//! replaces nothing, and needs no confirmation.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::{Args, Subcommand};
use holdfast_database::{
    AnonymizeReport, Existing, NamespaceMap, RestoreError, RestoreFault, RestoreOptions,
    RestoreProgress, RestoreReport, RestoreStep, TtlIndexes, UnknownOptions, redacted_uri,
};
use holdfast_domain::{BackupId, BackupType, Secret};
use holdfast_operations::OperationError;
use holdfast_recovery::{
    RestoreTarget, prove_archive, rehearse_archive, restore_archive, restore_database,
};

use super::{
    anonymize,
    archive_file::{is_stdin, opened},
    kind, restore_content, restore_lease, restored,
};
use crate::{
    confirm,
    connection::{Given, secret},
    failure::{Exit, Failure},
    opening::Opening,
    output::Output,
    progress::Meter,
    session::Session,
};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: RestoreCommand,
}

#[derive(Debug, Subcommand)]
enum RestoreCommand {
    /// Restore a database backup, and compare the restored data with its manifest
    Database {
        /// The backup to restore
        #[arg(value_name = "BACKUP_ID")]
        id: BackupId,
        #[command(flatten)]
        how: RestoreArguments,
        #[command(flatten)]
        opening: Opening,
    },
    /// Restore a mongodump archive from any source, plain or gzipped
    Archive {
        /// The archive. `-` is stdin, which needs --yes or --dry-run because no confirmation is
        /// possible
        #[arg(value_name = "FILE")]
        file: PathBuf,
        #[command(flatten)]
        how: RestoreArguments,
    },
    /// Restore the files of a content backup, or their IPFS blocks
    Content(restore_content::Arguments),
}

#[derive(Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "these are the switches of the command line"
)]
struct RestoreArguments {
    #[command(flatten)]
    target: Target,
    /// Rename namespaces that match this pattern (`db.collection`) by the --ns-to in the same
    /// position. `*` matches any text, and `\*` matches an asterisk. Can be repeated
    #[arg(long, value_name = "PATTERN")]
    ns_from: Vec<String>,
    /// The new name for namespaces that match --ns-from. Each `*` inserts the text matched by the
    /// `*` in --ns-from
    #[arg(long, value_name = "PATTERN")]
    ns_to: Vec<String>,
    /// Restore only this namespace (`db.collection` as in the backup). Can be repeated
    #[arg(long, value_name = "NAMESPACE")]
    only: Vec<String>,
    /// Replace target collections that are not empty. The restore writes a new collection,
    /// compares it with the backup, then replaces the target. If that fails, the target keeps
    /// its data. The server needs space for both
    #[arg(long, conflicts_with_all = ["merge", "drop_first"])]
    drop: bool,
    /// Drop each target before its restore, for sharded collections and for users without the
    /// right to rename. A failed restore loses the dropped data
    #[arg(long, conflicts_with = "merge")]
    drop_first: bool,
    /// Restore into collections that are not empty. Documents with an existing `_id` stay
    /// unchanged and are counted
    #[arg(long)]
    merge: bool,
    /// Omit collection options that this version does not know. By default they are passed to the
    /// server, and the server may reject the collection
    #[arg(long)]
    skip_unknown_options: bool,
    #[command(flatten)]
    anonymize: anonymize::Arguments,
    /// Show what would be restored, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Restore without confirmation
    #[arg(long)]
    yes: bool,
}

/// The server. The default is `MONGODB_URI`.
#[derive(Debug, Args)]
#[group(multiple = false)]
struct Target {
    /// The server to restore into [default: `MONGODB_URI`]. Arguments are visible to every user of
    /// this machine. If the URI contains a password, use --to-uri-env or --to-uri-file
    #[arg(long = "to-uri", value_name = "URI", value_parser = secret)]
    uri: Option<Secret>,
    /// The name of the environment variable with the connection string
    #[arg(long = "to-uri-env", value_name = "NAME")]
    uri_env: Option<String>,
    /// The file with the connection string
    #[arg(long = "to-uri-file", value_name = "PATH")]
    uri_file: Option<PathBuf>,
}

pub(crate) async fn run(
    arguments: Arguments,
    session: &Session,
    output: Output,
) -> Result<Exit, Failure> {
    let (source, how) = match arguments.what {
        RestoreCommand::Content(what) => return restore_content::run(&what, session, output).await,
        RestoreCommand::Database { id, how, .. } => {
            kind::expect(BackupType::Database, &id, session).await?;
            (RestoreSource::Backup(id), how)
        }
        RestoreCommand::Archive { file, how } => (RestoreSource::Archive(file), how),
    };
    how.target.given().warn(output);
    let mut target = how.target(session).await?;
    let lease = match &source {
        RestoreSource::Backup(id) => {
            Some(restore_lease::protect(id, session, &mut target.options, output).await?)
        }
        RestoreSource::Archive(_) => None,
    };
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
    /// Keys for an encrypted backup in addition to the settings.
    pub(crate) const fn opening(&self) -> Option<&Opening> {
        match &self.what {
            RestoreCommand::Database { opening, .. } => Some(opening),
            RestoreCommand::Content(what) => Some(&what.opening),
            RestoreCommand::Archive { .. } => None,
        }
    }

    /// The advice after an interruption. It depends on the given options: `--drop` after a merge
    /// would delete more.
    pub(crate) const fn how_to_resume(&self) -> &'static str {
        let how = match &self.what {
            RestoreCommand::Database { how, .. } | RestoreCommand::Archive { how, .. } => how,
            RestoreCommand::Content(what) => return what.how_to_resume(),
        };
        match how.existing() {
            Existing::Merge => {
                "some targets may be incomplete. The same command adds the missing documents"
            }
            Existing::Drop => {
                "each target with earlier data is unchanged or completely replaced. The others may be incomplete: run \
                 the same command again"
            }
            Existing::Refuse | Existing::DropFirst => {
                "some targets may be incomplete: restore again with --drop"
            }
        }
    }
}

impl Target {
    fn given(&self) -> Given<'_> {
        let Self {
            uri,
            uri_env,
            uri_file,
        } = self;
        Given {
            option: "--to-uri",
            plainly: uri.as_ref(),
            variable: uri_env.as_deref(),
            file: uri_file.as_deref(),
        }
    }
}

impl RestoreArguments {
    async fn target(&self, session: &Session) -> Result<RestoreTarget, Failure> {
        let given = self.target.given();
        let options = RestoreOptions {
            map: NamespaceMap::parse(&self.ns_from, &self.ns_to)
                .map_err(|error| Failure::usage(error.to_string()))?,
            existing: self.existing(),
            ttl_indexes: TtlIndexes::Keep,
            unknown_options: if self.skip_unknown_options {
                UnknownOptions::LeaveOut
            } else {
                UnknownOptions::Pass
            },
            dry_run: self.dry_run,
            only: Some(self.only.clone()).filter(|names| !names.is_empty()),
            database: None,
            exclude: vec![session.own_catalogue().await],
            anonymizer: self.anonymize.anonymizer()?,
            confirmation: None,
        };
        let is_given = given.is_some();
        if self.anonymize.is_asked_for() && !is_given && self.ns_from.is_empty() {
            return Err(Failure::usage("an anonymised restore must not go to the place of the originals")
                .hint("name another server (--to-uri-env, --to-uri-file), or rename by --ns-from and --ns-to"));
        }
        let uri = given.or_else(|| session.source())?;
        if is_given && names_a_database(&uri) {
            return Err(Failure::usage("invalid --to-uri: it names a database, expected only a server").hint(
                "remove the database (if the login needs it, add authSource=… to the options), and rename by \
                 --ns-from and --ns-to",
            ));
        }
        Ok(RestoreTarget { uri, options })
    }

    const fn existing(&self) -> Existing {
        match self {
            Self { drop: true, .. } => Existing::Drop,
            Self {
                drop_first: true, ..
            } => Existing::DropFirst,
            Self { merge: true, .. } => Existing::Merge,
            _ => Existing::Refuse,
        }
    }
}

/// Shows the plan, then asks for confirmation. Refuses at once if no person can answer.
async fn preview_and_ask(
    source: &RestoreSource,
    session: &Session,
    target: &RestoreTarget,
) -> Result<(), Failure> {
    let is_on_stdin = matches!(source, RestoreSource::Archive(file) if is_stdin(file));
    if !confirm::can_ask() || is_on_stdin {
        return Err(confirm::cannot_ask("--yes or --dry-run"));
    }
    let mut dry = target.clone();
    dry.options.dry_run = true;
    let report = source.restore(session, &dry).await?;
    Output::question(&restored::text(&source.to_string(), &shown(&dry), &report));
    refuse_in_the_way(&report)?;
    confirm::ask("Restore this?").await
}

fn finish(
    source: &RestoreSource,
    target: &RestoreTarget,
    report: &RestoreReport,
    output: Output,
) -> Result<Exit, Failure> {
    let (source, target) = (source.to_string(), shown(target));
    output.result(&restored::document(&source, &target, report), || {
        let text = restored::text(&source, &target, report);
        if report.dry_run {
            format!("{text}\nnothing was changed")
        } else {
            text
        }
    })?;
    refuse_in_the_way(report)?;
    let misfits = report
        .anonymized
        .as_ref()
        .map(AnonymizeReport::problems)
        .unwrap_or_default();
    if !misfits.is_empty() {
        return Err(Failure::refused(format!(
            "the rules do not match the data: {}",
            misfits.join("; ")
        ))
        .hint("correct the rules. For a rule without a match, set `optional: true`"));
    }
    if report.is_faithful() {
        return Ok(Exit::Done);
    }
    Err(incomplete(report))
}

/// The plan was shown, and the restore itself would be refused.
fn refuse_in_the_way(report: &RestoreReport) -> Result<(), Failure> {
    if report.in_the_way.is_empty() {
        return Ok(());
    }
    Err(
        OperationError::from(RestoreError::from(RestoreFault::NotEmpty(
            report.in_the_way.clone(),
        )))
        .into(),
    )
}

/// A partial restore, or the plan of one. The report names each missing namespace, and the reason.
fn incomplete(report: &RestoreReport) -> Failure {
    let failed: Vec<&str> = restored::not_restored(report)
        .map(|namespace| namespace.to.as_str())
        .collect();
    let names = failed.join(", ");
    if report.dry_run {
        return Failure::new(
            Exit::Incomplete,
            format!("these would not be restored (reasons above): {names}"),
        );
    }
    Failure::new(
        Exit::Incomplete,
        format!("restore incomplete, these are not restored (reasons above): {names}"),
    )
    .hint("correct the cause, then restore each of these again, by --only and --drop")
}

/// The server. The table shows the databases.
fn shown(target: &RestoreTarget) -> String {
    let uri = redacted_uri(&target.uri).unwrap_or_else(|| "***".to_owned());
    server_of(&uri).to_owned()
}

fn server_of(uri: &str) -> &str {
    let hosts = uri.find("://").map_or(0, |at| at + 3);
    uri[hosts..]
        .find('/')
        .map_or(uri, |slash| &uri[..hosts + slash])
}

fn names_a_database(uri: &Secret) -> bool {
    redacted_uri(uri).is_some_and(|uri| server_of(&uri).len() + 1 < uri.len())
}

/// The source of a restore.
enum RestoreSource {
    Backup(BackupId),
    Archive(PathBuf),
}

impl std::fmt::Display for RestoreSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Backup(id) => write!(f, "backup {id}"),
            Self::Archive(file) if is_stdin(file) => f.write_str("the archive on stdin"),
            Self::Archive(file) => write!(f, "archive {}", file.display()),
        }
    }
}

impl RestoreSource {
    async fn restore(
        &self,
        session: &Session,
        target: &RestoreTarget,
    ) -> Result<RestoreReport, Failure> {
        let meter = Arc::new(Meter::new(&format!("reading {self}")));
        match self {
            Self::Backup(id) => restore_backup(id, session, target, &meter).await,
            Self::Archive(file) => restore_from_archive(file, target, &meter).await,
        }
    }
}

async fn restore_backup(
    id: &BackupId,
    session: &Session,
    target: &RestoreTarget,
    meter: &Meter,
) -> Result<RestoreReport, Failure> {
    let repository = session.repository()?;
    let manifest = repository.manifest(id).await?;
    let progress = |progress: &RestoreProgress| {
        meter.set_message(doing(progress));
        meter.set(progress.bytes, manifest.original_size);
    };
    let mut report = restore_database(&repository, id, target, &progress).await?;
    if report.dry_run {
        restored::expect_documents(&mut report, &manifest);
    }
    Ok(report)
}

async fn restore_from_archive(
    file: &Path,
    target: &RestoreTarget,
    meter: &Arc<Meter>,
) -> Result<RestoreReport, Failure> {
    let progress = |progress: &RestoreProgress| meter.set_message(doing(progress));
    let is_file = !is_stdin(file) && std::fs::metadata(file).is_ok_and(|found| found.is_file());
    if is_file {
        meter.set_message("checking".to_owned());
        prove_archive(opened(file, meter)?).await?;
        rehearse_archive(opened(file, meter)?, target, &progress).await?;
    } else if let Some(option) = reads_twice(&target.options) {
        return Err(Failure::refused(format!(
            "{option} needs an archive that can be read twice, because it checks the complete archive first"
        ))
        .hint("save the archive as a file"));
    }
    Ok(restore_archive(opened(file, meter)?, target, &progress).await?)
}

/// The option that a once-readable archive cannot serve.
fn reads_twice(options: &RestoreOptions) -> Option<&'static str> {
    if options.dry_run {
        return None;
    }
    match options.existing {
        Existing::DropFirst => Some("--drop-first"),
        // Nothing is replaced before the archive was read to its end.
        Existing::Refuse | Existing::Merge | Existing::Drop => {
            options.anonymizer.as_ref().map(|_| "--anonymize")
        }
    }
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
