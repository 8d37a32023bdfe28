//! Writes a volume on a blocking thread, entry by entry, until the last entry or until the time is
//! used up.

use std::{
    io::{self, Read as _, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use holdfast_domain::{ItemRecord, Job, StoredFile};
use holdfast_repository::{
    RepositoryError,
    content::{
        item_list::{DOCUMENT_NAME, Document, line_of},
        proof::ContentObject,
        read::{Hashing, ObjectSource, ReadFault},
    },
};
use tokio::runtime::Handle;

use super::{
    VolumeFault,
    entries::{Entries, Next, differs},
};
use crate::{
    Holdfast, OperationError,
    backup::content::finalize::{
        damage::fail_item,
        rows::Rows,
        tar::{TarWriter, read_up_to},
        time::RunTime,
    },
};

/// Bytes of a large file read before its entry begins. Reading them shows every possible damage of
/// the first segment.
const FIRST_BYTES: usize = 8 * 1024 * 1024;
const CHUNK_BYTES: usize = 256 * 1024;

/// How the large files of a volume are proved.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum LargeFiles {
    /// While its bytes are written. A damaged file spoils the volume.
    ProvedInline,
    /// By an extra read before its entry.
    ProvedFirst,
}

/// A volume in progress.
pub(super) struct Volume {
    pub(super) h: Holdfast,
    pub(super) job: Job,
    pub(super) source: ObjectSource,
    pub(super) handle: Handle,
    pub(super) time: RunTime,
    pub(super) entries_written: Arc<AtomicU64>,
    pub(super) bytes_read: Arc<AtomicU64>,
    pub(super) large_files: LargeFiles,
    /// The last written item.
    pub(super) after: Option<String>,
}

impl Volume {
    /// Writes the volume, with at least one entry. Returns `false` if the time ended before the
    /// archive.
    pub(super) fn write(
        &mut self,
        out: &mut impl Write,
        mut entries: Entries,
    ) -> Result<bool, VolumeFault> {
        let mut tar = TarWriter::new(out, self.job.created_at);
        let (began, mut written, mut done) = (Instant::now(), false, 0);
        loop {
            let next = entries.next()?;
            let size = match &next {
                Next::End => break,
                Next::Passed(_) => 0,
                Next::Small(record, _) | Next::Large(record) => {
                    record.file.as_ref().map_or(0, |file| file.size)
                }
            };
            if written && !self.time.is_enough_for(size, done, began) {
                return Ok(false);
            }
            self.after = Some(self.entry(&mut tar, next, &mut written)?);
            done += size;
            self.bytes_read.fetch_add(size, Ordering::Relaxed);
        }
        if written && !self.time.is_left() {
            return Ok(false);
        }
        self.document(&mut tar)?;
        tar.finish().map_err(from_writing)?;
        Ok(true)
    }

    /// Writes the entry of an item with a file. Returns the item's content id.
    fn entry<W: Write>(
        &self,
        tar: &mut TarWriter<W>,
        next: Next,
        written: &mut bool,
    ) -> Result<String, VolumeFault> {
        let record = match next {
            Next::Small(record, bytes) => {
                let (name, record) = self.name(record)?;
                tar.entry(&name, &bytes).map_err(from_writing)?;
                self.count(written);
                record
            }
            Next::Large(record) => {
                let (name, record) = self.name(record)?;
                match self.large(tar, &name, &record)? {
                    None => self.count(written),
                    Some(problem) => self.fail(&record, &problem)?,
                }
                record
            }
            Next::Passed(record) => record,
            Next::End => return Ok(String::new()),
        };
        Ok(record.item.content_id)
    }

    fn count(&self, written: &mut bool) {
        *written = true;
        self.entries_written.fetch_add(1, Ordering::Relaxed);
    }

    fn name(&self, record: ItemRecord) -> Result<(String, ItemRecord), VolumeFault> {
        let (_, record) = line_of(record)?;
        if let Some(name) = &record.file_name {
            return Ok((format!("{}/{name}", self.job.backup_id), record));
        }
        let cause = format!(
            "item {} has a file and no name for it",
            record.item.content_id
        );
        Err(OperationError::internal("write the archive", &cause).into())
    }

    /// Streams a large file. Damage found before its entry begins is reported, and costs nothing
    /// else.
    fn large<W: Write>(
        &self,
        tar: &mut TarWriter<W>,
        name: &str,
        record: &ItemRecord,
    ) -> Result<Option<String>, VolumeFault> {
        let Some(file) = &record.file else {
            return Ok(None);
        };
        if self.large_files == LargeFiles::ProvedFirst
            && let Err(problem) = told(
                self.handle
                    .block_on(self.source.prove(&ContentObject::file(file))),
            )?
        {
            return Ok(Some(problem));
        }
        let key = &file.object.artifact.key;
        let of_read = |error: io::Error| ReadFault::of(&error, key);
        let opened = told(
            self.handle
                .block_on(self.source.open_stored(ContentObject::file(file))),
        )?;
        let mut reader = match opened {
            Ok(reader) => Hashing::new(reader),
            Err(problem) => return Ok(Some(problem)),
        };
        let (first, more) = match told(read_up_to(&mut reader, FIRST_BYTES).map_err(of_read))? {
            Ok(first) => first,
            Err(problem) => return Ok(Some(problem)),
        };
        if !more {
            if let Some(problem) = differs(file, reader.finish()) {
                return Ok(Some(problem));
            }
            tar.entry(name, &first).map_err(from_writing)?;
            return Ok(None);
        }
        tar.begin_entry(name, file.size).map_err(from_writing)?;
        tar.data(&first).map_err(from_writing)?;
        drop(first);
        let damaged = |problem| VolumeFault::Damaged(Box::new(record.clone()), problem);
        match told(copy_rest(tar, &mut reader, file))? {
            Ok(()) => tar.end_entry(file.size).map_err(from_writing)?,
            Err(problem) => return Err(damaged(problem)),
        }
        differs(file, reader.finish()).map_or(Ok(None), |problem| Err(damaged(problem)))
    }

    fn fail(&self, record: &ItemRecord, problem: &str) -> Result<(), VolumeFault> {
        let Some(file) = &record.file else {
            return Ok(());
        };
        let failing = fail_item(&self.h, &self.job.backup_id, record, &file.object, problem);
        Ok(self.handle.block_on(failing)?)
    }

    /// The document of all items. It is counted first, because its size precedes it.
    fn document<W: Write>(&self, tar: &mut TarWriter<W>) -> Result<(), VolumeFault> {
        let size = self.write_document(Counter(0))?.0;
        let name = format!("{}/{DOCUMENT_NAME}", self.job.backup_id);
        tar.begin_entry(&name, size).map_err(from_writing)?;
        let Counted { written, .. } = self.write_document(Counted {
            tar: &mut *tar,
            written: 0,
        })?;
        if written != size {
            let cause = format!("the items changed meanwhile: {size} bytes of them were {written}");
            return Err(OperationError::internal("write the archive", &cause).into());
        }
        tar.end_entry(size).map_err(from_writing)
    }

    fn write_document<W: Write>(&self, out: W) -> Result<W, VolumeFault> {
        let mut document =
            Document::begin(out, &self.job.backup_id, self.job.created_at).map_err(from_writing)?;
        let mut rows = Rows::new(&self.h.catalog, &self.job.backup_id, None);
        while let Some(record) = self.handle.block_on(rows.next())? {
            document.item(&line_of(record)?.0).map_err(from_writing)?;
        }
        document.finish().map_err(from_writing)
    }
}

fn copy_rest<W: Write, R: io::Read>(
    tar: &mut TarWriter<W>,
    reader: &mut Hashing<R>,
    file: &StoredFile,
) -> Result<(), ReadFault> {
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        let read = reader.read(&mut buffer);
        let count = read.map_err(|error| ReadFault::of(&error, &file.object.artifact.key))?;
        if count == 0 {
            return Ok(());
        }
        tar.data(&buffer[..count])
            .map_err(|error| ReadFault::Other(write_error(&error)))?;
    }
}

/// Separates damage of one item from a fault that ends the volume.
fn told<T>(read: Result<T, ReadFault>) -> Result<Result<T, String>, VolumeFault> {
    match read {
        Ok(read) => Ok(Ok(read)),
        Err(ReadFault::Damaged(problem)) => Ok(Err(problem)),
        Err(ReadFault::Other(error)) => Err(error.into()),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is handed to map_err")]
fn from_writing(error: io::Error) -> VolumeFault {
    write_error(&error).into()
}

fn write_error(error: &io::Error) -> RepositoryError {
    RepositoryError::internal("write the archive", error)
}

/// Counts bytes without keeping them.
struct Counter(u64);

impl Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Counts the bytes of an entry on their way.
struct Counted<'a, W> {
    tar: &'a mut TarWriter<W>,
    written: u64,
}

impl<W: Write> Write for Counted<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.tar.data(bytes)?;
        self.written += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
