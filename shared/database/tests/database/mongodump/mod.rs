//! The official tool as a child process: a stand-in replays the real tool's output, or fails in
//! various ways.

mod misbehaving;
mod preflight;
mod replayed;
mod secrecy;

use std::{
    future::pending,
    io::{self, Write},
    time::{Duration, Instant},
};

use holdfast_archive::{Inspector, Summary};
use holdfast_database::{DumpError, DumpSelection, Invocation, Tool, ToolReport, mongodump};
use holdfast_domain::{Secret, settings::CollectionFilter};
use holdfast_testing::StandIn;

const URI: &str = "mongodb://ada:hunter2@localhost:27017/web3platform?authSource=admin";

fn invocation(uri: &str) -> Invocation {
    let selection = DumpSelection {
        collections: CollectionFilter::All,
        exclude: Vec::new(),
    };
    let database = Some("web3platform");
    Invocation::new(&Secret::new(uri), database, &selection, 4, "secondary").unwrap()
}

async fn found(stand_in: &StandIn) -> Tool {
    Tool::find(&stand_in.path()).await.unwrap()
}

/// Runs the stand-in into this writer, without a time limit.
async fn run_into<W: Write + Send + 'static>(
    stand_in: &StandIn,
    writer: W,
) -> Result<(W, ToolReport), DumpError> {
    mongodump(&found(stand_in).await, &invocation(URI), writer, pending()).await
}

/// The steps of a backup: runs the tool, ends the stages, compares the counts. Returns the archive
/// and its content, or the reason for a failure.
async fn dumped(stand_in: &StandIn) -> Result<(Vec<u8>, Summary), String> {
    let (inspector, report) = run_into(stand_in, Inspector::new(Vec::new()))
        .await
        .map_err(|error| error.to_string())?;
    let (archive, summary) = inspector.finish().map_err(|error| error.to_string())?;
    report
        .confirm(&summary)
        .map_err(|error| error.to_string())?;
    Ok((archive, summary))
}

/// Reason why this run gives no backup.
async fn refused(stand_in: &StandIn) -> String {
    match dumped(stand_in).await {
        Ok((archive, _)) => panic!("an archive of {} bytes was accepted", archive.len()),
        Err(error) => error,
    }
}

/// Takes nothing.
struct Full;

impl Write for Full {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::StorageFull.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether a process is running. A zombie is not.
fn lives(process: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    status
        .rsplit_once(") ")
        .is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

/// Waits for a few seconds at most.
async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(
            begun.elapsed() < Duration::from_secs(10),
            "not after 10 s: {what}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
