//! `holdfast dump`: only the native engine, to stdout or a file, in mongodump's archive format. A
//! failed dump leaves a truncated stream or no file, never a valid archive.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    num::NonZeroUsize,
    path::{Path, PathBuf},
};

use clap::Args;
use holdfast_codec::GzipWriter;
use holdfast_database::{Connection, DumpError, DumpReport, DumpSelection, dump, plan};
use holdfast_domain::{Secret, settings::CollectionFilter};
use serde_json::{Value, json};

use super::decrypt::stdout_for_data;
use crate::{
    connection::{Given, secret},
    failure::{Exit, Failure},
    output::Output,
    part_file::PartFile,
    session::Session,
    text,
};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    source: Source,
    /// The archive to write. Without a file name, or with `-`, it is stdout, which must not be a
    /// terminal
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_value = "-", default_missing_value = "-")]
    archive: PathBuf,
    /// Compress the archive, like mongodump --gzip
    #[arg(long)]
    gzip: bool,
    /// Dump only this collection. Can be repeated
    #[arg(long, value_name = "NAME", conflicts_with = "exclude_collection")]
    collection: Vec<String>,
    /// Exclude this collection. Can be repeated
    #[arg(long, value_name = "NAME")]
    exclude_collection: Vec<String>,
}

/// The server. The default is `MONGODB_URI`.
#[derive(Debug, Args)]
#[group(multiple = false)]
struct Source {
    /// The server and database to dump [default: `MONGODB_URI`]. Arguments are visible to every
    /// user of this machine. If the URI contains a password, use --uri-env or --uri-file
    #[arg(long, value_name = "URI", value_parser = secret)]
    uri: Option<Secret>,
    /// The name of the environment variable with the connection string
    #[arg(long, value_name = "NAME")]
    uri_env: Option<String>,
    /// The file with the connection string
    #[arg(long, value_name = "PATH")]
    uri_file: Option<PathBuf>,
}

impl Source {
    fn given(&self) -> Given<'_> {
        let Self {
            uri,
            uri_env,
            uri_file,
        } = self;
        Given {
            option: "--uri",
            plainly: uri.as_ref(),
            variable: uri_env.as_deref(),
            file: uri_file.as_deref(),
        }
    }
}

pub(crate) async fn run(
    arguments: &Arguments,
    session: &Session,
    output: Output,
) -> Result<Exit, Failure> {
    arguments.source.given().warn(output);
    if arguments.archive == Path::new("-") {
        let report = write(arguments, session, stdout_for_data()?).await?;
        output.note(&summary(&report, "stdout"));
        return Ok(Exit::Done);
    }
    let place = &arguments.archive;
    let unwritable = |error: io::Error| Failure::file("write", place, &error);
    let (part, file) = PartFile::create(place).map_err(unwritable)?;
    let report = write(arguments, session, file).await?;
    part.keep(output).map_err(unwritable)?;
    output.result(&document(&report, place), || {
        summary(&report, &place.display().to_string())
    })?;
    Ok(Exit::Done)
}

async fn write(
    arguments: &Arguments,
    session: &Session,
    file: File,
) -> Result<DumpReport, Failure> {
    let uri = arguments.source.given().or_else(|| session.source())?;
    let database = &session.settings.database;
    let connection = Connection::open(&uri, database.read_preference, "holdfast-dump").await?;
    let selection = DumpSelection {
        collections: filter(arguments),
        exclude: vec![session.own_catalogue().await],
    };
    let plan = plan(&connection, &selection, database.parallel_collections).await?;
    let end = End::new(file, arguments.gzip.then_some(database.compression_level))
        .map_err(|error| Failure::failed(error.to_string()))?;
    let never = std::future::pending();
    let (end, report) = dump(&connection, plan, database.parallel_collections, end, never)
        .await
        .map_err(from_dump)?;
    let finished = tokio::task::spawn_blocking(|| end.finish()).await;
    finished
        .map_err(io::Error::other)
        .and_then(|ended| ended)
        .map_err(|error| from_dump(DumpError::Sink(error)))?;
    Ok(report)
}

fn filter(arguments: &Arguments) -> CollectionFilter {
    match (&arguments.collection[..], &arguments.exclude_collection[..]) {
        ([], []) => CollectionFilter::All,
        ([], except) => CollectionFilter::Except(except.to_vec()),
        (only, _) => CollectionFilter::Only(only.to_vec()),
    }
}

fn from_dump(error: DumpError) -> Failure {
    match error {
        DumpError::Database(error) => error.into(),
        DumpError::Sink(error) => {
            Failure::failed(format!("the archive could not be written: {error}"))
                .hint("the output is truncated: discard it")
        }
        error => Failure::failed(format!("the database was not dumped: {error}")),
    }
}

fn document(report: &DumpReport, place: &Path) -> Value {
    let namespaces: Vec<Value> = report
        .namespaces
        .iter()
        .map(|dumped| {
            json!({
                "namespace": format!("{}.{}", dumped.db, dumped.collection),
                "kind": dumped.kind,
                "documents": dumped.documents,
                "bytes": dumped.bytes,
                "indexes": dumped.indexes,
            })
        })
        .collect();
    json!({ "file": place, "documents": report.documents(), "bytes": report.bytes(), "namespaces": namespaces })
}

fn summary(report: &DumpReport, place: &str) -> String {
    format!(
        "{} in {}, {}, dumped to {place}",
        text::count(report.documents(), "document"),
        text::count(report.namespaces.len() as u64, "namespace"),
        text::size(report.bytes())
    )
}

/// The end of the dump's stages: gzip or not, then the file.
enum End {
    Plain(BufWriter<File>),
    Gzip(GzipWriter<BufWriter<File>>),
}

impl End {
    fn new(file: File, gzip_level: Option<u8>) -> io::Result<Self> {
        let file = BufWriter::with_capacity(1 << 20, file);
        let Some(level) = gzip_level else {
            return Ok(Self::Plain(file));
        };
        let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        Ok(Self::Gzip(GzipWriter::new(file, level, threads)?))
    }

    fn finish(self) -> io::Result<()> {
        match self {
            Self::Plain(mut file) => file.flush(),
            Self::Gzip(gzip) => gzip.finish()?.0.flush(),
        }
    }
}

impl Write for End {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(file) => file.write(bytes),
            Self::Gzip(gzip) => gzip.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(file) => file.flush(),
            Self::Gzip(gzip) => gzip.flush(),
        }
    }
}
