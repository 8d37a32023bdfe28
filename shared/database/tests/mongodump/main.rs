//! The official tool as a child, by a stand-in that replays what the real one wrote, or has a bad day.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bad_days;
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
    let selection = DumpSelection { collections: CollectionFilter::All, exclude: Vec::new() };
    let database = Some("web3platform");
    Invocation::new(&Secret::new(uri), database, &selection, 4, "secondary").unwrap()
}

async fn found(stand_in: &StandIn) -> Tool {
    Tool::find(&stand_in.path()).await.unwrap()
}

/// Runs the stand-in into this writer, for as long as it takes.
async fn run_into<W: Write + Send + 'static>(stand_in: &StandIn, writer: W) -> Result<(W, ToolReport), DumpError> {
    mongodump(&found(stand_in).await, &invocation(URI), writer, pending()).await
}

/// What a backup does: runs the tool, ends the stages, compares the counts. The archive, what is in it, or why not.
async fn dumped(stand_in: &StandIn) -> Result<(Vec<u8>, Summary), String> {
    let (inspector, report) =
        run_into(stand_in, Inspector::new(Vec::new())).await.map_err(|error| error.to_string())?;
    let (archive, summary) = inspector.finish().map_err(|error| error.to_string())?;
    report.confirm(&summary).map_err(|error| error.to_string())?;
    Ok((archive, summary))
}

/// Why there is no backup of this run.
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

/// Whether a process still does something: one that nobody has waited for does not.
fn lives(process: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    status.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

/// Waits for a few seconds at most.
async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(10), "not after 10 s: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
