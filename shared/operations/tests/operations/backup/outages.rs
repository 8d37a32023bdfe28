//! The catalogue does not answer during a backup of the database. A short outage has no effect. A
//! long one ends in an error, and the event's source retries. A run without its lease reports the
//! state of the job.

use std::{sync::Arc, time::Duration};

use holdfast_catalog::Catalog;
use holdfast_domain::{BackupId, FailureCode, JobStatus, Secret, Timestamp};
use holdfast_operations::{
    BackupOutcome, BackupRequest, Holdfast, OperationError, RunLimits, StopReason,
    back_up_database, sweep,
};
use holdfast_testing::{Fault, FaultStore, Operation, Relay, long_cases};
use jiff::SignedDuration;
use tokio::time::sleep;

use crate::support::database::{Fixture, completed, failed, run};

/// The put of the dump, after the repository's file and its copy.
const PUT_OF_DUMP: u32 = 3;
const PUT_OF_MANIFEST: u32 = 5;

#[derive(Clone, Copy, Debug)]
enum Network {
    /// Packets are dropped.
    Silent,
    /// Connections are refused.
    Cut,
}

/// The same, with its catalogue behind this relay.
async fn behind(relay: &Relay, f: &Fixture, h: Holdfast) -> Holdfast {
    let uri = Secret::new(relay.mongodb_uri(&f.catalog_database));
    Holdfast {
        catalog: Catalog::connect(&uri, &f.catalog_database).await.unwrap(),
        ..h
    }
}

/// Runs a backup. The catalogue is away for `lasts` from this put on, and the put itself takes
/// `takes`.
async fn through_outage(
    f: &Fixture,
    id: &BackupId,
    network: Network,
    lasts: Duration,
    (put, takes): (u32, Duration),
) -> Result<BackupOutcome, OperationError> {
    let (relay, faults) = (
        Relay::before_mongodb().await,
        FaultStore::new(Arc::clone(&f.store.store)),
    );
    faults.on(Operation::Put, put, Fault::Late(takes));
    let h = behind(&relay, f, f.over(faults.clone())).await;
    let request = BackupRequest::Triggered {
        backup_id: id.clone(),
    };
    let running =
        tokio::spawn(async move { back_up_database(&h, request, RunLimits::none()).await });
    while faults.calls(Operation::Put) < put {
        sleep(Duration::from_millis(10)).await;
    }
    match network {
        Network::Silent => relay.silence(),
        Network::Cut => relay.cut(),
    }
    sleep(lasts).await;
    relay.restore();
    running.await.unwrap()
}

async fn assert_one_backup(f: &Fixture, id: &BackupId) {
    let job = f.job(id).await;
    assert_eq!((job.status, f.leases().await), (JobStatus::Completed, 0));
    let manifest = f.holdfast.repository.manifest(id).await.unwrap();
    assert_eq!(manifest.fence, job.fence);
    let of_backup = f
        .keys()
        .await
        .into_iter()
        .filter(|key| key.starts_with("database/"))
        .count();
    assert_eq!(
        of_backup,
        3,
        "dump, guide and manifest: {:?}",
        f.keys().await
    );
    assert_eq!(f.store.unfinished_uploads().await, 0);
    f.restored(id).await;
}

/// The run itself completes the backup, without any effect of the outage.
async fn survives_30_seconds(network: Network, put: u32, takes: Duration) {
    let f = Fixture::new(&[]).await;
    f.fill(10).await;
    let id = f.trigger().await;
    let job = completed(
        through_outage(&f, &id, network, Duration::from_secs(30), (put, takes))
            .await
            .unwrap(),
    );
    assert_eq!(job.fence, 1, "no other run took it over");
    assert_one_backup(&f, &id).await;
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalogue_that_is_silent_for_30_seconds_of_the_dump_does_not_matter() {
    survives_30_seconds(Network::Silent, PUT_OF_DUMP, Duration::from_secs(33)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalogue_that_is_down_for_30_seconds_of_the_dump_does_not_matter() {
    survives_30_seconds(Network::Cut, PUT_OF_DUMP, Duration::from_secs(33)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_waits_for_the_catalogue_before_it_writes_the_manifest() {
    survives_30_seconds(Network::Silent, PUT_OF_DUMP, Duration::from_secs(3)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_waits_for_the_catalogue_after_it_wrote_the_manifest() {
    survives_30_seconds(Network::Cut, PUT_OF_MANIFEST, Duration::from_secs(3)).await;
}

/// The run ends in an error, and the next delivery of the event makes the backup.
async fn is_retried_after(network: Network, seconds: u64) {
    let f = Fixture::new(&[]).await;
    f.fill(10).await;
    let id = f.trigger().await;
    let takes = Duration::from_secs(seconds + 60);
    let ended = through_outage(
        &f,
        &id,
        network,
        Duration::from_secs(seconds),
        (PUT_OF_DUMP, takes),
    )
    .await;
    let error = ended.unwrap_err();
    assert!(
        matches!(error, OperationError::Stopped(StopReason::CatalogSilent)),
        "{network:?} {seconds}: {error}"
    );
    assert!(error.is_transient() && error.failure().hint.is_some());
    assert_eq!(
        f.job(&id).await.status,
        JobStatus::Running,
        "the job is neither failed nor given up"
    );
    let job = completed(run(&f.holdfast, id.clone()).await);
    assert_eq!(job.fence, 2, "the retry took it over");
    sweep(&f.holdfast, None, Timestamp::now()).await.unwrap();
    assert_one_backup(&f, &id).await;
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalogue_that_is_away_for_a_minute_or_two_ends_in_an_error_that_is_retried() {
    if !long_cases() {
        println!("not run: it takes minutes; `cargo xtask test --long` runs it");
        return;
    }
    tokio::join!(
        is_retried_after(Network::Silent, 60),
        is_retried_after(Network::Cut, 60),
        is_retried_after(Network::Silent, 120),
        is_retried_after(Network::Cut, 120),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_beat_that_hangs_does_not_hide_the_deadline() {
    let f = Fixture::new(&[]).await;
    f.fill_with_noise(20).await;
    let (relay, faults) = (
        Relay::before_mongodb().await,
        FaultStore::new(Arc::clone(&f.store.store)),
    );
    faults.on(Operation::UploadPart, 2, Fault::Hang);
    let h = behind(&relay, &f, f.over(faults.clone())).await;
    let id = f.trigger().await;
    // The run stops 20 s before its deadline, at 14 s. The second beat begins at 10 s and hangs
    // then. The run waits ten more seconds for the hanging part.
    let limits = RunLimits {
        deadline: Some(Timestamp::now() + SignedDuration::from_secs(34)),
    };
    let begun = std::time::Instant::now();
    let request = BackupRequest::Triggered {
        backup_id: id.clone(),
    };
    let running = tokio::spawn(async move { back_up_database(&h, request, limits).await });
    while faults.calls(Operation::UploadPart) < 2 {
        sleep(Duration::from_millis(10)).await;
    }
    relay.silence();
    while faults.calls(Operation::AbortUpload) == 0 {
        assert!(
            begun.elapsed() < Duration::from_secs(29),
            "the deadline passed unseen"
        );
        sleep(Duration::from_millis(50)).await;
    }
    relay.restore();
    let job = failed(running.await.unwrap().unwrap());
    assert_eq!(job.error.unwrap().code, FailureCode::Deadline);
    f.remove().await;
}

/// A run with a dump of 15 seconds, and a change of its lease meanwhile.
async fn outcome_of_lost(
    f: &Fixture,
    id: &BackupId,
    lose: impl AsyncFnOnce(),
) -> Result<BackupOutcome, OperationError> {
    let faults = FaultStore::new(Arc::clone(&f.store.store));
    faults.on(
        Operation::Put,
        PUT_OF_DUMP,
        Fault::Late(Duration::from_secs(15)),
    );
    let (h, request) = (
        f.over(faults.clone()),
        BackupRequest::Triggered {
            backup_id: id.clone(),
        },
    );
    let running =
        tokio::spawn(async move { back_up_database(&h, request, RunLimits::none()).await });
    while faults.calls(Operation::Put) < PUT_OF_DUMP {
        sleep(Duration::from_millis(10)).await;
    }
    lose().await;
    running.await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_the_sweep_gave_up_reports_the_failure() {
    let f = Fixture::new(&[]).await;
    f.fill(10).await;
    let id = f.trigger().await;
    let outcome = outcome_of_lost(&f, &id, async || {
        f.age_lease(61).await;
        assert_eq!(
            sweep(&f.holdfast, None, Timestamp::now())
                .await
                .unwrap()
                .stalled
                .len(),
            1
        );
    });
    let job = failed(outcome.await.unwrap());
    assert_eq!(job.error.unwrap().code, FailureCode::Stalled);
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_lease_was_freed_by_hand_ends_in_an_error_and_the_retry_completes_it() {
    let f = Fixture::new(&[]).await;
    f.fill(10).await;
    let id = f.trigger().await;
    let outcome = outcome_of_lost(&f, &id, async || {
        assert!(
            f.holdfast
                .catalog
                .release(holdfast_catalog::Source::Database, &id)
                .await
                .unwrap()
        );
    });
    let error = outcome.await.unwrap_err();
    assert!(
        matches!(error, OperationError::Stopped(StopReason::LeaseLost)),
        "{error}"
    );
    completed(run(&f.holdfast, id.clone()).await);
    sweep(&f.holdfast, None, Timestamp::now()).await.unwrap();
    f.remove().await;
}
