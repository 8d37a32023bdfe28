//! A machine with a clock that is an hour ahead or behind. Leases and jobs follow the clock of the
//! catalogue's server. So the machine neither loses a living lease nor keeps a dead one.

use std::{sync::Arc, time::Duration};

use holdfast_catalog::{Catalog, Source};
use holdfast_domain::{BackupId, BackupType, JobStatus, Secret, Timestamp};
use holdfast_operations::{
    BackupOutcome, BackupRequest, Holdfast, RunLimits, SkipReason, back_up_database, sweep, trigger,
};
use holdfast_testing::{Fault, FaultStore, Operation, WrongClock};
use jiff::SignedDuration;
use mongodb::bson::{DateTime, Document, doc};
use tokio::time::{sleep, timeout};

use crate::support::database::{Fixture, completed};

const HOUR: i64 = 3600;
/// The dump's, after the repository's file and its copy.
const PUT_OF_DUMP: u32 = 3;

/// A machine with a clock that is so many seconds behind the server's.
struct Machine {
    h: Holdfast,
    behind_seconds: i64,
    _relay: WrongClock,
}

impl Machine {
    async fn behind(f: &Fixture, h: Holdfast, behind_seconds: i64) -> Self {
        let relay = WrongClock::before_mongodb(behind_seconds).await;
        let uri = Secret::new(relay.mongodb_uri(&f.catalog_database));
        let catalog = Catalog::connect(&uri, &f.catalog_database).await.unwrap();
        Self {
            h: Holdfast { catalog, ..h },
            behind_seconds,
            _relay: relay,
        }
    }

    /// The present on a machine with a right clock.
    fn right_now(&self) -> Timestamp {
        Timestamp::now() + SignedDuration::from_secs(self.behind_seconds)
    }

    async fn trigger(&self) -> BackupId {
        trigger(&self.h, BackupType::Database, None, Timestamp::now())
            .await
            .unwrap()
            .backup_id
    }

    async fn run(&self, backup_id: &BackupId) -> BackupOutcome {
        let request = BackupRequest::Triggered {
            backup_id: backup_id.clone(),
        };
        timeout(
            Duration::from_secs(40),
            back_up_database(&self.h, request, RunLimits::none()),
        )
        .await
        .unwrap()
        .unwrap()
    }
}

/// Writes a lease with a beat that is so many seconds old, as a machine with a right clock does.
async fn beaten(f: &Fixture, machine: &Machine, id: &BackupId, seconds_ago: i64) {
    let catalog = &f.holdfast.catalog;
    let at = machine.right_now() - SignedDuration::from_secs(seconds_ago);
    let lease = catalog.get_lease(Source::Database).await.unwrap().unwrap();
    if lease.fence == 0 {
        catalog
            .take_over(Source::Database, id, 0, None, at)
            .await
            .unwrap();
        return;
    }
    let leases = f
        .client
        .database(&f.catalog_database)
        .collection::<Document>("backup_leases");
    let beat = doc! { "$set": { "beatAt": DateTime::from_millis(at.as_millisecond()) } };
    leases
        .update_one(doc! { "_id": "database" }, beat)
        .await
        .unwrap();
}

async fn keeps_its_lease(behind_seconds: i64) {
    let f = Fixture::new(&[]).await;
    f.fill(10).await;
    let faults = FaultStore::new(Arc::clone(&f.store.store));
    faults.on(
        Operation::Put,
        PUT_OF_DUMP,
        Fault::Late(Duration::from_secs(15)),
    );
    let machine = Machine::behind(&f, f.over(faults.clone()), behind_seconds).await;
    let id = machine.trigger().await;
    let sweep_elsewhere = async || {
        let report = sweep(&f.holdfast, None, machine.right_now()).await.unwrap();
        let settled = (
            report.stalled,
            report.not_started,
            report.completed,
            report.leases_freed,
        );
        assert_eq!(settled, (vec![], vec![], vec![], 0), "{behind_seconds}");
    };
    sweep_elsewhere().await;
    let (h, request) = (
        machine.h.clone(),
        BackupRequest::Triggered {
            backup_id: id.clone(),
        },
    );
    // By its own clock, as Lambda sets it.
    let limits = RunLimits {
        deadline: Some(Timestamp::now() + SignedDuration::from_mins(5)),
    };
    let running = tokio::spawn(async move { back_up_database(&h, request, limits).await });
    while faults.calls(Operation::Put) < PUT_OF_DUMP {
        sleep(Duration::from_millis(10)).await;
    }
    for _ in 0..6 {
        sweep_elsewhere().await;
        sleep(Duration::from_secs(2)).await;
    }
    let job = completed(running.await.unwrap().unwrap());
    assert_eq!(job.fence, 1, "no other run took it over");
    let manifest = f.holdfast.repository.manifest(&id).await.unwrap();
    for at in [
        manifest.created_at,
        manifest.started_at,
        manifest.completed_at,
    ] {
        assert!(
            machine.right_now().duration_since(at).abs() < SignedDuration::from_mins(2),
            "{at}"
        );
    }
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_on_a_machine_with_a_wrong_clock_keeps_its_lease() {
    tokio::join!(keeps_its_lease(HOUR), keeps_its_lease(-HOUR));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_with_a_wrong_clock_takes_a_dead_lease_over() {
    for behind_seconds in [HOUR, -HOUR] {
        let f = Fixture::new(&[]).await;
        f.fill(3).await;
        let machine = Machine::behind(&f, f.holdfast.clone(), behind_seconds).await;
        let id = machine.trigger().await;
        beaten(&f, &machine, &id, 61).await;
        assert_eq!(
            completed(machine.run(&id).await).fence,
            2,
            "{behind_seconds}"
        );
        let next = machine.trigger().await;
        beaten(&f, &machine, &next, 61).await;
        f.rewind(&next, "running").await;
        let report = sweep(&machine.h, None, Timestamp::now()).await.unwrap();
        assert_eq!(report.stalled, [next], "{behind_seconds}");
        f.remove().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_with_a_wrong_clock_leaves_a_living_lease_alone() {
    for behind_seconds in [HOUR, -HOUR] {
        let f = Fixture::new(&[]).await;
        let machine = Machine::behind(&f, f.holdfast.clone(), behind_seconds).await;
        let id = machine.trigger().await;
        beaten(&f, &machine, &id, 5).await;
        f.rewind(&id, "running").await;
        assert_eq!(
            sweep(&machine.h, None, Timestamp::now())
                .await
                .unwrap()
                .stalled,
            []
        );
        let beats = async {
            loop {
                sleep(Duration::from_secs(2)).await;
                beaten(&f, &machine, &id, 0).await;
            }
        };
        let outcome = tokio::select! {
            outcome = machine.run(&id) => outcome,
            () = beats => unreachable!("it beats without end"),
        };
        let is_skipped = matches!(
            outcome,
            BackupOutcome::Skipped {
                reason: SkipReason::RunningElsewhere,
                ..
            }
        );
        assert!(is_skipped, "{behind_seconds}: {outcome:?}");
        f.remove().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_nobody_took_over_is_settled_after_ten_minutes_of_the_server() {
    for behind_seconds in [HOUR, -HOUR] {
        let f = Fixture::new(&[]).await;
        let machine = Machine::behind(&f, f.holdfast.clone(), behind_seconds).await;
        let id = machine.trigger().await;
        let after =
            async |h: &Holdfast, now: Timestamp| sweep(h, None, now).await.unwrap().not_started;
        let (nine, eleven) = (SignedDuration::from_mins(9), SignedDuration::from_mins(11));
        assert_eq!(after(&f.holdfast, machine.right_now() + nine).await, []);
        assert_eq!(after(&machine.h, Timestamp::now() + nine).await, []);
        assert_eq!(
            after(&machine.h, Timestamp::now() + eleven).await,
            std::slice::from_ref(&id)
        );
        assert_eq!(f.job(&id).await.status, JobStatus::Failed);
        f.remove().await;
    }
}
