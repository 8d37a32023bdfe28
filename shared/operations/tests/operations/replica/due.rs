//! Due copies.

use holdfast_domain::{BackupType, CopyStatus, JobStatus, Timestamp};
use holdfast_operations::{copies_due, expect_copies};
use holdfast_repository::Repository;
use holdfast_testing::{Fault, FaultStore, Operation};
use jiff::SignedDuration;

use super::fixture::{Second, copied, over, put_files, step, told};
use crate::support::simulation::World;

async fn due(world: &World, second: &Repository, after: SignedDuration) -> Vec<String> {
    let due = copies_due(&world.h, second, Timestamp::now() + after)
        .await
        .unwrap();
    due.due.into_iter().map(|id| id.to_string()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_completed_backup_is_due_until_it_is_copied() {
    let (world, second) = (World::new().await, Second::new());
    put_files(world.store.as_ref()).await;
    let now = SignedDuration::ZERO;
    let database = world.back_up().await;
    world.pass(SignedDuration::from_secs(5));
    let content = world.back_up_content(&["a"]).await.unwrap();
    let full = world.begin(BackupType::Full).await;
    world.step(&full, JobStatus::Committing).await;
    world.step(&full, JobStatus::Completed).await;
    world.fail().await;
    assert_eq!(
        due(&world, &second.repository, now).await,
        [content.to_string(), database.to_string()]
    );
    copied(&world.h, &second.repository, &content).await;
    assert_eq!(
        due(&world, &second.repository, now).await,
        [database.to_string()]
    );
    copied(&world.h, &second.repository, &database).await;
    assert_eq!(due(&world, &second.repository, now).await, [""; 0]);
    // Another store has no copy yet.
    let location = holdfast_domain::settings::StoreLocation::parse("gs://another").unwrap();
    let another = Repository::new(
        second.memory.clone(),
        location,
        holdfast_repository::Keyring::none(),
    );
    assert_eq!(due(&world, &another, now).await.len(), 2);
    world.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_is_tried_again_after_growing_waits() {
    let (world, second) = (World::new().await, Second::new());
    put_files(world.store.as_ref()).await;
    let id = world.back_up().await;
    let faults = FaultStore::new(second.memory.clone());
    faults.on_every(Operation::Put, Fault::Unavailable);
    let through = over(faults.clone());
    for hours in [1, 2, 4, 8, 16, 23, 23] {
        assert!(step(&world.h, &through, &id).await.is_err());
        let wait = SignedDuration::from_hours(hours);
        assert_eq!(
            due(&world, &through, wait).await.len(),
            1,
            "after {hours} hours"
        );
        assert_eq!(
            due(&world, &through, wait / 2 - SignedDuration::from_mins(10))
                .await
                .len(),
            0,
            "before {hours}"
        );
    }
    let overdue = copies_due(
        &world.h,
        &through,
        Timestamp::now() + SignedDuration::from_hours(25),
    )
    .await
    .unwrap();
    assert_eq!((overdue.uncopied, overdue.overdue.len()), (1, 1));
    faults.heal();
    copied(&world.h, &through, &id).await;
    let overdue = copies_due(
        &world.h,
        &through,
        Timestamp::now() + SignedDuration::from_hours(25),
    )
    .await
    .unwrap();
    assert_eq!((overdue.uncopied, overdue.overdue.len()), (0, 0));
    world.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_requested_copy_gets_time_to_begin() {
    let (world, second) = (World::new().await, Second::new());
    let id = world.back_up().await;
    let ids = [id.clone()];
    expect_copies(&world.h, &second.repository, &ids, Timestamp::now())
        .await
        .unwrap();
    assert_eq!(told(&world.h, &id).await, (CopyStatus::Pending, None));
    assert_eq!(
        due(&world, &second.repository, SignedDuration::from_mins(10)).await,
        [""; 0]
    );
    assert_eq!(
        due(&world, &second.repository, SignedDuration::from_mins(21))
            .await
            .len(),
        1
    );
    put_files(world.store.as_ref()).await;
    copied(&world.h, &second.repository, &id).await;
    expect_copies(&world.h, &second.repository, &ids, Timestamp::now())
        .await
        .unwrap();
    assert_eq!(
        told(&world.h, &id).await,
        (CopyStatus::Completed, None),
        "the entry of a copy is unchanged"
    );
    world.remove().await;
}
