//! One page of the platform's items: their rows, and the settling of stored items before any
//! download.

use std::collections::HashMap;

use futures_util::{StreamExt as _, TryStreamExt as _};
use holdfast_catalog::{AddedItem, FoundItem, Settled};
use holdfast_content::Unsupported;
use holdfast_database::ListedItem;
use holdfast_domain::{ItemFailureCode, ItemStatus, StorageType, StoredFile, file_name};

use super::{Discovery, send};
use crate::{
    OperationError,
    backup::content::{
        fail_item,
        source::ItemSource,
        stored::{self, KeyEpochs},
    },
};

/// Objects checked and items settled at a time.
const CONCURRENCY: usize = 32;

impl Discovery<'_> {
    /// Adds the rows of a page. Items without a usable source fail, stored items are settled, the
    /// others are sent.
    pub(super) async fn ingest_page(
        &self,
        page: Vec<ListedItem>,
        epochs: &mut KeyEpochs,
    ) -> Result<(), OperationError> {
        let (found, problems): (Vec<FoundItem>, Vec<Option<String>>) = page
            .into_iter()
            .map(
                |ListedItem {
                     item,
                     doc_id,
                     problem,
                 }| (FoundItem { item, doc_id }, problem),
            )
            .unzip();
        let added = self.h.catalog.add_items(self.id(), &found).await?;
        let (mut wanted, mut faulty) = (Vec::new(), Vec::new());
        for (added, problem) in added.into_iter().zip(problems) {
            // Items that an earlier run settled stay settled.
            if added.status != ItemStatus::Pending {
                continue;
            }
            match source_of(&added, problem) {
                Ok(source) => wanted.push(Wanted { added, source }),
                Err(why) => faulty.push((added.item.content_id, why)),
            }
        }
        self.fail(faulty).await?;
        let not_stored = self.settle_stored(wanted, epochs).await?;
        send(self.h, self.queue, self.id(), &not_stored).await
    }

    async fn fail(&self, faulty: Vec<(String, Unsupported)>) -> Result<(), OperationError> {
        let failing = faulty.into_iter().map(|(content_id, why)| async move {
            fail_item(self.h, self.id(), &content_id, why.code, why.reason).await
        });
        concurrently(failing).await.map(drop)
    }

    /// Settles the IPFS items with a stored file, and returns the others. The download of a Gaia item
    /// sends a conditional request, because the file of a URL may change.
    async fn settle_stored(
        &self,
        wanted: Vec<Wanted>,
        epochs: &mut KeyEpochs,
    ) -> Result<Vec<String>, OperationError> {
        let stored = self.stored_files(&wanted, epochs).await?;
        let settling = wanted.into_iter().map(|wanted| {
            let file = stored.get(wanted.source.id.as_str()).cloned();
            async move {
                let content_id = wanted.added.item.content_id.clone();
                let is_settled = match file {
                    Some(file) => self.settle_if_in_store(&wanted, file).await?,
                    None => false,
                };
                Ok((!is_settled).then_some(content_id))
            }
        });
        Ok(concurrently(settling)
            .await?
            .into_iter()
            .flatten()
            .collect())
    }

    /// The stored files of these sources that are good enough today.
    async fn stored_files(
        &self,
        wanted: &[Wanted],
        epochs: &mut KeyEpochs,
    ) -> Result<HashMap<String, StoredFile>, OperationError> {
        let of_ipfs = wanted
            .iter()
            .filter(|wanted| wanted.source.storage_type == StorageType::Ipfs);
        let ids: Vec<_> = of_ipfs.map(|wanted| wanted.source.id.clone()).collect();
        let encryption = self.run.job.encrypted.into();
        let mut stored = HashMap::new();
        for found in self.h.catalog.stored_files(&ids).await? {
            if stored::is_good_enough(StorageType::Ipfs, &found.file, encryption)
                && epochs.open(self.h, &found.file).await?
            {
                stored.insert(found.id.as_str().to_owned(), found.file);
            }
        }
        Ok(stored)
    }

    async fn settle_if_in_store(
        &self,
        wanted: &Wanted,
        file: StoredFile,
    ) -> Result<bool, OperationError> {
        let Some(file) = stored::if_in_store(self.h, &wanted.source, file).await? else {
            return Ok(false);
        };
        let (added, file) = (&wanted.added, &file);
        let file_name = file_name(&added.item, file.content_type.as_deref());
        // This backup fetched it, before a run of its discovery died.
        let settled = if file.fetched_at >= self.run.job.created_at {
            Settled::Done {
                file_name: &file_name,
                file,
            }
        } else {
            Settled::Unchanged {
                file_name: &file_name,
                file,
            }
        };
        self.h
            .catalog
            .settle_item(
                self.id(),
                &added.item.content_id,
                settled,
                self.h.catalog.now().await?,
            )
            .await?;
        Ok(true)
    }
}

/// A pending item with a known source.
struct Wanted {
    added: AddedItem,
    source: ItemSource,
}

fn source_of(added: &AddedItem, problem: Option<String>) -> Result<ItemSource, Unsupported> {
    match problem {
        Some(reason) => Err(Unsupported {
            code: ItemFailureCode::Unsupported,
            reason,
        }),
        None => ItemSource::of(&added.item),
    }
}

async fn concurrently<T>(
    steps: impl Iterator<Item = impl Future<Output = Result<T, OperationError>>>,
) -> Result<Vec<T>, OperationError> {
    futures_util::stream::iter(steps)
        .buffer_unordered(CONCURRENCY)
        .try_collect()
        .await
}
