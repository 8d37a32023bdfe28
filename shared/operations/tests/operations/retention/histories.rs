//! Random histories of backups, failures, passing time, changed policies, failed verifications,
//! locks, overlapping runs, killed runs, lost and returned manifests, and runs with another store.
//! The laws hold after each step.

use std::{sync::Arc, time::Duration};

use futures_util::future::join;
use holdfast_domain::{
    BackupId, BackupType, JobStatus, ObjectKey, RetentionPolicy, Timestamp, VerificationLevel,
    VerificationStatus,
};
use holdfast_operations::{OperationError, RETAINED_TYPES, RunLimits, retain};
use holdfast_storage::Lock;
use holdfast_testing::{MemoryStore, TestStore};
use jiff::SignedDuration;

use super::{invariants, losses::Losses, random::Random};
use crate::support::simulation::{Simulation, content::OnItsWay};

const FILES: [&str; 8] = ["f1", "f2", "f3", "f4", "f5", "f6", "f7", "f8"];

/// One history in progress.
struct History {
    simulation: Simulation,
    random: Random,
    policies: [RetentionPolicy; 2],
    on_its_way: Option<OnItsWay>,
    backups: Vec<BackupId>,
    locked: Vec<ObjectKey>,
    losses: Losses,
    steps: u64,
    runs: u64,
    deleted: u64,
    lost: u64,
}

impl History {
    fn new(simulation: Simulation, seed: u64) -> Self {
        Self {
            simulation,
            random: Random::new(seed),
            policies: [RetentionPolicy::from_days(30); 2],
            on_its_way: None,
            backups: Vec::new(),
            locked: Vec::new(),
            losses: Losses::default(),
            steps: 0,
            runs: 0,
            deleted: 0,
            lost: 0,
        }
    }

    async fn live(&mut self, steps: u64) {
        for _ in 0..steps {
            self.step().await;
            self.steps += 1;
        }
        self.end().await;
    }

    async fn step(&mut self) {
        match self.random.below(100) {
            0..23 => self.pass(),
            23..40 => {
                let id = self.simulation.back_up().await;
                self.backups.push(id);
            }
            40..43 => drop(self.simulation.fail().await),
            43..60 => self.content().await,
            60..65 => self.verify().await,
            65..71 => self.change_policy().await,
            71..74 => self.lock(),
            74..76 => self.lose().await,
            76..78 => self.settle_a_loss().await,
            78..79 => self.run_with_another_store().await,
            79..89 => self.run().await,
            89..95 => self.killed_run().await,
            _ => self.overlapping_runs().await,
        }
    }

    fn pass(&mut self) {
        let hours = 1 + i64::try_from(self.random.below(24 * 12)).unwrap();
        self.simulation.pass(SignedDuration::from_hours(hours));
    }

    fn some_files(&mut self) -> Vec<&'static str> {
        let mut files: Vec<_> = FILES
            .into_iter()
            .filter(|_| self.random.percent(30))
            .collect();
        if files.is_empty() {
            files.push(FILES[0]);
        }
        files
    }

    /// Begins a content backup, or continues the active one.
    async fn content(&mut self) {
        match self.on_its_way.take() {
            None => {
                let files = self.some_files();
                self.on_its_way = self.simulation.begin_content(&files).await;
            }
            Some(on_its_way) if self.random.percent(85) => {
                let id = self.simulation.finish_content(on_its_way).await;
                self.backups.push(id);
            }
            Some(on_its_way) => drop(self.simulation.give_up_content(on_its_way, None).await),
        }
    }

    async fn verify(&mut self) {
        let Some(id) = self.random.pick(&self.backups).cloned() else {
            return;
        };
        let status = if self.random.percent(60) {
            VerificationStatus::Failed
        } else {
            VerificationStatus::Passed
        };
        let level = if self.random.percent(50) {
            VerificationLevel::Exists
        } else {
            VerificationLevel::Structure
        };
        self.simulation.verified(&id, level, status).await;
    }

    async fn change_policy(&mut self) {
        let which = usize::from(self.random.percent(50));
        let min_count = 1 + u32::try_from(self.random.below(4)).unwrap();
        let mut maybe = |range: u64| {
            let number = u32::try_from(1 + self.random.below(range)).unwrap();
            self.random.percent(40).then_some(number)
        };
        let policy = RetentionPolicy {
            max_age_days: maybe(60),
            max_count: maybe(8).map(|count| count.max(min_count)),
            min_count,
            keep_daily: maybe(5),
            keep_weekly: maybe(4),
            keep_monthly: maybe(3),
            keep_yearly: maybe(2),
        };
        self.policies[which] = policy;
        self.simulation
            .set_policy(RETAINED_TYPES[which], policy)
            .await;
    }

    /// Locks an existing object, or removes all locks.
    fn lock(&mut self) {
        let Some(memory) = self.simulation.memory.clone() else {
            return;
        };
        if self.random.percent(40) {
            for key in self.locked.drain(..) {
                memory.set_lock(&key, Lock::default());
            }
        } else if let Some(key) = self.random.pick(&memory.keys()).cloned() {
            memory.set_lock(
                &key,
                Lock {
                    retained_until: None,
                    legal_hold: true,
                },
            );
            self.locked.push(key);
        }
    }

    /// The manifest of a completed backup disappears, without retention.
    async fn lose(&mut self) {
        let Some(id) = self.random.pick(&self.backups).cloned() else {
            return;
        };
        let is_locked = self.locked.contains(&ObjectKey::manifest(&id));
        if !is_locked
            && self.simulation.status(&id).await == JobStatus::Completed
            && self.simulation.exists(&id).await
        {
            self.losses.lose(&self.simulation, &id).await;
            self.lost += 1;
        }
    }

    /// A manifest comes back, or its loss is accepted.
    async fn settle_a_loss(&mut self) {
        let Some(id) = self.random.pick(&self.losses.ids()).cloned() else {
            return;
        };
        if self.random.percent(70) {
            self.losses.restore(&self.simulation, &id).await;
        } else {
            match self.simulation.accept(&id).await {
                Ok(_) => self.losses.accept(&id),
                Err(OperationError::WrongStore(_)) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// `BACKUP_STORE` names an empty store for one run.
    async fn run_with_another_store(&mut self) {
        let before = self.good().await;
        let elsewhere = self.simulation.through(MemoryStore::new());
        let report = retain(&elsewhere, RunLimits::none(), self.simulation.now())
            .await
            .unwrap();
        assert_eq!(report.all_problems().count(), 0, "{report:?}");
        assert_eq!(self.good().await, before, "{report:?}");
        self.losses.keep_everything(&self.simulation).await;
    }

    async fn good(&self) -> [usize; 2] {
        let [database, content] = RETAINED_TYPES;
        [
            invariants::good(&self.simulation, database).await.len(),
            invariants::good(&self.simulation, content).await.len(),
        ]
    }

    /// The first law: the number of remaining good backups is that of the policy, or all earlier
    /// ones.
    async fn enough_are_left(&self, before: [usize; 2]) {
        let after = self.good().await;
        for ((before, after), policy) in before.into_iter().zip(after).zip(self.policies) {
            let wanted = before.min(policy.min_count as usize);
            assert!(
                after >= wanted,
                "{before} good ones were there, {after} are left, by {policy:?}"
            );
        }
    }

    async fn run(&mut self) {
        let before = self.good().await;
        let report = self.simulation.retain().await;
        assert_eq!(report.all_problems().count(), 0, "{report:?}");
        for deleted in report
            .database
            .deleted
            .iter()
            .chain(&report.content.deleted)
        {
            assert!(!self.simulation.exists(&deleted.backup_id).await);
        }
        self.runs += 1;
        self.deleted += (report.database.deleted.len() + report.content.deleted.len()) as u64;
        self.enough_are_left(before).await;
        invariants::assert_live_backups_are_complete(&self.simulation).await;
        self.losses.keep_everything(&self.simulation).await;
        assert_eq!(
            self.losses.ids().is_empty(),
            !report.needs_attention(),
            "{report:?}"
        );
        if report.database.suspended.is_none() && report.content.suspended.is_none() {
            invariants::assert_deleted_backups_are_gone(&self.simulation, &self.locked).await;
        }
        // An active backup keeps the lease.
        assert_eq!(
            self.on_its_way.is_none() || report.collection.unreferenced == 0,
            report.collection.skipped.is_none()
        );
        let again = self.simulation.retain().await;
        let more = again.database.deleted.len() + again.content.deleted.len();
        let is_back = report.database.returned.len() + report.content.returned.len() > 0;
        assert!(more == 0 || is_back, "twice is once: {again:?}");
        let lost = again.database.lost.len() as u64;
        assert_eq!(
            again.database.violations() - again.database.too_few - lost,
            0,
            "{again:?}"
        );
    }

    async fn killed_run(&mut self) {
        let before = self.good().await;
        let alive = Duration::from_micros(self.random.below(40_000));
        let run = retain(&self.simulation.h, RunLimits::none(), self.simulation.now());
        let _ = tokio::time::timeout(alive, Box::pin(run)).await;
        self.simulation.forget_leases_of_killed_collections().await;
        self.enough_are_left(before).await;
        invariants::assert_live_backups_are_complete(&self.simulation).await;
        self.losses.keep_everything(&self.simulation).await;
    }

    /// Two concurrent runs, one of them with an old time, during a complete content backup.
    async fn overlapping_runs(&mut self) {
        let before = self.good().await;
        let files = self.some_files();
        let earlier = self.simulation.now() - SignedDuration::from_hours(30);
        let (h, simulation) = (&self.simulation.h, &self.simulation);
        let runs = join(
            Box::pin(retain(h, RunLimits::none(), simulation.now())),
            Box::pin(retain(h, RunLimits::none(), earlier)),
        );
        let is_free = self.on_its_way.is_none();
        let ((first, second), made) = join(runs, async {
            if is_free {
                simulation.back_up_content(&files).await
            } else {
                None
            }
        })
        .await;
        self.backups.extend(made);
        let (first, second) = (first.unwrap(), second.unwrap());
        assert_eq!(
            first.all_problems().chain(second.all_problems()).count(),
            0,
            "{first:?} {second:?}"
        );
        self.enough_are_left(before).await;
        invariants::assert_live_backups_are_complete(&self.simulation).await;
        self.losses.keep_everything(&self.simulation).await;
        if first.database.suspended.is_none() && first.content.suspended.is_none() {
            invariants::assert_deleted_backups_are_gone(&self.simulation, &self.locked).await;
        }
    }

    /// After everything has settled, no unnecessary object is left.
    async fn end(&mut self) {
        if let Some(on_its_way) = self.on_its_way.take() {
            self.simulation.finish_content(on_its_way).await;
        }
        if let Some(memory) = &self.simulation.memory {
            self.locked
                .drain(..)
                .for_each(|key| memory.set_lock(&key, Lock::default()));
        }
        self.losses.restore_all(&self.simulation).await;
        self.simulation.pass_days(3);
        self.run().await;
        let report = self.simulation.retain().await;
        assert_eq!(report.collection.unreferenced, 0, "{report:?}");
        assert!(
            self.simulation
                .h
                .catalog
                .active(Some(BackupType::Content))
                .await
                .unwrap()
                .is_empty()
        );
        for id in &self.backups {
            let exists = self.simulation.exists(id).await;
            assert_eq!(
                exists,
                self.simulation.status(id).await == JobStatus::Completed,
                "{id}"
            );
        }
    }
}

/// Runs this many histories, several at a time, and counts steps, runs, deleted and lost backups.
async fn live(first_seed: u64, histories: u64, steps: u64) -> [u64; 4] {
    const BATCH: u64 = 4;
    let next = Arc::new(std::sync::atomic::AtomicU64::new(first_seed));
    let mut lives = tokio::task::JoinSet::new();
    for _ in 0..BATCH {
        let next = Arc::clone(&next);
        lives.spawn(async move {
            let mut sums = [0; 4];
            loop {
                let seed = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                if seed >= first_seed + histories {
                    return sums;
                }
                let mut history = History::new(Simulation::new().await, seed);
                let living = std::panic::AssertUnwindSafe(Box::pin(history.live(steps)));
                if let Err(panic) = futures_util::FutureExt::catch_unwind(living).await {
                    eprintln!(
                        "the history of seed {seed} broke a law after {} steps",
                        history.steps
                    );
                    std::panic::resume_unwind(panic);
                }
                sums = added(
                    sums,
                    [history.steps, history.runs, history.deleted, history.lost],
                );
                history.simulation.remove().await;
            }
        });
    }
    let mut sums = [0; 4];
    while let Some(reported) = lives.join_next().await {
        let reported =
            reported.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        sums = added(sums, reported);
    }
    sums
}

fn added(sums: [u64; 4], more: [u64; 4]) -> [u64; 4] {
    std::array::from_fn(|index| sums[index] + more[index])
}

#[tokio::test(flavor = "multi_thread")]
async fn the_laws_hold_in_thousands_of_random_steps() {
    let sums @ [steps, runs, deleted, lost] = live(1, 60, 35).await;
    assert!(
        steps >= 2_000 && runs > 200 && deleted > 50 && lost > 15,
        "steps, runs, deleted, lost: {sums:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn they_hold_on_the_real_store_too() {
    let test = TestStore::new().await;
    let mut history = History::new(
        Simulation::on_s3(&test).await,
        Timestamp::now().as_millisecond().unsigned_abs(),
    );
    history.live(25).await;
    history.simulation.remove().await;
    test.remove().await;
}
