//! Verification of a content backup: its artifacts, and the objects of every file in its list.

mod archive;
pub mod objects;
pub mod proofs;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use holdfast_domain::{ItemCounts, ItemRecord, Manifest, ObjectKey, VerificationLevel};
use holdfast_repository::{
    Repository, RepositoryError,
    artifact_reader::{Depth, stored_object},
    content::{
        proof::note_of_other_forms,
        read::{ReadFault, blocking, digest_of},
        stored::StoredContent,
    },
    presence::artifact_problems,
};
use tokio::runtime::Handle;

use self::{objects::Objects, proofs::Proofs};
use super::Findings;

/// Objects checked at a time, without being read.
const CONCURRENT_HEADS: usize = 32;
/// Objects read at a time.
pub const CONCURRENT_READS: usize = 8;

/// Maximum number of reported problems. Further ones are only counted.
const MAX_REPORTED: usize = 100;

/// Reports the bytes read, and their total.
struct Meter<'a> {
    read: Arc<AtomicU64>,
    total: u64,
    progress: &'a (dyn Fn(u64, u64) + Send + Sync),
}

impl Meter<'_> {
    fn add(&self, bytes: u64) {
        let read = self.read.fetch_add(bytes, Ordering::Relaxed) + bytes;
        (self.progress)(read.min(self.total), self.total);
    }
}

pub(super) async fn check(
    repository: &Repository,
    manifest: Manifest,
    level: VerificationLevel,
    progress: &(dyn Fn(u64, u64) + Send + Sync),
    found: &mut Findings,
) -> Result<(), RepositoryError> {
    let artifacts: u64 = manifest
        .artifacts
        .iter()
        .map(|artifact| artifact.size)
        .sum();
    let total = artifacts
        + if level == VerificationLevel::Exists {
            0
        } else {
            manifest.original_size
        };
    let backup = StoredContent::of(repository, manifest)?;
    found.items = Some(backup.content.items);
    let meter = Meter {
        read: Arc::default(),
        total,
        progress,
    };
    found
        .problems
        .extend(unsound_artifacts(repository, &backup).await?);
    if found.problems.is_empty() {
        let mut proofs = Proofs::default();
        let problems = check_contents(repository, &backup, (level, &meter), &mut proofs).await?;
        found.problems.extend(problems);
        found.notes.extend(proofs.note());
    }
    found
        .notes
        .extend(note_of_other_forms(backup.source.other_forms()));
    found.bytes_read = meter.read.load(Ordering::Relaxed);
    shorten(&mut found.problems);
    Ok(())
}

/// Missing artifacts, artifacts of another size, and keys named but not described by the manifest.
async fn unsound_artifacts(
    repository: &Repository,
    backup: &StoredContent,
) -> Result<Vec<String>, RepositoryError> {
    let mut problems = artifact_problems(repository, &backup.manifest).await?;
    for key in backup
        .content
        .archive
        .iter()
        .chain([&backup.content.item_list])
    {
        if backup
            .manifest
            .artifacts
            .iter()
            .all(|artifact| artifact.key != *key)
        {
            problems.push(format!("its manifest names {key} but does not describe it"));
        }
    }
    Ok(problems)
}

async fn check_contents(
    repository: &Repository,
    backup: &StoredContent,
    (level, meter): (VerificationLevel, &Meter<'_>),
    proofs: &mut Proofs,
) -> Result<Vec<String>, RepositoryError> {
    let mut problems = match level {
        VerificationLevel::Exists => Vec::new(),
        VerificationLevel::Checksum => unreadable_volumes(backup, meter).await?,
        VerificationLevel::Structure | VerificationLevel::Drill => {
            archive_differences(backup, meter).await?
        }
    };
    let objects = Objects::new(repository, backup, level);
    let mut counts = ItemCounts::default();
    let items = stream::unfold(backup.items().await?, |mut items| async move {
        Some((items.recv().await?, items))
    });
    let check_item = |record: Result<ItemRecord, RepositoryError>| {
        let objects = &objects;
        async move {
            let record = record?;
            let problems = objects.problems_of(&record).await?;
            Ok::<_, RepositoryError>((record, problems))
        }
    };
    let at_a_time = if level == VerificationLevel::Exists {
        CONCURRENT_HEADS
    } else {
        CONCURRENT_READS
    };
    let mut checked = Box::pin(items.map(check_item).buffer_unordered(at_a_time));
    while let Some((record, found)) = checked.try_next().await? {
        counts.add(&record);
        proofs.count(&record);
        problems.extend(found);
        if level != VerificationLevel::Exists {
            meter.add(record.file.as_ref().map_or(0, |file| file.size));
        }
        shorten_by_half(&mut problems);
    }
    problems.extend(count_differences(backup, counts));
    Ok(problems)
}

/// Reads and authenticates every byte of the archive. The list is read in any case.
async fn unreadable_volumes(
    backup: &StoredContent,
    meter: &Meter<'_>,
) -> Result<Vec<String>, RepositoryError> {
    let mut problems = Vec::new();
    for artifact in backup
        .manifest
        .artifacts
        .iter()
        .filter(|artifact| artifact.key != backup.content.item_list)
    {
        let object = stored_object(&backup.manifest, artifact);
        let read = async {
            let mut reader = backup.source.open_to(&object, Depth::Decrypted).await?;
            let read = blocking("read a volume", move || digest_of(&mut reader)).await?;
            read.map_err(|error| ReadFault::of(&error, &artifact.key))
        };
        match read.await {
            Ok(_) => meter.add(artifact.size),
            Err(ReadFault::Damaged(problem)) => problems.push(problem),
            Err(ReadFault::Other(error)) => return Err(error),
        }
    }
    Ok(problems)
}

async fn archive_differences(
    backup: &StoredContent,
    meter: &Meter<'_>,
) -> Result<Vec<String>, RepositoryError> {
    if backup.content.archive.is_empty() {
        return Ok(Vec::new());
    }
    let lines = match backup.lines().await {
        Ok(lines) => lines,
        Err(fault) => return Err(fault.of_backup(backup.id())),
    };
    let (walked, handle) = (backup.clone(), Handle::current());
    let compared = blocking("walk the archive", move || {
        archive::differences(&walked, &handle, lines)
    })
    .await?;
    let volumes = |key: &ObjectKey| backup.content.archive.contains(key);
    meter.add(
        backup
            .manifest
            .artifacts
            .iter()
            .filter(|artifact| volumes(&artifact.key))
            .map(|a| a.size)
            .sum(),
    );
    match compared {
        Ok(problems) => Ok(problems),
        Err(ReadFault::Damaged(problem)) => Ok(vec![problem]),
        Err(ReadFault::Other(error)) => Err(error),
    }
}

/// Compares the counts in the manifest with those of the complete list. Returns the difference as a
/// problem.
#[must_use]
pub fn count_differences(backup: &StoredContent, counted: ItemCounts) -> Option<String> {
    let ItemCounts {
        expected,
        done,
        unchanged,
        failed,
        bytes,
        ..
    } = backup.content.items;
    let says = ItemCounts {
        expected,
        done,
        unchanged,
        failed,
        bytes,
        per_minute: None,
    };
    (says != counted).then(|| {
        format!(
            "the list has {} items ({} done, {} unchanged, {} failed) and {} bytes of files, but its manifest declares \
             {expected} ({done}, {unchanged}, {failed}) and {bytes}",
            counted.expected, counted.done, counted.unchanged, counted.failed, counted.bytes
        )
    })
}

/// Truncates the problems to [`MAX_REPORTED`], and adds the number of the others.
pub fn shorten(problems: &mut Vec<String>) {
    if problems.len() > MAX_REPORTED {
        let more = problems.len() - MAX_REPORTED;
        problems.truncate(MAX_REPORTED);
        problems.push(format!("and at least {more} more problems"));
    }
}

/// The limit also bounds the memory for problems.
pub fn shorten_by_half(problems: &mut Vec<String>) {
    problems.truncate(2 * MAX_REPORTED);
}
