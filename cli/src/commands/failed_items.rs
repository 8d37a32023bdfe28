//! `holdfast show content_… --failed`: the failed items, with the reasons. They come from the
//! backup's own list, or from the catalogue for a job without a backup.

use holdfast_catalog::{Catalog, CatalogError};
use holdfast_domain::{BackupId, ItemRecord, ItemStatus};
use holdfast_operations::OperationError;

use super::items;
use crate::{
    failure::{Exit, Failure},
    output::Output,
    session::Session,
    text,
};

/// Rows for each request.
const PAGE: u32 = 1000;

pub(super) async fn run(id: &BackupId, session: &Session, output: Output) -> Result<Exit, Failure> {
    let repository = session.repository()?;
    let failed = match items::without_files(&repository, id, usize::MAX).await {
        Err(OperationError::NotFound(_)) => in_catalog(id, &session.catalog().await?).await?,
        listed => listed?,
    };
    for item in &failed {
        output.json(|| item)?;
    }
    output.text(|| match failed.len() as u64 {
        0 => format!("no item of {id} has failed"),
        number => format!(
            "{}{} failed",
            items::failures(&failed),
            text::count(number, "item")
        ),
    })?;
    Ok(Exit::Done)
}

async fn in_catalog(id: &BackupId, catalog: &Catalog) -> Result<Vec<ItemRecord>, Failure> {
    match catalog.get(id).await {
        Err(CatalogError::NotFound { .. }) => {
            return Err(OperationError::NotFound(id.clone()).into());
        }
        known => known?,
    };
    let (mut failed, mut after) = (Vec::new(), None::<String>);
    loop {
        let page = catalog.items_after(id, after.as_deref(), PAGE).await?;
        let Some(last) = page.last() else {
            return Ok(failed);
        };
        after = Some(last.item.content_id.clone());
        failed.extend(
            page.into_iter()
                .filter(|item| item.status == ItemStatus::Failed),
        );
    }
}
