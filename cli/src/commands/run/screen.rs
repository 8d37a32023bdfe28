//! How far the backups of this process are: a meter each, where anybody looks.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use holdfast_domain::{BackupId, BackupType, ItemCounts, Job, JobStatus, Progress, Timestamp};
use holdfast_operations::{Holdfast, Observer, job_in_detail};
use indicatif::MultiProgress;

use crate::{progress::Meter, text};

/// How often items are counted.
const COUNT_AFTER: Duration = Duration::from_secs(1);

/// Counting many items takes the catalogue a while: at most one part in this many of its time.
const SHARE_OF_TIME: u32 = 20;

#[derive(Default)]
pub(super) struct Screen {
    all: MultiProgress,
    meters: Mutex<BTreeMap<BackupType, Arc<Meter>>>,
}

impl Screen {
    /// The meter of the backup of this type: there is at most one of each.
    pub(super) fn meter(&self, kind: BackupType) -> Arc<Meter> {
        let mut meters = self.meters.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(meters.entry(kind).or_insert_with(|| Arc::new(Meter::beside(&self.all, "starting"))))
    }

    /// Nothing is shown any more.
    pub(super) fn clear(&self) {
        self.meters.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Counts a content backup's items for as long as it is awaited, if anybody sees it.
    pub(super) async fn follow_items(&self, h: &Holdfast, id: &BackupId) -> Infallible {
        if !self.meter(BackupType::Content).is_seen() {
            return std::future::pending().await;
        }
        loop {
            let asked = Instant::now();
            // A count that fails is one that nobody sees; the backup has its own word on the catalogue.
            if let Ok(Job { status: JobStatus::Running, items: Some(items), .. }) =
                job_in_detail(&h.catalog, id, Timestamp::now()).await
            {
                let meter = self.meter(BackupType::Content);
                meter.say(doing(id, &items));
                meter.count(items.settled(), items.expected);
            }
            tokio::time::sleep(COUNT_AFTER.max(asked.elapsed() * SHARE_OF_TIME)).await;
        }
    }
}

/// What is nought is not said: the line is short.
fn doing(id: &BackupId, items: &ItemCounts) -> String {
    let counts = [(items.unchanged, "unchanged"), (items.failed, "failed")];
    let counts = counts.iter().filter(|(number, _)| *number > 0);
    let counts: Vec<String> = counts.map(|(number, what)| format!("{number} {what}, ")).collect();
    format!("{id} {}{},", counts.concat(), text::size(items.bytes))
}

#[async_trait]
impl Observer for Screen {
    async fn job_changed(&self, job: &Job) {
        if job.backup_type == BackupType::Full {
            return;
        }
        if !job.status.is_active() {
            self.meters.lock().unwrap_or_else(PoisonError::into_inner).remove(&job.backup_type);
            return;
        }
        self.meter(job.backup_type).say(match (job.status, job.backup_type) {
            (JobStatus::Pending, _) => "starting".to_owned(),
            (JobStatus::Running, BackupType::Content) => format!("{} looking for items", job.backup_id),
            (JobStatus::Running, _) => format!("{} dumping", job.backup_id),
            (status, _) => format!("{} {status}", job.backup_id),
        });
    }

    fn progress(&self, id: &BackupId, progress: &Progress) {
        self.meter(id.backup_type()).set(progress.bytes_read, progress.bytes_expected);
    }
}
