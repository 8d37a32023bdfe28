//! The catalogue does not answer during a copy. A short outage has no effect. A long one ends in an
//! error, and the next run resumes.

use std::time::Duration;

use holdfast_catalog::Catalog;
use holdfast_domain::{CopyStatus, Secret};
use holdfast_operations::{CopyStep, Holdfast, OperationError, StopReason};
use holdfast_testing::{Fault, FaultStore, Operation, Relay, long_cases};
use tokio::time::sleep;

use super::fixture::{Second, over, step, told};
use crate::support::database::Fixture;

/// Copies a backup with a slow second part, while the catalogue is away for `lasts`.
async fn through_outage(
    f: &Fixture,
    second: &Second,
    lasts: u64,
    part_takes: u64,
) -> Result<CopyStep, OperationError> {
    let id = f.back_up().await.backup_id;
    let (relay, faults) = (
        Relay::before_mongodb().await,
        FaultStore::new(second.memory.clone()),
    );
    faults.on(
        Operation::UploadPart,
        2,
        Fault::Late(Duration::from_secs(part_takes)),
    );
    let uri = Secret::new(relay.mongodb_uri(&f.catalog_database));
    let catalog = Catalog::connect(&uri, &f.catalog_database).await.unwrap();
    let h = Holdfast {
        catalog,
        ..f.holdfast.clone()
    };
    let outage = async {
        while faults.calls(Operation::UploadPart) < 2 {
            sleep(Duration::from_millis(10)).await;
        }
        relay.silence();
        sleep(Duration::from_secs(lasts)).await;
        relay.restore();
    };
    let slow = over(faults.clone());
    let (ended, ()) = tokio::join!(step(&h, &slow, &id), outage);
    if ended.is_err() {
        // The message is repeated.
        while let CopyStep::Busy(_) = step(&f.holdfast, &second.repository, &id).await.unwrap() {
            sleep(Duration::from_secs(5)).await;
        }
    }
    assert_eq!(told(&f.holdfast, &id).await, (CopyStatus::Completed, None));
    second.assert_good(&id).await;
    ended
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_continues_after_30_seconds_without_the_catalogue() {
    let f = Fixture::new(&[]).await;
    f.fill_with_noise(26).await;
    for part_takes in [3, 33] {
        let second = Second::new();
        let ended = through_outage(&f, &second, 30, part_takes).await.unwrap();
        assert!(matches!(ended, CopyStep::Done(_)), "{ended:?}");
    }
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_ends_in_an_error_after_a_minute_or_two_and_the_next_run_resumes() {
    if !long_cases() {
        println!("not run: it takes minutes; `cargo xtask test --long` runs it");
        return;
    }
    let f = Fixture::new(&[]).await;
    f.fill_with_noise(26).await;
    for seconds in [60, 120] {
        let second = Second::new();
        let error = through_outage(&f, &second, seconds, seconds + 60)
            .await
            .unwrap_err();
        assert!(
            matches!(error, OperationError::Stopped(StopReason::CatalogSilent)),
            "{seconds}: {error}"
        );
    }
    f.remove().await;
}
