//! A volume of the archive: the files in the order of the list, streamed from their objects. The
//! last volume ends with the document of all items and the archive's end.
//!
//! The document is the last entry, so that it omits files found damaged on the way. Damage costs at
//! most this volume, never the stored ones. Memory: [`PREPARED`] small files and the first bytes of
//! a large one.

mod entries;
mod write;

use std::sync::Arc;

use holdfast_domain::{Artifact, ItemRecord, ObjectKey};
use holdfast_repository::{RepositoryError, content::read::ObjectSource};
use tokio::runtime::Handle;

use self::{
    entries::Entries,
    write::{LargeFiles, Volume},
};
use super::{Finalizing, damage::fail_item, rows::Rows};
use crate::{OperationError, job::artifact_upload::store_artifact};

/// Small files read ahead.
const PREPARED: usize = 16;

/// Files up to this size are read and proved before their entry begins.
const SMALL_BYTES: u64 = 1024 * 1024;

/// A stored volume.
pub(super) struct StoredVolume {
    pub(super) artifact: Artifact,
    /// The content id of its last item.
    pub(super) after: Option<String>,
    /// Whether it is the last volume of the archive.
    pub(super) is_last: bool,
}

/// Why a volume was not written.
enum VolumeFault {
    /// An object turned out damaged after its entry had begun.
    Damaged(Box<ItemRecord>, String),
    Other(OperationError),
}

impl From<RepositoryError> for VolumeFault {
    fn from(error: RepositoryError) -> Self {
        OperationError::from(error).into()
    }
}

impl From<OperationError> for VolumeFault {
    fn from(error: OperationError) -> Self {
        Self::Other(error)
    }
}

/// Writes and stores the next volume. If a large file is found damaged inside its entry, the volume
/// is written again. The second attempt reads each large file once before its entry.
pub(super) async fn store_volume(f: &Finalizing<'_>) -> Result<StoredVolume, OperationError> {
    let mut large_files = LargeFiles::ProvedInline;
    loop {
        match try_volume(f, large_files).await {
            Ok(volume) => {
                let stored = f.work.volumes.iter().chain([&volume.artifact]);
                refuse_too_many_segments(stored.map(|artifact| artifact.segments.len()).sum())?;
                f.refuse_too_many_failures().await?;
                return Ok(volume);
            }
            Err(VolumeFault::Other(error)) => return Err(error),
            Err(VolumeFault::Damaged(record, problem)) => {
                if let Some(file) = &record.file {
                    f.watch
                        .guard(fail_item(f.h, f.id(), &record, &file.object, &problem))
                        .await?;
                }
                large_files = LargeFiles::ProvedFirst;
            }
        }
    }
}

/// Most segments of all volumes. Until the commit, their digests are in the job's row, and MongoDB
/// limits it to 16 MB. A digest takes 77 bytes there.
const MAX_SEGMENTS: usize = 150_000;

fn refuse_too_many_segments(segments: usize) -> Result<(), OperationError> {
    if segments <= MAX_SEGMENTS {
        return Ok(());
    }
    Err(OperationError::ArchiveTooLarge {
        segments,
        limit: MAX_SEGMENTS,
    })
}

async fn try_volume(
    f: &Finalizing<'_>,
    large_files: LargeFiles,
) -> Result<StoredVolume, VolumeFault> {
    let (job, number) = (
        &f.run.job,
        u32::try_from(f.work.volumes.len()).unwrap_or(u32::MAX),
    );
    let key = ObjectKey::content_archive(f.id(), f.run.fence, number, job.encoding());
    let recipe = f.key.recipe(&key, f.compression_level());
    let rows = |after| Rows::new(&f.h.catalog, f.id(), after);
    let source = ObjectSource::new(&f.h.repository, &f.key.repository.id);
    let after = f.work.archived_after.clone();
    let entries = Entries::begin(f.h, f.id(), &source, rows(after.clone()));
    let mut volume = Volume {
        h: f.h.clone(),
        job: job.clone(),
        source,
        handle: Handle::current(),
        time: f.time,
        entries_written: Arc::clone(&f.progress.entries),
        bytes_read: Arc::clone(&f.meters.read),
        large_files,
        after,
    };
    let expected = f.meters.expected.load(std::sync::atomic::Ordering::Relaxed);
    let writing = store_artifact(
        f.h,
        &key,
        &recipe,
        (expected, f.meters),
        f.watch,
        move |out| {
            let is_last = volume.write(out, entries)?;
            Ok::<_, VolumeFault>((volume.after, is_last))
        },
    );
    let (artifact, (after, is_last)) = writing.await?;
    Ok(StoredVolume {
        artifact,
        after,
        is_last,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_whose_digests_do_not_fit_into_a_row_is_refused_with_what_to_do() {
        assert!(refuse_too_many_segments(MAX_SEGMENTS).is_ok());
        let failure = refuse_too_many_segments(MAX_SEGMENTS + 1)
            .unwrap_err()
            .failure();
        assert!(failure.message.contains("150001 segments"), "{failure:?}");
        assert_eq!(
            failure.hint.as_deref(),
            Some("set BACKUP_CONTENT_ARCHIVE=false")
        );
    }
}
