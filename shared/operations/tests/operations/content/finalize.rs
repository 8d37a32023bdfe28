//! The end of a backup: its content, its omissions, and the effects of time limits, damage and
//! repeated runs.

use std::sync::Arc;

use holdfast_domain::{FailureCode, ItemFailureCode, ItemStatus, JobStatus, ObjectKey};
use holdfast_operations::{FinalizeOutcome, SkipReason, finalize_content};
use holdfast_testing::{Fault, FaultStore, FileShape, Operation};
use mongodb::bson::doc;

use crate::support::{
    content::finalized::{PATIENT, completed, failed, finalize, seconds},
    content::{Fixture, file_of, item, noise},
    holdfast::settings_of,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_holds_every_file_in_its_archive_and_every_item_in_its_list() {
    let f = Fixture::new(&[]).await;
    f.fill(20).await;
    let deep = noise(3_000_000);
    let cid = f
        .node
        .add(deep.clone(), &FileShape::v0().chunk(10_000).max_links(5))
        .await;
    f.insert([item(
        21,
        "ipfs",
        &format!("https://gateway.example/ipfs/{cid}/"),
    )])
    .await;
    f.insert([item(22, "ipfs", "no cid at all")]).await;
    let job = f.back_up().await;
    let manifest = f.manifest(&job.backup_id).await;

    let items = manifest.content.as_ref().unwrap().items;
    assert_eq!(
        (items.expected, items.done, items.unchanged, items.failed),
        (22, 21, 0, 1)
    );
    assert_eq!(job.items, Some(items));
    assert_eq!(job.original_size, Some(items.bytes));
    assert_eq!(
        job.size,
        Some(
            manifest
                .artifacts
                .iter()
                .map(|artifact| artifact.size)
                .sum()
        )
    );
    assert_eq!(
        job.key.as_ref(),
        manifest.content.as_ref().unwrap().archive.first()
    );
    assert!(job.message.unwrap().starts_with("1 of 22 items"));
    assert!(manifest.source.uri.contains(&f.database) && manifest.engine.is_none());

    let archived = f.archived(&manifest).await;
    assert_eq!(archived.len(), 22);
    assert_eq!(archived["1_Item_1"], file_of(1));
    assert_eq!(archived["2_Item_2.txt"], file_of(2));
    assert_eq!(archived["21_Item_21"], deep);
    let listed = f.listed(&manifest).await;
    let document: serde_json::Value = serde_json::from_slice(&archived["manifest.json"]).unwrap();
    assert_eq!(serde_json::to_value(&listed).unwrap(), document["items"]);
    let refused = listed
        .iter()
        .find(|record| record.item.content_id == "22")
        .unwrap();
    assert_eq!(
        (refused.status, refused.error.as_ref().unwrap().code),
        (ItemStatus::Failed, ItemFailureCode::BadCid)
    );

    assert_eq!(
        f.keys_under(&ObjectKey::backup_prefix(&job.backup_id))
            .await
            .len(),
        4
    );
    assert_eq!(f.leases().await, 0);
    assert!(
        f.recorded
            .states()
            .ends_with(&[JobStatus::Committing, JobStatus::Completed])
    );
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unrecorded_source_is_empty_without_its_connection_string_and_never_the_default() {
    let f = Fixture::new(&[]).await;
    f.fill(1).await;
    let default = settings_of([("BACKUP_STORE", "s3://unused")]).mongodb_uri;
    let unset = f.with(|settings| settings.mongodb_uri = default);
    for (holdfast, is_known) in [(&unset, false), (&f.holdfast, true)] {
        let id = f.up_to_finalize().await;
        // A discovery by an earlier version.
        let forget = doc! { "$set": { "work.sourceUri": "" } };
        f.rows("backup_jobs")
            .update_one(doc! { "_id": id.as_str() }, forget)
            .await
            .unwrap();
        completed(finalize(holdfast, &id).await);
        let uri = f.manifest(&id).await.source.uri;
        assert_eq!(uri.contains(&f.database), is_known, "{uri}");
        assert_eq!(uri.is_empty(), !is_known, "{uri}");
    }
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_backup_is_unchanged_and_whole() {
    let f = Fixture::new(&[("BACKUP_CONTENT_COMPRESSION", "false")]).await;
    f.fill(6).await;
    f.back_up().await;
    let second = f.back_up().await;
    let manifest = f.manifest(&second.backup_id).await;
    assert_eq!(second.items.unwrap().unchanged, 6);
    assert!(manifest.compression.is_none());
    assert_eq!(f.archived(&manifest).await.len(), 7);
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_without_items_reports_it() {
    let f = Fixture::new(&[]).await;
    let job = f.back_up().await;
    assert_eq!(job.items.unwrap().expected, 0);
    assert!(
        job.message
            .unwrap()
            .starts_with("there was nothing to back up")
    );
    assert_eq!(f.archived(&f.manifest(&job.backup_id).await).await.len(), 1);
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_archive_the_list_is_the_backup() {
    let f = Fixture::new(&[("BACKUP_CONTENT_ARCHIVE", "false")]).await;
    f.fill(4).await;
    let job = f.back_up().await;
    let manifest = f.manifest(&job.backup_id).await;
    let content = manifest.content.as_ref().unwrap();
    assert!(content.archive.is_empty());
    assert_eq!(job.key.as_ref(), Some(&content.item_list));
    assert_eq!(
        (f.listed(&manifest).await.len(), manifest.artifacts.len()),
        (4, 1)
    );
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_that_are_written_alike_keep_their_own_files() {
    let f = Fixture::new(&[]).await;
    let url = f.node.put_gaia("a.png", noise(100)).await;
    let other = f.node.put_gaia("b.png", noise(100)).await;
    for (id, url) in [("a b", &url), ("a_b", &other)] {
        let mut item = item(1, "gaia", url);
        item.insert("contentId", id);
        f.insert([item]).await;
    }
    let job = f.back_up().await;
    let archived = f.archived(&f.manifest(&job.backup_id).await).await;
    assert_eq!(archived.len(), 3, "{:?}", archived.keys());
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_object_fails_its_item_and_is_fetched_again_by_the_next_backup() {
    let f = Fixture::new(&[PATIENT]).await;
    f.fill(4).await;
    let id = f.up_to_finalize().await;
    let lost = f.item(&id, "1").await.file.unwrap();
    f.store
        .store
        .delete(&lost.object.artifact.key)
        .await
        .unwrap();
    let blockless = f.item(&id, "3").await.file.unwrap();
    f.store
        .store
        .delete(&blockless.dag.unwrap().artifact.key)
        .await
        .unwrap();
    let short = f.item(&id, "2").await.file.unwrap().object.artifact.key;
    f.replace(&short, b"short".to_vec()).await;

    let job = completed(finalize(&f.holdfast, &id).await);
    assert_eq!(f.by_status(&id, ItemStatus::Failed).await, ["1", "2", "3"]);
    assert_eq!(job.items.unwrap().failed, 3);
    let error = f.item(&id, "1").await.error.unwrap();
    assert_eq!(error.code, ItemFailureCode::Store);
    assert!(error.message.contains("is missing"), "{}", error.message);
    let archived = f.archived(&f.manifest(&id).await).await;
    assert_eq!(
        archived.keys().collect::<Vec<_>>(),
        ["4_Item_4.txt", "manifest.json"]
    );

    f.store.store.delete(&short).await.unwrap();
    let again = f.back_up().await;
    assert_eq!(
        (again.items.unwrap().done, again.items.unwrap().unchanged),
        (3, 1)
    );
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_missing_objects_are_no_backup_and_leave_nothing() {
    let f = Fixture::new(&[("BACKUP_CONTENT_MAX_FAILURE_PERCENT", "24")]).await;
    f.fill(4).await;
    let id = f.up_to_finalize().await;
    let lost = f.item(&id, "1").await.file.unwrap();
    f.store
        .store
        .delete(&lost.object.artifact.key)
        .await
        .unwrap();
    let job = failed(finalize(&f.holdfast, &id).await);
    let error = job.error.unwrap();
    assert_eq!(error.code, FailureCode::TooManyFailures);
    assert!(
        error.message.starts_with("1 of 4 items"),
        "{}",
        error.message
    );
    assert_eq!(job.items.unwrap().failed, 1);
    assert!(
        f.keys_under(&ObjectKey::backup_prefix(&id))
            .await
            .is_empty()
    );
    assert_eq!(f.leases().await, 0);
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_file_that_turns_out_damaged_is_not_in_the_backup() {
    let f = Fixture::new(&[PATIENT]).await;
    f.fill(3).await;
    let id = f.up_to_finalize().await;
    f.damage(&f.item(&id, "2").await.file.unwrap().object.artifact.key, 5)
        .await;
    let job = completed(finalize(&f.holdfast, &id).await);
    assert_eq!(job.items.unwrap().failed, 1);
    let archived = f.archived(&f.manifest(&id).await).await;
    assert_eq!(
        archived.keys().collect::<Vec<_>>(),
        ["1_Item_1", "3_Item_3", "manifest.json"]
    );
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn large_files_that_turn_out_damaged_are_not_in_the_backup() {
    let f = Fixture::new(&[PATIENT]).await;
    f.fill(1).await;
    let good = noise(9 << 20);
    f.add_gaia(2, noise(20 << 20)).await;
    f.add_gaia(3, noise(20 << 20)).await;
    f.add_gaia(4, noise(2 << 20)).await;
    f.add_gaia(5, good.clone()).await;
    let id = f.up_to_finalize().await;
    // Twice after the first bytes, once within them.
    for (content_id, at) in [("2", 18 << 20), ("3", 12 << 20), ("4", 100)] {
        f.damage(
            &f.item(&id, content_id)
                .await
                .file
                .unwrap()
                .object
                .artifact
                .key,
            at,
        )
        .await;
    }
    let job = completed(finalize(&f.holdfast, &id).await);
    assert_eq!(job.items.unwrap().failed, 3);
    let manifest = f.manifest(&id).await;
    let archived = f.archived(&manifest).await;
    assert_eq!(
        archived.keys().collect::<Vec<_>>(),
        ["1_Item_1", "5_Item_5.bin", "manifest.json"]
    );
    assert_eq!(archived["5_Item_5.bin"], good);
    assert_eq!(f.listed(&manifest).await.len(), 5);
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_continues_in_volumes_if_one_run_is_not_enough() {
    let f = Fixture::new(&[]).await;
    f.fill(3).await;
    let id = f.up_to_finalize().await;
    let (job, runs) = f.finalize_in_short_runs(&id).await;
    let manifest = f.manifest(&id).await;
    let volumes = &manifest.content.as_ref().unwrap().archive;
    assert!(runs >= 4 && volumes.len() >= 3, "{runs} runs, {volumes:?}");
    assert!(volumes[1].as_str().ends_with(".tar.gz.001"), "{volumes:?}");
    assert_eq!(job.items.unwrap().done, 3);
    let archived = f.archived(&manifest).await;
    assert_eq!(archived.len(), 4);
    assert_eq!(archived["3_Item_3"], file_of(3));
    assert_eq!(
        f.keys_under(&ObjectKey::backup_prefix(&id)).await.len(),
        volumes.len() + 3
    );
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_runs_without_progress_end_the_backup_with_a_remedy() {
    let f = Fixture::new(&[]).await;
    f.fill(1).await;
    let id = f.up_to_finalize().await;
    let faults = FaultStore::new(Arc::clone(&f.store.store));
    faults.on_every(Operation::List, Fault::Hang);
    let h = f.over(faults);
    let first = finalize_content(&h, &id, seconds(23)).await.unwrap();
    assert!(
        matches!(first, FinalizeOutcome::Continue { .. }),
        "{first:?}"
    );
    assert_eq!(f.job(&id).await.status, JobStatus::Finalizing);
    let error = failed(finalize_content(&h, &id, seconds(23)).await.unwrap())
        .error
        .unwrap();
    assert_eq!(error.code, FailureCode::Deadline);
    assert!(error.hint.unwrap().contains("holdfast run content"));
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_finalizers_one_finalizes() {
    let f = Fixture::new(&[]).await;
    f.fill(5).await;
    let id = f.up_to_finalize().await;
    let (one, other) = tokio::join!(finalize(&f.holdfast, &id), finalize(&f.holdfast, &id));
    let outcomes = [one, other];
    let completed = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, FinalizeOutcome::Completed(_)))
        .count();
    assert_eq!(completed, 1, "{outcomes:?}");
    let again = finalize(&f.holdfast, &id).await;
    let reason = SkipReason::AlreadyFinished(JobStatus::Completed);
    assert!(
        matches!(again, FinalizeOutcome::Skipped { reason: found, .. } if found == reason),
        "{again:?}"
    );
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_still_downloads_is_not_finalized() {
    let f = Fixture::new(&[]).await;
    f.fill(2).await;
    let id = f.trigger().await;
    f.discover(&id).await;
    let early = finalize(&f.holdfast, &id).await;
    assert!(
        matches!(
            early,
            FinalizeOutcome::Skipped {
                reason: SkipReason::RunningElsewhere,
                ..
            }
        ),
        "{early:?}"
    );
    assert_eq!(f.job(&id).await.status, JobStatus::Running);
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_that_is_not_settled_is_never_left_out_in_silence() {
    let f = Fixture::new(&[]).await;
    f.fill(2).await;
    let id = f.up_to_finalize().await;
    let row = doc! { "_id": format!("{id}/1") };
    f.rows("backup_items")
        .update_one(row, doc! { "$set": { "status": "pending" } })
        .await
        .unwrap();
    assert_eq!(
        failed(finalize(&f.holdfast, &id).await).error.unwrap().code,
        FailureCode::Internal
    );
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_items_are_finalized_a_page_at_a_time() {
    const ITEMS: u32 = 10_000;
    let f = Fixture::new(&[]).await;
    f.fill(1).await;
    let id = f.up_to_finalize().await;
    let rows = f.rows("backup_items");
    let row = rows
        .find_one(doc! { "_id": format!("{id}/1") })
        .await
        .unwrap()
        .unwrap();
    let more = (2..=ITEMS).map(|number| {
        let mut row = row.clone();
        row.insert("_id", format!("{id}/{number}"));
        row.insert("contentId", number.to_string());
        row.insert("fileName", format!("{number}_Item_{number}"));
        row
    });
    rows.insert_many(more).await.unwrap();
    let clock = std::time::Instant::now();
    let job = completed(finalize(&f.holdfast, &id).await);
    let seconds = clock.elapsed().as_secs_f64();
    println!(
        "{ITEMS} items finalized in {seconds:.1} s, {:.0} a second",
        f64::from(ITEMS) / seconds
    );
    assert_eq!(job.items.unwrap().done, u64::from(ITEMS));
    assert_eq!(f.listed(&f.manifest(&id).await).await.len(), ITEMS as usize);
    f.remove().await;
}
