//! A backup during its restore is kept, although retention would delete it.

use std::{sync::Arc, time::Duration};

use holdfast_catalog::StoredPolicy;
use holdfast_domain::{BackupType, JobStatus, RetentionPolicy, Timestamp};
use holdfast_operations::{CatalogLeases, RunLimits, retain};
use holdfast_recovery::{
    readers::{Protection, Purpose, ReaderLease},
    restore_database,
};
use holdfast_testing::{Fault, FaultStore, Operation};
use jiff::SignedDuration;

use crate::fixture::Fixture;

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_not_deleted_between_its_proof_and_its_restore() {
    let f = Fixture::new(&[]).await;
    f.fill(100).await;
    let old = f.back_up().await.backup_id;
    let expected = f.contents(&f.database).await;
    f.back_up().await;
    let policy = RetentionPolicy {
        max_count: Some(1),
        min_count: 1,
        ..RetentionPolicy::from_days(9)
    };
    let stored = StoredPolicy {
        policy,
        updated_by: None,
        updated_at: Timestamp::now(),
    };
    f.holdfast
        .catalog
        .set_policy(BackupType::Database, &stored)
        .await
        .unwrap();

    // A restore reads the archive twice. The second read is the last request, and it is delayed.
    let faults = FaultStore::new(Arc::clone(&f.store.store));
    let through = f.over(faults.clone()).repository;
    let (target, tried) = f.target();
    restore_database(&through, &old, &target, &|_| {})
        .await
        .unwrap();
    let requests = faults.calls(Operation::Get);
    faults.on(
        Operation::Get,
        2 * requests,
        Fault::Late(Duration::from_secs(20)),
    );

    let (target, to) = f.target();
    let leases = CatalogLeases::new(
        f.holdfast.catalog.clone(),
        f.holdfast.repository.location().to_string(),
    );
    let id = old.clone();
    let restoring = tokio::spawn(async move {
        let lease = ReaderLease::acquire(Arc::new(leases), &through, &id, Purpose::Restore).await;
        assert_eq!(*lease.protection(), Protection::Held);
        let report = restore_database(&through, &id, &target, &|_| {}).await;
        lease.release().await;
        report
    });
    while faults.calls(Operation::Get) < 2 * requests {
        assert!(
            !restoring.is_finished(),
            "it did not come to its second reading"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let later = Timestamp::now() + SignedDuration::from_hours(24 * 30);
    let report = retain(&f.holdfast, RunLimits::none(), later).await.unwrap();
    assert_eq!(
        (report.database.deleted.len(), report.database.retained),
        (0, 2),
        "{report:?}"
    );
    assert_eq!(f.job(&old).await.status, JobStatus::Completed);

    assert!(restoring.await.unwrap().unwrap().is_faithful());
    assert_eq!(f.contents(&to).await, expected);
    let report = retain(&f.holdfast, RunLimits::none(), later).await.unwrap();
    assert_eq!(
        report.database.deleted.len(),
        1,
        "it has no reader any more"
    );
    for database in [tried, to] {
        f.client.database(&database).drop().await.unwrap();
    }
    f.remove().await;
}
