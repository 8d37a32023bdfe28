//! Ctrl-C: the first one cancels a running backup, and nothing is left of it. The second one exits
//! at once.

use std::{
    process::{Child, Command},
    time::{Duration, Instant},
};

use holdfast_catalog::{JobFilter, Source};
use holdfast_domain::{BackupType, JobStatus};
use holdfast_testing::{
    Origin,
    origin::Answer,
    proxy::{FaultProxy, WireFault},
};

use super::{
    files::Files,
    place::{Place, end_of},
};

fn interrupt(child: &Child) {
    assert!(
        Command::new("kill")
            .args(["-INT", &child.id().to_string()])
            .status()
            .unwrap()
            .success()
    );
}

/// A backup with a hanging upload.
async fn hanging(place: &mut Place) -> (FaultProxy, Child) {
    let proxy = FaultProxy::start().await;
    place
        .env
        .insert("AWS_ENDPOINT_URL", proxy.endpoint().to_owned());
    proxy.fail("PUT", "dump.", 1_000, WireFault::Hang);
    let child = place.command(&["run", "database"]).spawn().unwrap();
    let begun = Instant::now();
    while proxy.count("PUT", "dump.") == 0 {
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "the upload never began"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    (proxy, child)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_interrupt_cancels_the_backup_and_leaves_nothing() {
    let mut place = Place::initialised().await;
    let (_proxy, child) = hanging(&mut place).await;
    interrupt(&child);
    tokio::task::spawn_blocking(move || end_of(child))
        .await
        .unwrap()
        .expect(1)
        .saying(&["cancelled"]);
    let catalog = place.catalog().await;
    let (jobs, _) = catalog.list(JobFilter::default(), 1, 10).await.unwrap();
    assert_eq!(
        jobs.iter().map(|job| job.status).collect::<Vec<_>>(),
        [JobStatus::Cancelled]
    );
    assert_eq!(catalog.get_lease(Source::Database).await.unwrap(), None);
    assert_eq!(
        place.keys().await,
        ["repository.copy.json", "repository.json"]
    );
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_interrupt_exits_at_once() {
    let mut place = Place::initialised().await;
    let (_proxy, child) = hanging(&mut place).await;
    interrupt(&child);
    tokio::time::sleep(Duration::from_millis(700)).await;
    interrupt(&child);
    let second = Instant::now();
    tokio::task::spawn_blocking(move || end_of(child))
        .await
        .unwrap()
        .expect(130);
    assert!(
        second.elapsed() < Duration::from_secs(2),
        "{:?}",
        second.elapsed()
    );
    place.remove().await;
}

/// A backup that waits for its only file.
async fn waiting_for_a_file(files: &mut Files, what: &str) -> (Origin, Child) {
    let origin = Origin::start().await;
    origin.answer("/file", [Answer::silence()]);
    files.place.env.insert(
        "BACKUP_CONTENT_ALLOWED_ORIGINS",
        origin.address().to_owned(),
    );
    let item = bson::doc! { "contentId": 1, "storageType": "gaia", "url": origin.url("/file"), "title": "never" };
    files.add_document(item).await;
    let child = files.place.command(&["run", what]).spawn().unwrap();
    let begun = Instant::now();
    while origin.count("/file") == 0 {
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "the download never began"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    (origin, child)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_content_backup_is_cancelled_and_leaves_nothing() {
    for what in ["content", "full"] {
        let mut files = Files::none().await;
        files.place.holdfast(&["init"]).expect(0);
        let (_origin, child) = waiting_for_a_file(&mut files, what).await;
        interrupt(&child);
        let interrupted = Instant::now();
        tokio::task::spawn_blocking(move || end_of(child))
            .await
            .unwrap()
            .expect(1)
            .saying(&["cancelled"]);
        assert!(
            interrupted.elapsed() < Duration::from_secs(25),
            "{what}: {:?}",
            interrupted.elapsed()
        );
        let catalog = files.place.catalog().await;
        let (jobs, _) = catalog.list(JobFilter::default(), 1, 10).await.unwrap();
        let job = |kind: BackupType| {
            jobs.iter()
                .find(|job| job.backup_type == kind)
                .map(|job| job.status)
        };
        assert_eq!(
            job(BackupType::Content),
            Some(JobStatus::Cancelled),
            "{what}"
        );
        if what == "full" {
            assert_eq!(job(BackupType::Full), Some(JobStatus::Cancelled));
        }
        assert_eq!(catalog.get_lease(Source::Content).await.unwrap(), None);
        assert!(
            files
                .place
                .keys()
                .await
                .iter()
                .all(|key| !key.starts_with("content/")),
            "{what}"
        );
        files.remove().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_interrupt_of_a_content_backup_exits_at_once() {
    let mut files = Files::none().await;
    files.place.holdfast(&["init"]).expect(0);
    let (_origin, child) = waiting_for_a_file(&mut files, "content").await;
    interrupt(&child);
    tokio::time::sleep(Duration::from_millis(300)).await;
    interrupt(&child);
    let second = Instant::now();
    let ended = tokio::task::spawn_blocking(move || end_of(child))
        .await
        .unwrap();
    assert!([1, 130].contains(&ended.code), "{ended:?}");
    assert!(
        second.elapsed() < Duration::from_secs(2),
        "{:?}",
        second.elapsed()
    );
    files.remove().await;
}

/// Runs a command on a terminal, sends Ctrl-C at the question, and exits as the command did.
const ON_A_TERMINAL: &str = r#"
import os, pty, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
shown = b""
while True:
    try:
        chunk = os.read(terminal, 4096)
    except OSError:
        break
    if not chunk:
        break
    if b"[y/N]" in chunk:
        os.write(terminal, b"\x03")
    shown += chunk
_, status = os.waitpid(pid, 0)
sys.stdout.buffer.write(shown)
sys.exit(os.waitstatus_to_exitcode(status))
"#;

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_before_the_confirmation_reports_that_nothing_was_written() {
    let place = Place::initialised().await;
    let id = place.back_up();
    let before = place.content(&place.database).await;
    for how in ["--drop", "--merge"] {
        let mut terminal = Command::new("python3");
        terminal
            .args([
                "-c",
                ON_A_TERMINAL,
                env!("CARGO_BIN_EXE_holdfast"),
                "restore",
                "database",
                &id,
                how,
            ])
            .env_clear()
            .envs(&place.env)
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped());
        let ended = tokio::task::spawn_blocking(move || end_of(terminal.spawn().unwrap()))
            .await
            .unwrap();
        let reported = ended.text();
        assert_eq!(ended.code, 130, "{reported}{}", ended.stderr);
        assert!(
            reported.contains("[y/N]") && reported.contains("interrupted: nothing was written"),
            "{reported}"
        );
        assert!(!reported.contains("may be incomplete"), "{reported}");
    }
    assert_eq!(place.content(&place.database).await, before);
    place.remove().await;
}
