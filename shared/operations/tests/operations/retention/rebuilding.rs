//! A rebuild of the catalogue keeps the backup that it reads. A dry run keeps none.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use holdfast_domain::{BackupId, BackupType};
use holdfast_operations::{plan_rebuild, rebuild_catalog};
use holdfast_recovery::readers::Purpose;
use holdfast_testing::{Fault, FaultStore, Operation};

use super::readers::{keep_newest, readers, until_nobody_reads};
use crate::support::simulation::{World, object_of};

/// A store whose reads stall from a moment on.
#[derive(Clone)]
struct Stalling {
    store: Arc<FaultStore>,
    /// Reads before that moment.
    before: Arc<AtomicU32>,
}

impl Stalling {
    fn of(world: &World) -> Self {
        Self {
            store: FaultStore::new(Arc::clone(&world.store)),
            before: Arc::default(),
        }
    }

    fn stall(&self) {
        self.before
            .store(self.store.calls(Operation::Get), Ordering::SeqCst);
        self.store.on_every(Operation::Get, Fault::Hang);
    }

    /// Waits for a read that stalls.
    async fn until_stalled(&self) {
        let before = || self.before.load(Ordering::SeqCst);
        while before() == 0 || self.store.calls(Operation::Get) == before() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Two content backups, the first beyond the limits of the policy.
async fn one_past_its_limits() -> (World, BackupId) {
    let world = World::new().await;
    let old = world.back_up_content(&["a"]).await.unwrap();
    world.pass_days(1);
    world.back_up_content(&["b"]).await.unwrap();
    world.pass_days(2);
    keep_newest(&world, BackupType::Content).await;
    (world, old)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_keeps_the_backup_that_it_reads() {
    let (world, old) = one_past_its_limits().await;
    let stalling = Stalling::of(&world);
    let (h, after_the_newest) = (world.through(stalling.store.clone()), stalling.clone());
    let rebuilding =
        tokio::spawn(async move { rebuild_catalog(&h, &|_| after_the_newest.stall()).await });
    stalling.until_stalled().await;
    assert_eq!(readers(&world, &old).await, [Purpose::Rebuild.as_str()]);
    let report = world.retain().await;
    let [blocked] = report.content.blocked.as_slice() else {
        panic!("{report:?}")
    };
    assert!(
        blocked.backup_id == old && blocked.lock.contains("(rebuild, since"),
        "{}",
        blocked.lock
    );
    assert!(
        report.content.deleted.is_empty() && world.has(&object_of("a")).await,
        "{report:?}"
    );
    rebuilding.abort();
    until_nobody_reads(&world, &old).await;
    assert_eq!(world.retain().await.content.deleted[0].backup_id, old);
    world.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_of_a_rebuild_keeps_no_backup() {
    let (world, old) = one_past_its_limits().await;
    let stalling = Stalling::of(&world);
    let (h, after_the_newest) = (world.through(stalling.store.clone()), stalling.clone());
    let planning =
        tokio::spawn(async move { plan_rebuild(&h, &|_| after_the_newest.stall()).await });
    stalling.until_stalled().await;
    assert!(readers(&world, &old).await.is_empty(), "it writes nothing");
    let report = world.retain().await;
    assert_eq!(
        (
            report.content.blocked.len(),
            &report.content.deleted[0].backup_id
        ),
        (0, &old),
        "{report:?}"
    );
    planning.abort();
    world.remove().await;
}
