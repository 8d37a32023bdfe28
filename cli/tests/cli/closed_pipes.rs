//! A reader that closes its pipe early, such as `head -1`, ends a command without an error.

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
};

use super::place::{Place, end_of};

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_pipe_ends_every_command_quietly() {
    let place = Place::initialised().await;
    let id = place.back_up();
    for words in [
        &["completions", "bash"][..],
        &["completions", "zsh"],
        &["--help"],
        &["restore", "--help"],
        &["--version"],
        &["list"],
        &["list", "--json"],
        &["show", &id],
        &["status"],
        &["policy", "show"],
        &["policy", "show", "--json"],
        &["key", "show"],
        &["doctor"],
        &["cleanup", "--dry-run"],
        &["verify", &id],
        &["export"],
    ] {
        for lines_read in [0, 1] {
            let mut child = place.command(words).stdout(Stdio::piped()).spawn().unwrap();
            let mut reader = BufReader::new(child.stdout.take().unwrap());
            let mut line = String::new();
            for _ in 0..lines_read {
                reader.read_line(&mut line).unwrap();
            }
            drop(reader);
            let ended = end_of(child);
            assert!([0, 1].contains(&ended.code), "{words:?}: {ended:?}");
            assert!(
                !ended.stderr.contains("panicked") && !ended.stderr.contains("Broken pipe"),
                "{words:?}: {ended:?}"
            );
        }
    }
    place.remove().await;
}
