//! Sources with changes during their backup.

use std::{sync::Arc, time::Duration};

use holdfast_domain::{FailureCode, Timestamp};
use holdfast_operations::{BackupRequest, RunLimits, back_up_database};
use holdfast_testing::{Fault, FaultStore, Operation};
use jiff::SignedDuration;
use mongodb::bson::{Document, doc};

use crate::support::database::{Fixture, completed, failed};

/// A store with such slow first parts that the dump pauses in the middle.
fn slow(f: &Fixture, pause: Duration) -> Arc<FaultStore> {
    let faults = FaultStore::new(Arc::clone(&f.store.store));
    for nth in 1..=4 {
        faults.on(Operation::UploadPart, nth, Fault::Late(pause));
    }
    faults
}

/// Replaces the large collection by a small one, in one step, after the dump has begun.
async fn replace(f: &Fixture, faults: &FaultStore) {
    begun(faults).await;
    let database = f.client.database(&f.database);
    database
        .collection::<Document>("small")
        .insert_one(doc! { "_id": 1 })
        .await
        .unwrap();
    let admin = f.client.database("admin");
    let (from, to) = (
        format!("{}.small", f.database),
        format!("{}.noise", f.database),
    );
    admin
        .run_command(doc! { "renameCollection": from, "to": to, "dropTarget": true })
        .await
        .unwrap();
}

/// Waits for the first part. An earlier stop leaves none.
async fn begun(faults: &FaultStore) {
    for _ in 0..400 {
        if faults.calls(Operation::UploadPart) > 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_collection_that_is_replaced_during_the_dump_is_dumped_again() {
    let f = Fixture::new(&[]).await;
    f.fill(10).await;
    f.fill_with_noise(80).await;
    let faults = slow(&f, Duration::from_secs(4));
    let h = f.over(faults.clone());
    let backup_id = f.trigger().await;
    let request = BackupRequest::Triggered {
        backup_id: backup_id.clone(),
    };
    let (outcome, ()) = tokio::join!(
        back_up_database(&h, request, RunLimits::none()),
        replace(&f, &faults)
    );
    let job = completed(outcome.unwrap());
    let message = job.message.unwrap();
    assert!(
        message.contains("attempt 2") && !message.contains("Not in the dump"),
        "{message}"
    );
    let restored = f.restored(&backup_id).await;
    assert_eq!(f.contents(&restored).await, f.contents(&f.database).await);
    f.client.database(&restored).drop().await.unwrap();
    assert_eq!(f.store.unfinished_uploads().await, 0);
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_that_only_the_first_attempt_found_is_named_in_the_job() {
    let f = Fixture::new(&[]).await;
    f.fill(10).await;
    f.fill_with_noise(80).await;
    let faults = slow(&f, Duration::from_secs(4));
    let h = f.over(faults.clone());
    let request = BackupRequest::Triggered {
        backup_id: f.trigger().await,
    };
    let (outcome, ()) = tokio::join!(back_up_database(&h, request, RunLimits::none()), async {
        begun(&faults).await;
        f.client
            .database(&f.database)
            .collection::<Document>("noise")
            .drop()
            .await
            .unwrap();
    });
    let message = completed(outcome.unwrap()).message.unwrap();
    assert!(
        message.contains("attempt 2") && message.ends_with(&format!("{}.noise", f.database)),
        "{message}"
    );
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_does_not_begin_again_without_time_for_it() {
    let f = Fixture::new(&[]).await;
    f.fill_with_noise(80).await;
    let faults = slow(&f, Duration::from_secs(10));
    let h = f.over(faults.clone());
    let request = BackupRequest::Triggered {
        backup_id: f.trigger().await,
    };
    // Two seconds to begin. The reserve and the pause before another attempt take the rest.
    let limits = RunLimits {
        deadline: Some(Timestamp::now() + SignedDuration::from_secs(22)),
    };
    let (outcome, ()) = tokio::join!(back_up_database(&h, request, limits), replace(&f, &faults));
    let job = failed(outcome.unwrap());
    let code = job.error.unwrap().code;
    assert!(
        matches!(code, FailureCode::SourceLost | FailureCode::Deadline),
        "{code:?}"
    );
    f.remove().await;
}
