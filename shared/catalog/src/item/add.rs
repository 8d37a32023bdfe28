//! Adds the discovered items. The run after a killed one may find them again, and existing rows
//! stay unchanged.

use std::collections::HashMap;

use bson::{Bson, Document, doc};
use futures_util::TryStreamExt;
use holdfast_domain::{BackupId, ContentItem, ItemRecord, ItemStatus};

use super::{key, read};
use crate::{
    Catalog, CatalogError,
    catalog::{ITEMS, call},
    row,
};

/// Most items of one call.
pub const MAX_ADDED: usize = 1_000;

/// An item from a document of the platform's database. Its texts are stored unchanged. The finder
/// limits their size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundItem {
    /// The item, under the platform's own content id.
    pub item: ContentItem,
    /// The document's `_id` as text. Ids of different types have different texts.
    pub doc_id: String,
}

/// An item with a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddedItem {
    /// The item, with its content id inside this backup.
    pub item: ContentItem,
    /// Its state.
    pub status: ItemStatus,
}

/// An item without a row yet.
struct Candidate<'a> {
    found: &'a FoundItem,
    document: String,
    content_id: String,
}

impl Candidate<'_> {
    fn record(&self) -> ItemRecord {
        let item = ContentItem {
            content_id: self.content_id.clone(),
            ..self.found.item.clone()
        };
        ItemRecord {
            item,
            status: ItemStatus::Pending,
            attempts: 0,
            file_name: None,
            file: None,
            error: None,
        }
    }
}

impl Catalog {
    /// Adds a `pending` row for each item without one, and returns the state of each row, in the
    /// given order.
    ///
    /// A content id is replaced by its start and its hash if it is longer than 200 bytes, or has a
    /// `~`. If another document already has the row of this name, the item is called
    /// `<contentId>~<docId>`.
    ///
    /// # Errors
    /// [`CatalogError::Invalid`] if there are more than [`MAX_ADDED`]. Those of the server: some
    /// rows may have been added, and the call may be repeated.
    pub async fn add_items(
        &self,
        backup: &BackupId,
        found: &[FoundItem],
    ) -> Result<Vec<AddedItem>, CatalogError> {
        if found.len() > MAX_ADDED {
            let problem = format!("are {}, and {MAX_ADDED} are added at a time", found.len());
            return Err(CatalogError::Invalid {
                what: "the items to be added".to_owned(),
                problem,
            });
        }
        let mut candidates: Vec<_> = found.iter().map(candidate).collect();
        let mut standing = self.place(backup, &candidates).await?;
        let further: Vec<usize> = (0..found.len())
            .filter(|place| standing[*place].is_none())
            .collect();
        let others: Vec<_> = further
            .iter()
            .map(|place| further_document(&candidates[*place]))
            .collect();
        for (place, row) in further.iter().zip(self.place(backup, &others).await?) {
            standing[*place] = row;
        }
        for (place, other) in further.into_iter().zip(others) {
            candidates[place] = other;
        }
        standing
            .into_iter()
            .zip(&candidates)
            .map(|(row, candidate)| added(backup, row, candidate))
            .collect()
    }

    /// Inserts rows, and returns the state of each. `None` if another document has the row of its
    /// name.
    async fn place(
        &self,
        backup: &BackupId,
        candidates: &[Candidate<'_>],
    ) -> Result<Vec<Option<ItemRecord>>, CatalogError> {
        let rows = candidates
            .iter()
            .map(|candidate| new_row(backup, candidate))
            .collect::<Result<Vec<_>, _>>()?;
        let taken = self.insert_new(ITEMS, "add items", &rows).await?;
        let standing = self
            .standing(
                taken
                    .iter()
                    .filter_map(|place| rows[*place].get("_id").cloned()),
            )
            .await?;
        let place = |(place, candidate): (usize, &Candidate<'_>)| {
            if !taken.contains(&place) {
                return Ok(Some(candidate.record()));
            }
            let id = key::row_id(backup, &candidate.content_id);
            // If one call contains an item twice, the second finds the row of the first.
            match standing.get(&id) {
                Some(row)
                    if row
                        .get_str("docId")
                        .is_ok_and(|document| document == candidate.document) =>
                {
                    read(row.clone()).map(Some)
                }
                Some(_) => Ok(None),
                None => Err(removed_meanwhile()),
            }
        };
        candidates.iter().enumerate().map(place).collect()
    }

    async fn standing(
        &self,
        ids: impl Iterator<Item = Bson>,
    ) -> Result<HashMap<String, Document>, CatalogError> {
        let ids: Vec<Bson> = ids.collect();
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let collection = self.collection(ITEMS);
        let find = collection.find(doc! { "_id": { "$in": ids } });
        let rows: Vec<Document> =
            call("read items", async { find.await?.try_collect().await }).await?;
        Ok(rows
            .into_iter()
            .map(|row| (row::id_of(&row), row))
            .collect())
    }
}

fn candidate(found: &FoundItem) -> Candidate<'_> {
    Candidate {
        found,
        document: key::document(&found.doc_id),
        content_id: key::name(&found.item.content_id),
    }
}

fn further_document<'a>(first: &Candidate<'a>) -> Candidate<'a> {
    let content_id = key::name_of_further(&first.found.item.content_id, &first.document);
    Candidate {
        found: first.found,
        document: first.document.clone(),
        content_id,
    }
}

fn new_row(backup: &BackupId, candidate: &Candidate<'_>) -> Result<Document, CatalogError> {
    let mut row = row::of(&candidate.record())?;
    row.insert("_id", key::row_id(backup, &candidate.content_id));
    row.insert("backupId", backup.as_str());
    row.insert("docId", candidate.document.as_str());
    Ok(row)
}

fn added(
    backup: &BackupId,
    row: Option<ItemRecord>,
    candidate: &Candidate<'_>,
) -> Result<AddedItem, CatalogError> {
    let ItemRecord { item, status, .. } = row.ok_or_else(|| CatalogError::Corrupt {
        collection: ITEMS,
        id: key::row_id(backup, &candidate.content_id),
        problem: "its name is one document's, its docId another's".to_owned(),
    })?;
    Ok(AddedItem { item, status })
}

fn removed_meanwhile() -> CatalogError {
    CatalogError::Unavailable {
        doing: "add items",
        reason: "rows were removed meanwhile".to_owned(),
    }
}
