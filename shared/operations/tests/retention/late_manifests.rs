//! A failed or cancelled job may get a late manifest from a paused run. Until this period is over,
//! no object of a possible manifest is removed.

use holdfast_catalog::JobChange;
use holdfast_domain::{
    BackupId, BackupType, Encoding, FailureCode, JobFailure, JobStatus, ObjectKey, RetentionPolicy,
};
use holdfast_operations::{
    BroughtBack, RunLimits, Trust, plan_collection, plan_retention, retain, sweep,
};
use holdfast_testing::{Fault, FaultStore, Operation};
use jiff::SignedDuration;
use mongodb::bson::{DateTime, doc};

use crate::{
    collection::with_a_file_that_nobody_needs,
    truth,
    world::{World, content::OnItsWay, object_of},
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
    let failure = code.map(|code| JobFailure {
        code,
        message: "x".to_owned(),
        hint: None,
    });
    let is_cancelled = failure.is_none();
    let id = world.give_up_content(paused, failure).await;
    if is_cancelled {
        set(world, &id, JobStatus::Cancelled).await;
    }
    id
}

async fn set(world: &World, id: &BackupId, status: JobStatus) {
    let set = doc! { "$set": { "status": status.as_str() } };
    world
        .rows("backup_jobs")
        .update_one(doc! { "_id": id.as_str() }, set)
        .await
        .unwrap();
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
    let row = world
        .rows("backup_jobs")
        .find_one(doc! { "_id": like.as_str() })
        .await
        .unwrap()
        .unwrap();
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
        let late = OnItsWay {
            id: paused.id.clone(),
            created_at: paused.created_at,
        };
        let id = end(&world, paused, code).await;
        fail_often(&world, &id).await;
        world.pass(SignedDuration::from_mins(59));
        let plan = plan_retention(&world.h, Trust::AsListed, world.now())
            .await
            .unwrap();
        let planned = plan_collection(&world.h, &plan, world.now()).await.unwrap();
        let report = world.retain().await;
        assert_eq!(
            (planned.unreferenced, report.collection.unreferenced),
            (0, 0),
            "{code:?}: {report:?}"
        );
        assert_eq!(
            (report.collection.skipped, report.content.deleted.len()),
            (None, 1),
            "{code:?}"
        );
        wake_up(&world, late).await;
        world.pass_days(2);
        // The late backup is the newest good one now, so that the older one exceeds the policy.
        let report = world.retain().await;
        assert_eq!(report.content.deleted.len(), 1, "{code:?}: {report:?}");
        assert!(
            world.has(&object_of("a")).await,
            "{code:?}: a manifest counts whatever its job says"
        );
        let job = world.h.catalog.get(&id).await.unwrap();
        assert_eq!(
            job.status,
            JobStatus::Completed,
            "{code:?}: retention completes the job by its manifest"
        );
        let swept = sweep(&world.h, None, world.now()).await.unwrap();
        assert_eq!(
            (swept.completed, swept.problems),
            (vec![], vec![]),
            "{code:?}"
        );
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
    let dump = ObjectKey::database_dump(&id, 1, Encoding::PLAIN);
    world.put(&dump, b"a dump").await;
    world.pass(SignedDuration::from_hours(30));
    world.step(&id, JobStatus::Failed).await;
    assert_eq!(
        sweep(&world.h, None, world.now())
            .await
            .unwrap()
            .objects_removed,
        0
    );
    world.pass(SignedDuration::from_hours(1));
    assert_eq!(
        sweep(&world.h, None, world.now())
            .await
            .unwrap()
            .objects_removed,
        1
    );
    assert!(!world.has(&dump).await);
    world.remove().await;
}

#[tokio::test]
async fn a_plan_judges_a_job_with_a_late_manifest_as_the_run_does() {
    for code in CODES {
        let world = World::new().await;
        let policy = RetentionPolicy {
            max_count: Some(1),
            min_count: 1,
            ..RetentionPolicy::from_days(90)
        };
        world.set_policy(BackupType::Content, policy).await;
        let older = world.back_up_content(&["a"]).await.unwrap();
        world.pass_days(1);
        let paused = world.begin_content(&["a", "b"]).await.unwrap();
        let late = OnItsWay {
            id: paused.id.clone(),
            created_at: paused.created_at,
        };
        let id = end(&world, paused, code).await;
        wake_up(&world, late).await;
        let plan = plan_retention(&world.h, Trust::AsListed, world.now())
            .await
            .unwrap();
        let planned: Vec<_> = plan
            .content
            .deletions()
            .map(|it| it.decision.backup_id.clone())
            .collect();
        assert_eq!(planned, [older], "{code:?}");
        assert!(
            plan.content
                .backups
                .iter()
                .any(|it| it.decision.backup_id == id && it.decision.is_good),
            "{code:?}"
        );
        let still = world.status(&id).await;
        assert!(
            matches!(still, JobStatus::Failed | JobStatus::Cancelled),
            "a plan changes nothing: {still}"
        );
        let report = world.retain().await;
        let deleted: Vec<_> = report
            .content
            .deleted
            .iter()
            .map(|it| it.backup_id.clone())
            .collect();
        assert_eq!(
            deleted, planned,
            "{code:?}: what was planned is what is done"
        );
        assert_eq!(world.status(&id).await, JobStatus::Completed);
        world.remove().await;
    }
}

#[tokio::test]
async fn a_job_whose_late_manifest_cannot_be_checked_is_kept() {
    let world = World::new().await;
    let late = world.back_up().await;
    set(&world, &late, JobStatus::Failed).await;
    world.pass_days(2);
    world.back_up().await;
    let policy = RetentionPolicy {
        max_age_days: Some(1),
        keep_daily: Some(7),
        ..RetentionPolicy::from_days(1)
    };
    world
        .set_policy(
            BackupType::Database,
            RetentionPolicy {
                min_count: 1,
                ..policy
            },
        )
        .await;
    let faults = FaultStore::new(world.store.clone());
    faults.on(Operation::Head, 1, Fault::Unavailable);
    let report = retain(&world.through(faults), RunLimits::none(), world.now())
        .await
        .unwrap();
    let problems = &report.database.problems;
    assert!(
        problems.len() == 1 && problems[0].contains(late.as_str()),
        "{problems:?}"
    );
    assert_eq!(report.database.deleted, [], "it may be whole");
    assert_eq!(
        report.database.past_limits, 0,
        "the plan keeps it, so it violates no limit"
    );
    world.retain().await;
    assert!(world.exists(&late).await && world.status(&late).await == JobStatus::Completed);
    world.remove().await;
}

/// A full backup whose content failed, and whose database backup expires. Its content's run is
/// paused.
async fn full_with_a_paused_part(world: &World) -> (BackupId, OnItsWay) {
    let policy = RetentionPolicy {
        max_count: Some(1),
        min_count: 1,
        ..RetentionPolicy::from_days(90)
    };
    world.set_policy(BackupType::Database, policy).await;
    let full = world.begin(BackupType::Full).await;
    world.back_up_under(Some(&full)).await;
    let paused = world.begin_content(&["a"]).await.unwrap();
    let child = doc! { "$set": { "parentId": full.as_str() } };
    world
        .rows("backup_jobs")
        .update_one(doc! { "_id": paused.id.as_str() }, child)
        .await
        .unwrap();
    let late = OnItsWay {
        id: paused.id.clone(),
        created_at: paused.created_at,
    };
    end(world, paused, Some(FailureCode::Stalled)).await;
    let failure = JobFailure {
        code: FailureCode::PartFailed,
        message: "x".to_owned(),
        hint: None,
    };
    let change = JobChange {
        error: Some(failure),
        completed_at: Some(world.now()),
        ..JobChange::default()
    };
    world
        .h
        .catalog
        .transition(&full, JobStatus::Failed, change, None)
        .await
        .unwrap();
    world.pass_days(1);
    world.back_up().await;
    let report = world.retain().await;
    assert_eq!(
        (report.database.deleted.len(), &report.full_deleted),
        (1, &vec![full.clone()]),
        "{report:?}"
    );
    (full, late)
}

#[tokio::test]
async fn a_deleted_full_backup_is_brought_back_with_its_part() {
    for is_killed_between in [false, true] {
        let world = World::new().await;
        let (full, late) = full_with_a_paused_part(&world).await;
        let part = late.id.clone();
        wake_up(&world, late).await;
        if is_killed_between {
            // The run that completed the part died before it settled the parent.
            set(&world, &part, JobStatus::Completed).await;
            let swept = sweep(&world.h, None, world.now()).await.unwrap();
            let back = BroughtBack {
                backup_id: full.clone(),
                status: JobStatus::Failed,
            };
            assert_eq!(
                (swept.full_settled, swept.full_brought_back),
                (vec![], vec![back])
            );
        } else {
            world.retain().await;
        }
        assert_eq!(world.status(&part).await, JobStatus::Completed);
        let parent = world.h.catalog.get(&full).await.unwrap();
        assert_eq!(
            (parent.status, parent.deletion),
            (JobStatus::Failed, None),
            "it is what it was"
        );
        let swept = sweep(&world.h, None, world.now()).await.unwrap();
        assert_eq!(
            (swept.full_settled, swept.full_brought_back),
            (vec![], vec![])
        );
        world.remove().await;
    }
}
