//! Writes and stores the list of items from the rows.

use std::io::Write as _;

use holdfast_catalog::StoredList;
use holdfast_domain::{ItemCounts, ObjectKey};
use holdfast_repository::content::item_list::line_of;
use tokio::runtime::Handle;

use super::{Finalizing, rows::Rows};
use crate::{OperationError, job::artifact_upload::store_artifact};

/// Expected size of a line with its digests, for the layout of the upload.
const LINE_BYTES: u64 = 2048;

pub(super) async fn store_list(f: &Finalizing<'_>) -> Result<StoredList, OperationError> {
    let job = &f.run.job;
    let key = ObjectKey::content_items(f.id(), f.run.fence, job.encoding());
    let recipe = f.key.recipe(&key, f.compression_level());
    let mut rows = Rows::new(&f.h.catalog, f.id(), None);
    let handle = Handle::current();
    let is_encrypted = f.key.encryption.is_some();
    let expected = f.work.found.saturating_mul(LINE_BYTES);
    let listing = store_artifact(
        f.h,
        &key,
        &recipe,
        (expected, f.meters),
        f.watch,
        move |out| {
            let (mut items, mut json_bytes, mut unencrypted) = (ItemCounts::default(), 0, 0);
            while let Some(record) = handle.block_on(rows.next())? {
                let (line, record) = line_of(record)?;
                items.add(&record);
                json_bytes += line.len() as u64 + 1;
                let is_plain = record
                    .file
                    .as_ref()
                    .is_some_and(|file| file.object.encryption.is_none());
                unencrypted += u64::from(is_encrypted && is_plain);
                writeln!(out, "{line}")
                    .map_err(|error| OperationError::internal("write the list of items", &error))?;
            }
            Ok::<_, OperationError>((items, json_bytes, unencrypted))
        },
    );
    let (artifact, (items, json_bytes, unencrypted)) = listing.await?;
    Ok(StoredList {
        artifact,
        items,
        json_bytes,
        unencrypted,
    })
}
