//! Readers and the second store: a copy being made keeps its backup, and a copy being read stays.

use std::{sync::Arc, time::Duration};

use holdfast_domain::{BackupType, JobStatus, ObjectKey, RetentionPolicy};
use holdfast_operations::{CatalogLeases, RunLimits, remove_copies};
use holdfast_recovery::readers::{Protection, Purpose, ReaderLease};
use holdfast_testing::{Fault, FaultStore, Operation};

use crate::{
    second::{Second, copied, over, put_files, step},
    world::World,
};

async fn past_its_limits() -> (World, Second, holdfast_domain::BackupId) {
    let world = World::new().await;
    put_files(world.store.as_ref()).await;
    let old = world.back_up_daily(2).await.remove(0);
    let policy = RetentionPolicy {
        max_count: Some(1),
        min_count: 1,
        ..RetentionPolicy::from_days(9)
    };
    world.set_policy(BackupType::Database, policy).await;
    (world, Second::new(), old)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_not_deleted_while_it_is_copied() {
    let (world, second, old) = past_its_limits().await;
    let faults = FaultStore::new(second.memory.clone());
    faults.on(Operation::Put, 3, Fault::Late(Duration::from_secs(3)));
    let (h, through, id) = (world.h.clone(), over(faults.clone()), old.clone());
    let copying = tokio::spawn(async move { step(&h, &through, &id).await });
    while faults.calls(Operation::Put) < 3 {
        assert!(!copying.is_finished(), "it did not come to the dump");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(world.retain().await.database.deleted.is_empty());
    assert_eq!(world.status(&old).await, JobStatus::Completed);
    copying.await.unwrap().unwrap();
    second.assert_whole(&old).await;
    assert_eq!(world.retain().await.database.deleted.len(), 1);
    world.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_not_deleted_while_it_is_read() {
    let (world, second, old) = past_its_limits().await;
    copied(&world.h, &second.repository, &old).await;
    assert_eq!(world.retain().await.database.deleted.len(), 1);
    let leases = Arc::new(CatalogLeases::new(
        world.h.catalog.clone(),
        world.h.repository.location().to_string(),
    ));
    let acquire =
        || ReaderLease::acquire(leases.clone(), &second.repository, &old, Purpose::Restore);
    let lease = acquire().await;
    assert_eq!(
        *lease.protection(),
        Protection::Held,
        "its copy was not marked"
    );
    let removed = async || {
        remove_copies(&world.h, &second.repository, RunLimits::none(), world.now())
            .await
            .unwrap()
    };
    let report = removed().await;
    assert_eq!(
        (report.deleted.len(), report.retained),
        (0, 1),
        "{report:?}"
    );
    second.assert_whole(&old).await;
    lease.release().await;
    assert_eq!(removed().await.deleted.len(), 1);
    assert!(!second.has(&ObjectKey::manifest(&old)).await);
    assert!(
        acquire().await.protection().warning(&old).is_some(),
        "there is nothing to protect"
    );
    world.remove().await;
}
