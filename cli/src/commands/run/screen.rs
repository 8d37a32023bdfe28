//! Progress of the backups in this process: one meter each, on a terminal.

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use holdfast_domain::{BackupId, BackupType, ItemCounts, Job, JobStatus, Progress, Timestamp};
use holdfast_operations::{Holdfast, Observer, job_in_detail};
use indicatif::MultiProgress;

use crate::{progress::Meter, text};

/// Interval of counting items.
const COUNT_AFTER: Duration = Duration::from_secs(1);

/// Counting many items takes the catalogue a while: at most one part in this many of its time.
const SHARE_OF_TIME: u32 = 20;

#[derive(Default)]
pub(super) struct Screen {
    all: MultiProgress,
    meters: Mutex<BTreeMap<BackupType, Arc<Meter>>>,
    /// Types with a backup at its commit: it is completely read.
    committing: Mutex<BTreeSet<BackupType>>,
    is_cancelling: AtomicBool,
}

impl Screen {
    /// The meter of the backup of this type: there is at most one of each.
    pub(super) fn meter(&self, kind: BackupType) -> Arc<Meter> {
        let mut meters = self.meters.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(
            meters
                .entry(kind)
                .or_insert_with(|| Arc::new(Meter::beside(&self.all, "starting"))),
        )
    }

    /// Hides everything from now on.
    pub(super) fn clear(&self) {
        self.meters
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    /// Shows every backup as cancelling from here on, regardless of later reports of its run.
    pub(super) fn cancel(&self) {
        self.is_cancelling.store(true, Ordering::Relaxed);
        for (kind, meter) in self
            .meters
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
        {
            meter.phase(format!("{kind}: cancelling"));
        }
    }

    fn is_committing(&self, kind: BackupType) -> bool {
        self.committing
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(&kind)
    }

    fn is_cancelling(&self) -> bool {
        self.is_cancelling.load(Ordering::Relaxed)
    }

    /// Writes lines above the meters, without breaking them.
    pub(super) fn above(&self, write: impl FnOnce()) {
        self.all.suspend(write);
    }

    /// Counts a content backup's items while it runs, if the output is visible.
    pub(super) async fn follow_items(&self, h: &Holdfast, id: &BackupId) -> Infallible {
        if !self.meter(BackupType::Content).is_seen() {
            return std::future::pending().await;
        }
        loop {
            let asked = Instant::now();
            // A failed count is not shown. It does not affect the backup.
            if let Ok(Job {
                status: JobStatus::Running,
                items: Some(items),
                ..
            }) = job_in_detail(&h.catalog, id, Timestamp::now()).await
                && !self.is_cancelling()
            {
                let meter = self.meter(BackupType::Content);
                meter.set_message(fetching(&items));
                meter.count(items.settled(), items.expected);
            }
            tokio::time::sleep(COUNT_AFTER.max(asked.elapsed() * SHARE_OF_TIME)).await;
        }
    }
}

/// Counts of 0 are left out: the line is short.
fn fetching(items: &ItemCounts) -> String {
    let failed = if items.failed > 0 {
        format!(", {} failed", items.failed)
    } else {
        String::new()
    };
    format!("content: fetching {}{failed}", text::size(items.bytes))
}

/// The activity of a backup in this state, until its next report.
fn phase(job: &Job) -> String {
    let kind = job.backup_type;
    match (job.status, kind) {
        (JobStatus::Pending, _) => format!("{kind}: starting"),
        (JobStatus::Running, BackupType::Content) => "content: discovering items".to_owned(),
        (JobStatus::Running, _) => format!("{kind}: surveying"),
        (status, _) => format!("{kind}: {status}"),
    }
}

#[async_trait]
impl Observer for Screen {
    async fn job_changed(&self, job: &Job) {
        if job.backup_type == BackupType::Full {
            return;
        }
        if !job.status.is_active() {
            self.meters
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .remove(&job.backup_type);
            return;
        }
        if job.status == JobStatus::Committing {
            self.committing
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(job.backup_type);
        }
        if !self.is_cancelling() {
            self.meter(job.backup_type).phase(phase(job));
        }
    }

    fn progress(&self, id: &BackupId, progress: &Progress) {
        // Nothing is read while the collections are surveyed.
        let kind = id.backup_type();
        if progress.bytes_read > 0 && !self.is_committing(kind) && !self.is_cancelling() {
            let meter = self.meter(kind);
            meter.set_message(format!(
                "{kind}: {}",
                if kind == BackupType::Content {
                    "archiving"
                } else {
                    "dumping"
                }
            ));
            meter.set(progress.bytes_read, progress.bytes_expected);
        }
    }
}

#[cfg(test)]
mod tests {
    use holdfast_domain::{Trigger, TriggerKind};

    use super::*;

    fn job(kind: BackupType, status: JobStatus) -> Job {
        let id = BackupId::new(kind, Timestamp::UNIX_EPOCH, [1; 4]);
        let trigger = Trigger {
            kind: TriggerKind::Manual,
            by: None,
        };
        Job {
            status,
            ..Job::pending(id, trigger, Timestamp::UNIX_EPOCH)
        }
    }

    #[tokio::test]
    async fn each_phase_is_named_and_a_late_report_changes_none() {
        let screen = Screen::default();
        let said = || screen.meter(BackupType::Database).message();
        let progress = |bytes_read| Progress {
            bytes_read,
            bytes_expected: 10,
            bytes_stored: 0,
        };
        let running = job(BackupType::Database, JobStatus::Running);
        screen.job_changed(&running).await;
        screen.progress(&running.backup_id, &progress(0));
        assert_eq!(said(), "database: surveying");
        screen.progress(&running.backup_id, &progress(5));
        assert_eq!(said(), "database: dumping");
        screen
            .job_changed(&job(BackupType::Database, JobStatus::Committing))
            .await;
        screen.progress(&running.backup_id, &progress(10));
        assert_eq!(said(), "database: committing");
        screen.cancel();
        screen.progress(&running.backup_id, &progress(10));
        screen.job_changed(&running).await;
        assert_eq!(said(), "database: cancelling");
    }
}
