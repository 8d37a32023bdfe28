//! A run at the end of its time reports in time, and the next run continues. The test has lists of
//! a million lines, and more objects than one run lists.

use std::time::{Duration, Instant};

use holdfast_domain::{
    BackupId, BackupType, Encoding, ItemRecord, ManifestFile, ObjectKey, RetentionPolicy,
    Sha256Digest, Timestamp,
};
use holdfast_operations::{RetentionReport, RunLimits, retain, sweep_within};
use holdfast_storage::PutMode;
use jiff::SignedDuration;

use crate::world::{World, artifact_of, object_of};

/// Reserved by a run for its end.
const MARGIN: SignedDuration = SignedDuration::from_secs(40);

/// Lines of items without a file.
fn lines(template: &ItemRecord, count: usize) -> String {
    let line = serde_json::to_string(template).unwrap();
    let (before, after) = line.split_once("NUMBER").unwrap();
    (0..count).fold(String::new(), |lines, number| {
        lines + before + &number.to_string() + after + "\n"
    })
}

/// Adds lines to the list of a backup.
async fn grow(world: &World, id: &BackupId, more: &str, count: usize) {
    let mut manifest = world.h.repository.manifest(id).await.unwrap();
    let list = manifest.content.clone().unwrap().item_list;
    let bytes = holdfast_storage::read_all(&*world.store, &list, 1 << 20)
        .await
        .unwrap();
    let bytes = [bytes.as_ref(), more.as_bytes()].concat();
    manifest.artifacts = vec![artifact_of(&list, &bytes)];
    world
        .store
        .put(&list, bytes.into(), PutMode::Replace)
        .await
        .unwrap();
    manifest.content.as_mut().unwrap().items.expected += count as u64;
    let file = ManifestFile::seal(&manifest, |_| None).unwrap();
    world
        .store
        .put(&ObjectKey::manifest(id), file.into(), PutMode::Replace)
        .await
        .unwrap();
}

async fn stray(world: &World, number: u16) -> ObjectKey {
    let mut address = [0; 32];
    address[..2].copy_from_slice(&number.rotate_left(8).to_be_bytes());
    let key = ObjectKey::content_object(&Sha256Digest::new(address), Encoding::PLAIN);
    world
        .store
        .put(&key, "x".into(), PutMode::IfAbsent)
        .await
        .unwrap();
    key
}

async fn retain_within(world: &World, budget: Duration) -> RetentionReport {
    let deadline = Timestamp::now() + MARGIN + SignedDuration::try_from(budget).unwrap();
    let limits = RunLimits {
        deadline: Some(deadline),
    };
    retain(&world.h, limits, world.now()).await.unwrap()
}

async fn read_so_far(world: &World) -> usize {
    let store = world.h.repository.location().to_string();
    let progress = world
        .h
        .catalog
        .collecting_progress("first", &store)
        .await
        .unwrap();
    progress.map_or(0, |progress| progress.backups.len())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_million_lines_are_read_over_several_runs_that_each_end_in_time() {
    const BACKUPS: usize = 40;
    const LINES: usize = 25_000;
    let world = World::new().await;
    let mut template = None;
    let mut files = Vec::new();
    for number in 0..BACKUPS {
        let file = format!("file {number}");
        let id = world.back_up_content(&[&file]).await.unwrap();
        let record = world
            .h
            .catalog
            .items_after(&id, None, 1)
            .await
            .unwrap()
            .remove(0);
        let more = template.get_or_insert_with(|| {
            let mut record = ItemRecord {
                file: None,
                file_name: None,
                ..record
            };
            record.item.content_id = "NUMBER".to_owned();
            lines(&record, LINES)
        });
        grow(&world, &id, more, LINES).await;
        files.push(object_of(&file));
    }
    let stray = stray(&world, 7).await;
    world
        .set_policy(
            BackupType::Content,
            RetentionPolicy {
                max_count: None,
                ..RetentionPolicy::from_days(9)
            },
        )
        .await;
    world.pass_days(2);
    let (mut budget, mut read, mut runs) = (Duration::from_secs(1), 0, 0);
    loop {
        let begun = Instant::now();
        let report = retain_within(&world, budget).await;
        runs += 1;
        assert!(
            begun.elapsed() < budget + Duration::from_secs(20),
            "run {runs} took {:?}",
            begun.elapsed()
        );
        assert_eq!(report.all_problems().count(), 0, "{report:?}");
        if report.collection.unfinished.is_none() {
            assert_eq!(report.collection.deleted, 1, "{report:?}");
            break;
        }
        assert_eq!(
            report.collection.deleted, 0,
            "not before every list was read: {report:?}"
        );
        let now = read_so_far(&world).await;
        assert!(now >= read, "run {runs} forgot what was read");
        // A machine too slow for one list in this time gets more time in the next run.
        budget = if now == read { budget * 2 } else { budget };
        read = now;
    }
    assert!(
        runs > 1 && read > 0,
        "{BACKUPS} lists of {LINES} lines were read in {runs} runs"
    );
    assert!(!world.has(&stray).await);
    for file in &files {
        assert!(world.has(file).await, "{file} is referred to");
    }
    assert_eq!(
        read_so_far(&world).await,
        0,
        "the next run begins at the start"
    );
    assert_eq!(world.retain().await.collection.unreferenced, 0);
    world.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_that_stops_is_continued_where_it_stopped() {
    let world = World::new().await;
    world.back_up_content(&["a", "b"]).await.unwrap();
    for number in 0..2_500 {
        stray(&world, number).await;
    }
    world.pass_days(2);
    let (mut deleted, mut runs) = (0, 0);
    while deleted < 2_500 {
        // Enough time to remove the listed objects, but not to list more than a thousand.
        let report = retain_within(&world, Duration::from_mins(1)).await;
        assert_eq!(report.all_problems().count(), 0, "{report:?}");
        assert!(
            report.collection.deleted > 0,
            "run {runs} made no progress: {report:?}"
        );
        deleted += report.collection.deleted;
        runs += 1;
        assert!(
            report.collection.unfinished.is_some() || deleted == 2_500,
            "{report:?}"
        );
    }
    assert!(runs >= 3, "{runs} runs");
    assert!(world.has(&object_of("a")).await && world.has(&object_of("b")).await);
    world.remove().await;
}

#[tokio::test]
async fn a_sweep_whose_time_ends_reports_and_the_next_one_continues_with_the_next_folder() {
    const FAILED: u64 = 4;
    let world = World::new().await;
    for _ in 0..FAILED {
        world.fail().await;
        world.pass(SignedDuration::from_mins(1));
    }
    world.back_up().await;
    world.pass_days(2);
    // The time is over before the sweep begins, but the sweep still checks one folder.
    let limits = RunLimits {
        deadline: Some(Timestamp::now()),
    };
    for number in 1..=FAILED {
        let report = sweep_within(&world.h, None, limits, world.now())
            .await
            .unwrap();
        assert_eq!(
            (report.objects_removed, &report.problems),
            (1, &Vec::new()),
            "sweep {number}: {report:?}"
        );
        assert!(
            report.database_measured.is_some(),
            "every report has the measurements"
        );
        assert_eq!(
            report.unfinished,
            ["objects of database backups without a manifest"],
            "sweep {number}"
        );
    }
    let report = sweep_within(&world.h, None, limits, world.now())
        .await
        .unwrap();
    assert_eq!(
        (report.objects_removed, report.unfinished.len()),
        (0, 0),
        "{report:?}"
    );
    assert_eq!(
        world
            .rows("backup_collecting")
            .count_documents(mongodb::bson::doc! {})
            .await
            .unwrap(),
        0
    );
    world.remove().await;
}

#[tokio::test]
async fn a_manifest_that_is_missing_suspends_a_collection_that_read_it_in_an_earlier_run() {
    let world = World::new().await;
    let first = world.back_up_content(&["a"]).await.unwrap();
    world.back_up_content(&["b"]).await.unwrap();
    let stray = stray(&world, 7).await;
    world.pass_days(2);
    let progress = holdfast_catalog::CollectingProgress {
        store: world.h.repository.location().to_string(),
        backups: vec![first.clone()],
        ..holdfast_catalog::CollectingProgress::default()
    };
    world
        .h
        .catalog
        .keep_collecting_progress("first", "x", &progress, world.now())
        .await
        .unwrap();
    world
        .store
        .delete(&ObjectKey::manifest(&first))
        .await
        .unwrap();
    let report = world.retain().await;
    assert!(
        report
            .collection
            .suspended
            .is_some_and(|why| why.contains(first.as_str())),
        "it may name anything"
    );
    assert!(world.has(&stray).await && world.has(&object_of("a")).await);
    world.remove().await;
}
