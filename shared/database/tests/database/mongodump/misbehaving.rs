//! A tool that stalls, floods, dies or never ends. Each time nothing of it remains.

use std::{
    future::pending,
    io,
    time::{Duration, Instant},
};

use holdfast_archive::Inspector;
use holdfast_database::{DumpError, mongodump};
use holdfast_testing::{StandIn, golden};

use super::{Full, URI, dumped, eventually, found, invocation, lives, refused, run_into};

/// Half an archive, then nothing more until a signal. It has a child process.
const STALLS: &str = r#"
sleep 600 & echo $! > "$here/child"
head -c 100000 "$here/archive"
wait
"#;

fn stalling(beginning: &str) -> StandIn {
    StandIn::doing(&golden("platform"), "", &format!("{beginning}{STALLS}"))
}

async fn nothing_is_left_of(stand_in: &StandIn) {
    let process = stand_in.process().unwrap();
    // The process is gone, not only dead: its parent has waited for it.
    eventually("the process is gone", || {
        !std::path::Path::new(&format!("/proc/{process}")).exists()
    })
    .await;
    let child: u32 = stand_in.note("child").trim().parse().unwrap();
    eventually("its child is dead", || !lives(child)).await;
}

async fn stopped(stand_in: &StandIn) -> Duration {
    let tool = found(stand_in).await;
    let begun = Instant::now();
    let stop = eventually("it runs", || !stand_in.note("child").is_empty());
    let outcome = mongodump(&tool, &invocation(URI), io::sink(), stop).await;
    assert!(matches!(outcome, Err(DumpError::Stopped)));
    begun.elapsed()
}

#[tokio::test]
async fn one_that_stalls_is_stopped_with_its_children() {
    let stand_in = stalling("");
    assert!(stopped(&stand_in).await < Duration::from_secs(2));
    nothing_is_left_of(&stand_in).await;
}

#[tokio::test]
async fn one_that_does_not_listen_is_killed_after_a_few_seconds() {
    let stand_in = stalling("trap '' TERM\n");
    let took = stopped(&stand_in).await;
    assert!(
        took > Duration::from_secs(2) && took < Duration::from_secs(8),
        "{took:?}"
    );
    nothing_is_left_of(&stand_in).await;
}

#[tokio::test]
async fn one_whose_future_is_dropped_is_killed() {
    let stand_in = stalling("trap '' TERM\n");
    let tool = found(&stand_in).await;
    let invocation = invocation(URI);
    {
        let dump = mongodump(&tool, &invocation, io::sink(), pending());
        tokio::select! {
            _ = dump => panic!("it stalls"),
            () = eventually("it runs", || !stand_in.note("child").is_empty()) => {}
        }
    }
    nothing_is_left_of(&stand_in).await;
}

#[tokio::test]
async fn one_that_writes_for_ever_ends_with_a_writer_that_fails() {
    let stand_in = StandIn::doing(
        b"",
        "",
        "sleep 600 & echo $! > \"$here/child\"; cat /dev/zero; wait",
    );
    assert!(
        matches!(run_into(&stand_in, Full).await, Err(DumpError::Sink(error)) if error.kind() == io::ErrorKind::StorageFull)
    );
    nothing_is_left_of(&stand_in).await;
    // Something other than an archive is refused before its end.
    assert!(matches!(
        run_into(&stand_in, Inspector::new(io::sink())).await,
        Err(DumpError::Sink(_))
    ));
    nothing_is_left_of(&stand_in).await;
}

#[tokio::test]
async fn one_that_is_killed_is_refused_and_the_signal_named() {
    let stand_in = StandIn::doing(&golden("platform"), "", "cat \"$here/archive\"; kill -9 $$");
    let error = refused(&stand_in).await;
    assert!(error.contains("was killed by signal 9"), "{error}");
    let stand_in = StandIn::doing(
        &golden("platform"),
        "",
        "cat \"$here/archive\"; kill -15 $$",
    );
    assert!(refused(&stand_in).await.contains("signal 15"));
}

#[tokio::test]
async fn one_that_closes_its_output_early_is_refused_even_where_it_ends_well() {
    let stand_in = StandIn::doing(
        &golden("platform"),
        "",
        "head -c 100000 \"$here/archive\"; exec >&-; sleep 0.3; exit 0",
    );
    refused(&stand_in).await;
}

#[tokio::test]
async fn one_that_stays_after_its_output_is_closed_is_not_waited_for_for_ever() {
    let script = "sleep 600 >&- & echo $! > \"$here/child\"; cat \"$here/archive\"; exec >&-; wait";
    let stand_in = StandIn::doing(&golden("platform"), "", script);
    let error = refused(&stand_in).await;
    assert!(error.contains("still running 10 s after"), "{error}");
    nothing_is_left_of(&stand_in).await;
}

#[tokio::test]
async fn one_that_floods_stderr_is_heard_to_the_end_and_does_not_block() {
    let flood = "yes 'a line of noise that says nothing' | head -n 200000 >&2\n";
    let good = StandIn::doing(
        &golden("platform"),
        "",
        &format!("{flood}cat \"$here/archive\"\n{flood}"),
    );
    dumped(&good).await.unwrap();
    let bad = format!("{flood}echo 'Failed: in the midst' >&2\n{flood}cat \"$here/archive\"\n");
    let error = refused(&StandIn::doing(&golden("platform"), "", &bad)).await;
    assert!(
        error.contains("Failed: in the midst") && error.len() < 2000,
        "{error}"
    );
}

#[tokio::test]
async fn one_that_leaves_children_behind_is_waited_for_and_they_are_ended() {
    let script = "sleep 600 > /dev/null 2>&1 & echo $! > \"$here/child\"; cat \"$here/archive\"";
    let stand_in = StandIn::doing(&golden("platform"), "", script);
    dumped(&stand_in).await.unwrap();
    nothing_is_left_of(&stand_in).await;
}
