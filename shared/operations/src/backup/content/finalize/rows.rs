//! A backup's items, one by one in the order of their content ids, with one page in memory.

use std::vec::IntoIter;

use holdfast_catalog::Catalog;
use holdfast_domain::{BackupId, ItemRecord, ItemStatus};

use crate::{OperationError, job::persist::persist};

const PAGE: u32 = 500;

/// The items after a given one.
pub(super) struct Rows {
    catalog: Catalog,
    backup_id: BackupId,
    after: Option<String>,
    page: IntoIter<ItemRecord>,
    is_last_page: bool,
}

impl Rows {
    pub(super) fn new(catalog: &Catalog, backup_id: &BackupId, after: Option<String>) -> Self {
        let (catalog, backup_id) = (catalog.clone(), backup_id.clone());
        Self {
            catalog,
            backup_id,
            after,
            page: Vec::new().into_iter(),
            is_last_page: false,
        }
    }

    /// The next item. A pending item is an error, because a backup contains only settled items.
    pub(super) async fn next(&mut self) -> Result<Option<ItemRecord>, OperationError> {
        if self.page.len() == 0 && !self.is_last_page {
            let read = || async {
                Ok(self
                    .catalog
                    .items_after(&self.backup_id, self.after.as_deref(), PAGE)
                    .await?)
            };
            let page = persist(read).await?;
            self.is_last_page = page.len() < PAGE as usize;
            self.after = page
                .last()
                .map(|record| record.item.content_id.clone())
                .or_else(|| self.after.take());
            self.page = page.into_iter();
        }
        match self.page.next() {
            Some(record) if record.status == ItemStatus::Pending => Err(OperationError::internal(
                "finalize the backup",
                &format!("item {} is not settled", record.item.content_id),
            )),
            record => Ok(record),
        }
    }
}
