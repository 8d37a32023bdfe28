//! `kill -9` of a content backup, in a directory and on S3: the next run resumes it, at any step.

use std::{
    path::Path,
    process::Child,
    time::{Duration, Instant},
};

use holdfast_catalog::{JobFilter, Source};
use holdfast_domain::{BackupType, Job, JobStatus};
use holdfast_testing::{
    Origin, Relay, long_cases,
    origin::Answer,
    proxy::{FaultProxy, WireFault},
};

use super::{
    directory::{NAME, place_in, unfinished},
    files::{Files, bytes},
    place::end_of,
};

/// Kills a run after it reached a certain step.
async fn kill_once(mut child: Child, reached: impl AsyncFn() -> bool) {
    let begun = Instant::now();
    while !reached().await {
        if child.try_wait().unwrap().is_some() {
            let ended = end_of(child);
            panic!(
                "it ended before it was killed: {} {}",
                ended.text(),
                ended.stderr
            );
        }
        assert!(
            begun.elapsed() < Duration::from_mins(1),
            "it never got there"
        );
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

/// The only content backup in the catalogue.
async fn content_job(files: &Files) -> Job {
    let jobs = files
        .place
        .catalog()
        .await
        .list(JobFilter::default(), 1, 10)
        .await
        .unwrap()
        .0;
    jobs.into_iter()
        .find(|job| job.backup_type == BackupType::Content)
        .unwrap()
}

/// The next run completes the killed backup, and releases its leases.
async fn assert_resumed(files: &Files, next: &str, died: &str) {
    let place = &files.place;
    let killed = content_job(files).await;
    assert!(killed.status.is_active(), "{died}: {}", killed.status);
    place.let_time_pass().await;
    let ended = place.holdfast(&["run", next, "--json"]);
    assert_eq!(
        ended.code,
        0,
        "{died}, then run {next}: {}{}",
        ended.text(),
        ended.stderr
    );
    let catalog = place.catalog().await;
    let job = catalog.get(&killed.backup_id).await.unwrap();
    let items = job.items.unwrap();
    assert_eq!(
        (job.status, items.failed),
        (JobStatus::Completed, 0),
        "{died}"
    );
    assert_eq!(items.expected, files.held.len() as u64, "{died}");
    for source in [Source::Content, Source::Database] {
        assert_eq!(catalog.get_lease(source).await.unwrap(), None, "{died}");
    }
    assert!(
        catalog
            .active(Some(BackupType::Content))
            .await
            .unwrap()
            .is_empty(),
        "{died}"
    );
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("restored");
    let id = killed.backup_id.as_str();
    place
        .holdfast(&["restore", "content", id, "--to", to.to_str().unwrap()])
        .expect(0);
    files.assert_restored_in(&to);
    place
        .holdfast(&["verify", id, "--level", "structure"])
        .expect(0);
}

/// Ten small files, and one with a slow archive.
async fn with_a_large_file(mut files: Files) -> Files {
    let large = bytes(48 << 20, 99);
    let url = files.node.put_gaia("hub/large.bin", large.clone()).await;
    files.add("gaia", &url, "large", large).await;
    files
}

/// Whether an archive is being written.
fn archives(root: &Path) -> bool {
    let is_archive = |path: &Path| path.to_str().is_some_and(|path| path.contains(".tar"));
    unfinished(root).iter().any(|path| is_archive(path))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_killed_while_its_archive_is_written_into_a_directory_is_resumed() {
    for kind in ["content", "full"] {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join(NAME);
        let files = with_a_large_file(Files::in_place(place_in(folder.path()).await).await).await;
        let child = files.place.command(&["run", kind]).spawn().unwrap();
        kill_once(child, async || archives(&root)).await;
        assert!(archives(&root), "the kill leaves it behind");
        assert_eq!(content_job(&files).await.status, JobStatus::Finalizing);
        assert_resumed(&files, kind, "archiving").await;
        assert!(unfinished(&root).is_empty(), "{:?}", unfinished(&root));
        files.remove().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_killed_while_a_file_is_stored_in_a_directory_is_resumed_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join(NAME);
    let mut files = Files::in_place(place_in(folder.path()).await).await;
    let origin = Origin::start().await;
    let allowed = format!("{},{}", files.node.address(), origin.address());
    files
        .place
        .env
        .insert("BACKUP_CONTENT_ALLOWED_ORIGINS", allowed);
    let file = bytes(24 << 20, 7);
    let slow = Answer::ok(file.clone()).dripping(1 << 20, Duration::from_millis(300));
    origin.answer("/file", [slow, Answer::ok(file.clone())]);
    files.add("gaia", &origin.url("/file"), "slow", file).await;
    let child = files.place.command(&["run", "content"]).spawn().unwrap();
    let is_arriving = |path: &Path| path.to_str().is_some_and(|path| path.contains("incoming"));
    kill_once(child, async || {
        unfinished(&root).iter().any(|path| is_arriving(path))
    })
    .await;
    assert_eq!(content_job(&files).await.status, JobStatus::Running);
    assert_resumed(&files, "content", "downloading").await;
    assert!(unfinished(&root).is_empty(), "{:?}", unfinished(&root));
    files.remove().await;
}

/// Places of the kill on S3: a request hangs, or its response does.
const ON_S3: [(&str, &str, WireFault); 6] = [
    ("an object is stored", "content/objects/", WireFault::Hang),
    ("the archive is stored", ".tar.gz", WireFault::Hang),
    ("the list is stored", "items.", WireFault::Hang),
    ("the guide is stored", "RESTORE.md", WireFault::Hang),
    ("the manifest is stored", "manifest.json", WireFault::Hang),
    (
        "the manifest is there",
        "manifest.json",
        WireFault::HoldAnswer,
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_content_backup_killed_anywhere_on_s3_is_resumed() {
    for (state, request, fault) in ON_S3 {
        let mut files = Files::new().await;
        let direct = files.place.env["AWS_ENDPOINT_URL"].clone();
        let proxy = FaultProxy::start().await;
        files
            .place
            .env
            .insert("AWS_ENDPOINT_URL", proxy.endpoint().to_owned());
        proxy.fail("PUT", request, 1_000, fault.clone());
        let child = files.place.command(&["run", "content"]).spawn().unwrap();
        kill_once(child, async || proxy.count("PUT", request) > 0).await;
        files.place.env.insert("AWS_ENDPOINT_URL", direct);
        if state == "the manifest is there" {
            let begun = Instant::now();
            while !files
                .place
                .keys()
                .await
                .iter()
                .any(|key| key.ends_with("/manifest.json"))
            {
                assert!(
                    begun.elapsed() < Duration::from_secs(10),
                    "S3 has the request"
                );
            }
        }
        assert_resumed(&files, "content", state).await;
        let id = content_job(&files).await.backup_id;
        let folder = files
            .place
            .keys()
            .await
            .into_iter()
            .filter(|key| key.contains(&format!("{id}/")))
            .count();
        assert_eq!(
            folder,
            4,
            "archive, list, guide and manifest, once: {state}: {:?}",
            files.place.keys().await
        );
        files.remove().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_backup_killed_on_s3_is_resumed() {
    for (state, request) in [("archiving", ".tar.gz"), ("committing", "RESTORE.md")] {
        let mut files = Files::new().await;
        let direct = files.place.env["AWS_ENDPOINT_URL"].clone();
        let proxy = FaultProxy::start().await;
        files
            .place
            .env
            .insert("AWS_ENDPOINT_URL", proxy.endpoint().to_owned());
        proxy.fail("PUT", request, 1_000, WireFault::Hang);
        let child = files.place.command(&["run", "full"]).spawn().unwrap();
        kill_once(child, async || {
            let of_content =
                proxy.count("PUT", "/content/content_") > 0 && proxy.count("PUT", ".tar.gz") > 0;
            of_content && proxy.count("PUT", request) > usize::from(request == "RESTORE.md")
        })
        .await;
        files.place.env.insert("AWS_ENDPOINT_URL", direct);
        assert_resumed(&files, "full", state).await;
        files.remove().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_killed_while_it_looks_for_items_is_resumed() {
    for kind in ["content", "full"] {
        let mut files = Files::new().await;
        let direct = files.place.env["MONGODB_URI"].clone();
        let relay = Relay::before_mongodb().await;
        let database = files.place.database.clone();
        relay.silence();
        files
            .place
            .env
            .insert("MONGODB_URI", relay.mongodb_uri(&database));
        let child = files.place.command(&["run", kind]).spawn().unwrap();
        let catalog = files.place.catalog().await;
        kill_once(child, async || {
            let jobs = catalog.active(Some(BackupType::Content)).await.unwrap();
            jobs.iter().any(|job| job.status == JobStatus::Running)
        })
        .await;
        files.place.env.insert("MONGODB_URI", direct);
        assert_resumed(&files, kind, "discovering").await;
        files.remove().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_runs_is_refused_and_not_resumed() {
    let mut files = Files::none().await;
    files.place.holdfast(&["init"]).expect(0);
    let origin = Origin::start().await;
    origin.answer("/file", [Answer::silence()]);
    files.place.env.insert(
        "BACKUP_CONTENT_ALLOWED_ORIGINS",
        origin.address().to_owned(),
    );
    let item = bson::doc! { "contentId": 1, "storageType": "gaia", "url": origin.url("/file"), "title": "never" };
    files.add_document(item).await;
    let mut child = files.place.command(&["run", "content"]).spawn().unwrap();
    while origin.count("/file") == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let begun = Instant::now();
    for kind in ["content", "full"] {
        files
            .place
            .holdfast(&["run", kind])
            .expect(5)
            .saying(&["is running", "cancel"]);
    }
    assert!(
        begun.elapsed() < Duration::from_secs(40),
        "a beat comes every ten seconds: {:?}",
        begun.elapsed()
    );
    assert!(child.try_wait().unwrap().is_none(), "the run goes on");
    child.kill().unwrap();
    child.wait().unwrap();
    if long_cases() {
        // No time is made to pass: the command itself waits until the run is known to be dead.
        origin.answer("/file", [Answer::ok("late")]);
        files.place.holdfast(&["run", "content"]).expect(0);
    }
    files.remove().await;
}
