//! Writes the IPFS blocks of a backup's files, under their own CIDs, as a CAR for `ipfs dag
//! import`. Inner blocks come from their records, the bytes of the leaves from the files. Every
//! block is proved before it is written.

use std::{
    collections::HashSet,
    io::{self, Write},
};

use holdfast_content::ipfs::{CarWriter, Cid, RebuildError};
use holdfast_domain::{BackupId, ItemRecord, StoredFile};
use holdfast_repository::{
    Repository, RepositoryError,
    content::{
        proof::ContentObject,
        read::{ReadFault, blocking},
        stored::StoredContent,
    },
};
use tokio::runtime::Handle;

/// Content of a CAR.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CarReport {
    /// The CIDs of the files.
    pub roots: Vec<String>,
    /// Items with their blocks in it.
    pub items: u64,
    /// Blocks written.
    pub blocks: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Items with a file but without a record of blocks: from Gaia, or from a gateway without
    /// proof.
    pub without_blocks: u64,
}

/// Writes the blocks of a backup's files, or of one item's file.
///
/// # Errors
/// If the backup is unreadable, a file does not match its blocks, or `out` cannot be written. The
/// output so far is no complete CAR.
pub async fn export_car(
    repository: &Repository,
    id: &BackupId,
    only: Option<&str>,
    out: impl Write + Send + 'static,
) -> Result<CarReport, RepositoryError> {
    let backup = StoredContent::open(repository, id).await?;
    let only = only.map(str::to_owned);
    let export = Export {
        backup,
        only,
        handle: Handle::current(),
    };
    let exported = blocking("write the blocks", move || {
        let (report, roots) = export.roots()?;
        export.write(report, &roots, out)
    });
    exported.await?.map_err(|fault| fault.of_backup(id))
}

struct Export {
    backup: StoredContent,
    only: Option<String>,
    handle: Handle,
}

impl Export {
    /// A CAR begins with its roots: each file's own CID. The record also knows it for a file
    /// requested by a path.
    fn roots(&self) -> Result<(CarReport, Vec<Cid>), ReadFault> {
        let mut report = CarReport::default();
        let (mut roots, mut seen, mut found) = (Vec::new(), HashSet::new(), None);
        self.each(|record| {
            if let Some(file) = &record.file {
                match self.file_cid(file)? {
                    Some(cid) => {
                        report.items += 1;
                        if seen.insert(cid) {
                            roots.push(cid);
                        }
                    }
                    None => report.without_blocks += 1,
                }
            }
            found = Some(record.file.is_some());
            Ok(())
        })?;
        if let Some(only) = &self.only
            && roots.is_empty()
        {
            let why = match found {
                None => "is not in it",
                Some(false) => "has no file in it",
                Some(true) => {
                    "has no record of blocks: it is not from IPFS, or no gateway proved it"
                }
            };
            let message = format!("item {only} of backup {} {why}", self.backup.id());
            return Err(ReadFault::Other(RepositoryError::NoItem(message)));
        }
        report.roots = roots.iter().map(Cid::to_string).collect();
        Ok((report, roots))
    }

    fn file_cid(&self, file: &StoredFile) -> Result<Option<Cid>, ReadFault> {
        let by_itself = file
            .cid
            .as_ref()
            .filter(|_| file.dag.is_some())
            .and_then(|cid| cid.parse().ok());
        match by_itself {
            Some(cid) => Ok(Some(cid)),
            None => Ok(self
                .backup
                .dag_record(&self.handle, file)?
                .map(|record| *record.file_cid())),
        }
    }

    /// Items with the same path have the same file, so its blocks are written once.
    fn write(
        &self,
        mut report: CarReport,
        roots: &[Cid],
        out: impl Write,
    ) -> Result<CarReport, ReadFault> {
        let mut bytes = 0;
        let mut car = CarWriter::new(
            Counted {
                inner: out,
                bytes: &mut bytes,
            },
            roots,
        )
        .map_err(unwritable)?;
        let mut written = HashSet::new();
        self.each(|record| {
            let Some(file) = &record.file else {
                return Ok(());
            };
            if file
                .cid
                .as_ref()
                .is_some_and(|path| !written.insert(path.clone()))
            {
                return Ok(());
            }
            let Some(dag) = self.backup.dag_record(&self.handle, file)? else {
                return Ok(());
            };
            let reader = self
                .handle
                .block_on(self.backup.source.open_stored(ContentObject::file(file)))?;
            let mut blocked = None;
            let rebuilt = dag.rebuild(reader, |cid, block| {
                report.blocks += 1;
                car.block(cid, block).map_err(|error| {
                    let reported = io::Error::new(error.kind(), error.to_string());
                    blocked = Some(error);
                    reported
                })
            });
            match (rebuilt, blocked) {
                (_, Some(error)) => Err(unwritable(error)),
                (Ok(()), None) => Ok(()),
                (Err(RebuildError::Io(error)), None) => {
                    Err(ReadFault::of(&error, &file.object.artifact.key))
                }
                (Err(fault), None) => Err(ReadFault::Damaged(format!(
                    "{}: {fault}",
                    file.object.artifact.key
                ))),
            }
        })?;
        car.finish().map_err(unwritable)?;
        report.bytes = bytes;
        Ok(report)
    }

    fn each(
        &self,
        mut visit: impl FnMut(ItemRecord) -> Result<(), ReadFault>,
    ) -> Result<(), ReadFault> {
        let mut lines = self.handle.block_on(self.backup.lines())?;
        let list = &self.backup.content.item_list;
        while let Some((_, record)) = lines
            .next_item()
            .map_err(|error| ReadFault::of(&error, list))?
        {
            if self
                .only
                .as_ref()
                .is_none_or(|only| record.item.content_id == *only)
            {
                visit(record)?;
            }
        }
        Ok(())
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is handed to map_err")]
fn unwritable(error: io::Error) -> ReadFault {
    ReadFault::Other(RepositoryError::Invalid(format!(
        "the CAR could not be written: {error}"
    )))
}

struct Counted<'a, W> {
    inner: W,
    bytes: &'a mut u64,
}

impl<W: Write> Write for Counted<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        *self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
