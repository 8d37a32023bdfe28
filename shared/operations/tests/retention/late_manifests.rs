//! A failed or cancelled job may get a late manifest from a paused run. Until this period is over, no object of a
//! possible manifest is removed.

use holdfast_domain::{BackupId, BackupType, FailureCode, JobFailure, JobStatus, ObjectKey};
use holdfast_operations::{Trust, plan_collection, plan_retention, sweep};
use jiff::SignedDuration;
use mongodb::bson::{DateTime, doc};

use crate::{
    collection::with_a_file_that_nobody_needs,
    truth,
    world::{OnItsWay, World, object_of},
};

const CODES: [Option<FailureCode>; 6] = [
    Some(FailureCode::Stalled),
    Some(FailureCode::Deadline),
    Some(FailureCode::SourceUnreachable),
    Some(FailureCode::StoreUnavailable),
    Some(FailureCode::Internal),
    None,
];

/// Ends the job of a run paused before its manifest: it fails with this code, or is cancelled.
async fn end(world: &World, paused: OnItsWay, code: Option<FailureCode>) -> BackupId {
    let failure = code.map(|code| JobFailure { code, message: "x".to_owned(), hint: None });
    let is_cancelled = failure.is_none();
    let id = world.give_up_content(paused, failure).await;
    if is_cancelled {
        set(world, &id, JobStatus::Cancelled).await;
    }
    id
}

async fn set(world: &World, id: &BackupId, status: JobStatus) {
    let set = doc! { "$set": { "status": status.as_str() } };
    world.rows("backup_jobs").update_one(doc! { "_id": id.as_str() }, set).await.unwrap();
}

/// The paused run resumes and writes its manifest. Its job stays as it was.
async fn wake_up(world: &World, paused: OnItsWay) {
    let id = paused.id.clone();
    let ended = world.h.catalog.get(&id).await.unwrap().status;
    set(world, &id, JobStatus::Running).await;
    world.finish_content(paused).await;
    set(world, &id, ended).await;
}

/// Newer failures, more than a page of any list.
async fn fail_often(world: &World, like: &BackupId) {
    let row = world.rows("backup_jobs").find_one(doc! { "_id": like.as_str() }).await.unwrap().unwrap();
    let newer = (1..=120).map(|number| {
        let (mut row, at) = (row.clone(), world.now().as_millisecond() + number);
        row.insert("_id", format!("content_{at}_0000{number:04x}"));
        row.insert("createdAt", DateTime::from_millis(at));
        row
    });
    world.rows("backup_jobs").insert_many(newer).await.unwrap();
}

#[tokio::test]
async fn items_of_every_job_that_ended_within_the_hour_count_as_references() {
    for code in CODES {
        let world = World::new().await;
        with_a_file_that_nobody_needs(&world).await;
        let paused = world.begin_content(&["a"]).await.unwrap();
        let late = OnItsWay { id: paused.id.clone(), created_at: paused.created_at };
        let id = end(&world, paused, code).await;
        fail_often(&world, &id).await;
        world.pass(SignedDuration::from_mins(59));
        let plan = plan_retention(&world.h, Trust::AsListed, world.now()).await.unwrap();
        let planned = plan_collection(&world.h, &plan, world.now()).await.unwrap();
        let report = world.retain().await;
        assert_eq!((planned.unreferenced, report.collection.unreferenced), (0, 0), "{code:?}: {report:?}");
        assert_eq!((report.collection.skipped, report.content.deleted.len()), (None, 1), "{code:?}");
        wake_up(&world, late).await;
        world.pass_days(2);
        // The late backup is the newest good one now, so that the older one exceeds the policy.
        let report = world.retain().await;
        assert_eq!(report.content.deleted.len(), 1, "{code:?}: {report:?}");
        assert!(world.has(&object_of("a")).await, "{code:?}: a manifest counts whatever its job says");
        let job = world.h.catalog.get(&id).await.unwrap();
        assert_eq!(job.status, JobStatus::Completed, "{code:?}: retention completes the job by its manifest");
        let swept = sweep(&world.h, None, world.now()).await.unwrap();
        assert_eq!((swept.completed, swept.problems), (vec![], vec![]), "{code:?}");
        assert_eq!(world.status(&id).await, JobStatus::Completed);
        world.retain().await;
        assert!(world.has(&object_of("a")).await, "{code:?}");
        truth::no_live_backup_lost_anything(&world).await;
        world.remove().await;
    }
}

#[tokio::test]
async fn items_of_a_job_that_ended_before_count_no_more() {
    for code in CODES {
        let world = World::new().await;
        with_a_file_that_nobody_needs(&world).await;
        let paused = world.begin_content(&["a"]).await.unwrap();
        end(&world, paused, code).await;
        assert_eq!(world.retain().await.collection.deleted, 0, "{code:?}");
        world.pass(SignedDuration::from_mins(61));
        assert_eq!(world.retain().await.collection.deleted, 2, "{code:?}");
        world.remove().await;
    }
}

#[tokio::test]
async fn old_objects_of_a_job_that_ended_just_now_are_no_orphans() {
    let world = World::new().await;
    let id = world.begin(BackupType::Database).await;
    let dump = ObjectKey::database_dump(&id, 1, false, false);
    world.put(&dump, b"a dump").await;
    world.pass(SignedDuration::from_hours(30));
    world.step(&id, JobStatus::Failed).await;
    assert_eq!(sweep(&world.h, None, world.now()).await.unwrap().objects_removed, 0);
    world.pass(SignedDuration::from_hours(1));
    assert_eq!(sweep(&world.h, None, world.now()).await.unwrap().objects_removed, 1);
    assert!(!world.has(&dump).await);
    world.remove().await;
}
