//! Failures of a repository in a directory: killed and stopped runs, full or missing disks, two
//! runs at once.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use holdfast_catalog::JobFilter;
use holdfast_domain::{BackupType, JobStatus};
use holdfast_testing::{Origin, origin::Answer};
use tempfile::TempDir;

use super::{
    directory::{
        NAME, add_noise, files_below, initialised_in, place_in, run_in_shell, shell, unfinished,
    },
    files::{Files, bytes},
    place::{Ended, Place, end_of},
};

/// Runs a backup with a limit for the size of a file, in blocks of 1,024 bytes.
fn back_up_with_a_limit(place: &Place, folder: &Path, at_the_limit: &str) -> Ended {
    run_in_shell(
        place,
        folder,
        &format!("{at_the_limit} ulimit -f 12000; exec holdfast run database"),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_the_system_stops_in_the_middle_fails_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let place = initialised_in(folder.path()).await;
    let older = place.back_up();
    let root = folder.path().join(NAME);
    let before = files_below(&root);
    add_noise(&place, 30).await;
    let ended = back_up_with_a_limit(&place, folder.path(), "trap '' XFSZ;");
    ended
        .expect(7)
        .saying(&["too large", root.to_str().unwrap()]);
    assert_eq!(files_below(&root), before);
    let jobs = place
        .catalog()
        .await
        .list(JobFilter::default(), 1, 10)
        .await
        .unwrap()
        .0;
    assert_eq!(
        jobs.iter().map(|job| job.status).collect::<Vec<_>>(),
        [JobStatus::Failed, JobStatus::Completed]
    );
    place
        .holdfast(&["verify", &older, "--level", "structure"])
        .expect(0);
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_is_killed_leaves_only_what_cleaning_up_finds() {
    let folder = tempfile::tempdir().unwrap();
    let place = initialised_in(folder.path()).await;
    let older = place.back_up();
    add_noise(&place, 30).await;
    let killed = back_up_with_a_limit(&place, folder.path(), "");
    assert!(killed.code == -1 || killed.code > 128, "{killed:?}");
    let root = folder.path().join(NAME);
    assert_eq!(unfinished(&root).len(), 1, "{:?}", files_below(&root));
    assert_eq!(place.json(&["list"]).len(), 1, "it is no backup");
    place
        .holdfast(&["verify", &older, "--level", "structure"])
        .expect(0);
    let jobs = place
        .catalog()
        .await
        .list(JobFilter::default(), 1, 10)
        .await
        .unwrap()
        .0;
    let dead = jobs
        .iter()
        .find(|job| job.status == JobStatus::Running)
        .unwrap()
        .backup_id
        .to_string();
    place
        .holdfast(&["run", "database"])
        .expect(5)
        .saying(&[&dead, "cancel"]);
    place.holdfast(&["cancel", &dead]).expect(0);
    place
        .holdfast(&["cleanup", "--yes"])
        .expect(0)
        .saying(&["1 unfinished file"]);
    assert_eq!(unfinished(&root), [""; 0].map(PathBuf::from));
    place.back_up();
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_content_backup_is_resumed_by_the_next_run() {
    for (killed, next) in [("content", "content"), ("full", "full")] {
        let folder = tempfile::tempdir().unwrap();
        let mut files = Files::in_place(place_in(folder.path()).await).await;
        let origin = Origin::start().await;
        origin.answer("/file", [Answer::silence()]);
        let allowed = format!("{},{}", files.node.address(), origin.address());
        files
            .place
            .env
            .insert("BACKUP_CONTENT_ALLOWED_ORIGINS", allowed);
        files
            .place
            .env
            .insert("BACKUP_CONTENT_RETRY_ATTEMPTS", "3".to_owned());
        files
            .add("gaia", &origin.url("/file"), "late", b"late".to_vec())
            .await;
        let mut child = files.place.command(&["run", killed]).spawn().unwrap();
        while origin.count("/file") == 0 {
            assert!(
                child.try_wait().unwrap().is_none(),
                "it ended before it asked for the file"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        origin.answer("/file", [Answer::ok("late")]);
        let place = &files.place;
        let jobs = place
            .catalog()
            .await
            .list(JobFilter::default(), 1, 10)
            .await
            .unwrap()
            .0;
        let content = jobs
            .iter()
            .find(|job| job.backup_type == BackupType::Content)
            .unwrap();
        place.let_time_pass().await;
        place.holdfast(&["run", next]).expect(0);
        let after = place.catalog().await.get(&content.backup_id).await.unwrap();
        assert_eq!(
            (after.status, after.items.unwrap().expected),
            (JobStatus::Completed, 11)
        );
        let to = folder.path().join("restored");
        place
            .holdfast(&[
                "restore",
                "content",
                content.backup_id.as_str(),
                "--to",
                to.to_str().unwrap(),
            ])
            .expect(0);
        files.assert_restored_in(&to);
        let listed = place.json(&["list"]);
        assert_eq!(
            listed.len(),
            if next == "full" { 4 } else { 1 },
            "{listed:?}"
        );
        files.remove().await;
    }
}

/// A separate disk. Absent if this user may not mount one.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn mount(mebibytes: u32) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let size = format!("size={mebibytes}m");
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(folder.path())
            .stderr(Stdio::null());
        mount
            .status()
            .is_ok_and(|status| status.success())
            .then_some(Self(folder))
    }

    fn fill_up_to(&self, free_mebibytes: u64) {
        let output = Command::new("df")
            .args(["--output=avail", "-B1"])
            .arg(self.0.path())
            .output()
            .unwrap();
        let free: u64 = String::from_utf8(output.stdout)
            .unwrap()
            .lines()
            .nth(1)
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        let ballast = usize::try_from(free - free_mebibytes * 1024 * 1024).unwrap();
        fs::write(self.0.path().join("ballast"), vec![0; ballast]).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount")
            .arg("--lazy")
            .arg(self.0.path())
            .status();
        assert!(unmounted.is_ok_and(|status| status.success()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_full_in_the_middle_of_a_backup_fails_it_and_nothing_else() {
    let Some(disk) = SmallDisk::mount(96) else {
        println!(
            "not run: this user may not mount a disk; its limit of a file's size was tried instead"
        );
        return;
    };
    let place = initialised_in(disk.0.path()).await;
    let older = place.back_up();
    let root = disk.0.path().join(NAME);
    let before = files_below(&root);
    add_noise(&place, 40).await;
    disk.fill_up_to(40);
    let ended = place.holdfast(&["run", "database"]).expect(1);
    let ended = ended.saying(&[
        "store-full",
        "no space",
        root.to_str().unwrap(),
        "needed, ",
        "holdfast cleanup --dry-run",
    ]);
    assert!(!ended.stderr.contains("bucket"), "{}", ended.stderr);
    assert_eq!(files_below(&root), before);
    let jobs = place
        .catalog()
        .await
        .list(JobFilter::default(), 1, 10)
        .await
        .unwrap()
        .0;
    assert_eq!(
        jobs.iter().map(|job| job.status).collect::<Vec<_>>(),
        [JobStatus::Failed, JobStatus::Completed]
    );
    place
        .holdfast(&["verify", &older, "--level", "structure"])
        .expect(0);
    fs::remove_file(disk.0.path().join("ballast")).unwrap();
    place.back_up();
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_full_ends_a_content_backup_at_once() {
    let Some(disk) = SmallDisk::mount(96) else {
        println!("not run: this user may not mount a disk");
        return;
    };
    let mut files = Files::in_place(initialised_in(disk.0.path()).await).await;
    let older = files.back_up()["backupId"].as_str().unwrap().to_owned();
    let origin = Origin::start().await;
    let large = bytes(30 * 1024 * 1024, 9);
    origin.answer("/large", [Answer::ok(large.clone())]);
    let allowed = format!("{},{}", files.node.address(), origin.address());
    files
        .place
        .env
        .insert("BACKUP_CONTENT_ALLOWED_ORIGINS", allowed);
    files
        .add("gaia", &origin.url("/large"), "large", large)
        .await;
    disk.fill_up_to(30);
    let ended = files.place.holdfast(&["run", "content"]).expect(1);
    ended.saying(&[
        "store-full",
        "not enough space",
        "holdfast cleanup --dry-run",
    ]);
    assert_eq!(origin.count("/large"), 1, "asking again makes no room");
    files.place.holdfast(&["verify", &older]).expect(0);
    files.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_not_mounted_is_no_new_repository() {
    let folder = tempfile::tempdir().unwrap();
    let place = place_in(folder.path()).await;
    let root = folder.path().join(NAME);
    let away = ["does not exist", "holdfast init"];
    place.holdfast(&["list"]).expect(7).saying(&away);
    place.holdfast(&["init"]).expect(0);
    place.back_up();
    fs::rename(&root, folder.path().join("unmounted")).unwrap();
    place.holdfast(&["run", "database"]).expect(7).saying(&away);
    fs::create_dir(&root).unwrap();
    for verb in [&["run", "database"][..], &["list"]] {
        place
            .holdfast(verb)
            .expect(7)
            .saying(&["holds nothing of a repository", "mounted"]);
    }
    // A placeholder file for the mount point is not a repository.
    fs::write(root.join(".keep"), "").unwrap();
    for verb in [&["run", "database"][..], &["list"]] {
        place
            .holdfast(verb)
            .expect(7)
            .saying(&["holds nothing of a repository", "mounted"]);
    }
    assert_eq!(fs::read_dir(&root).unwrap().count(), 1);
    fs::remove_dir_all(&root).unwrap();
    fs::rename(folder.path().join("unmounted"), &root).unwrap();
    assert_eq!(place.json(&["list"]).len(), 1);
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_at_once_make_one_repository_whatever_the_umask() {
    let folder = tempfile::tempdir().unwrap();
    let mut place = place_in(folder.path()).await;
    place
        .env
        .insert("BACKUP_DATABASE_ENCRYPTION", "true".to_owned());
    place.env.insert("BACKUP_ENCRYPTION_KEY", "07".repeat(32));
    let begin = |umask| {
        shell(
            &place,
            folder.path(),
            &format!("umask {umask}; exec holdfast init"),
        )
        .spawn()
        .unwrap()
    };
    let started = ["000", "277", "022", "077"].map(begin);
    let told = started.map(|child| end_of(child).expect(0).text());
    let ids = told
        .each_ref()
        .map(|text| text.split_whitespace().nth(2).unwrap());
    assert!(
        ids[0].len() == 32 && ids.iter().all(|id| *id == ids[0]),
        "{told:?}"
    );
    assert_eq!(
        place.json(&["key", "show"])[0]["epochs"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let all = run_in_shell(
        &place,
        folder.path(),
        "umask 000; exec holdfast run database",
    );
    all.expect(0);
    let root = folder.path().join(NAME);
    for path in files_below(&root) {
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600,
            "{}",
            path.display()
        );
        let mut directory = path.parent().unwrap();
        while directory.starts_with(&root) {
            let mode = fs::metadata(directory).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o700, "{}", directory.display());
            directory = directory.parent().unwrap();
        }
    }
    place.remove().await;
}
