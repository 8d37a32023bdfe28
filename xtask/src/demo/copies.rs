//! The demonstration's second copy: the deployed function makes it meanwhile. The restore uses
//! nothing else: no AWS, and no catalogue.

use std::time::Duration;

use anyhow::{Context as _, Result};
use mongodb::{Client, Database};

use super::{
    api::Api,
    compare,
    content::PublishedContent,
    operator::{self, Given},
};
use crate::{progress::Step, stack::Stack};

/// The result.
pub(super) struct FromCopy {
    /// The second store.
    pub(super) store: String,
    pub(super) backups: usize,
    /// Sent bytes.
    pub(super) bytes: u64,
    pub(super) collections: usize,
    pub(super) files: usize,
    pub(super) restore: Duration,
}

/// The copied backups.
pub(super) struct Backups<'a> {
    pub(super) all: &'a [&'a str],
    pub(super) database: &'a str,
    pub(super) content: &'a str,
}

/// Waits until all are copied, then restores database and content from the copies alone, and
/// compares both.
pub(super) async fn restore(
    stack: &Stack,
    api: &Api<'_>,
    works: &PublishedContent<'_>,
    client: &Client,
    backups: Backups<'_>,
) -> Result<FromCopy> {
    let (store, bytes) = copied(api, backups.all).await?;
    let source = client.database(&stack.databases().source);
    let step = Step::begin("Restoring both from the second copy alone");
    let collections = database(stack, client, &source, backups.database).await?;
    let files = works
        .restore_from_copy(stack, &source, backups.content)
        .await?;
    let restore = step.done(format!(
        "{collections} collections and {files} files are equal"
    ));
    Ok(FromCopy {
        store,
        backups: backups.all.len(),
        bytes,
        collections,
        files,
        restore,
    })
}

async fn copied(api: &Api<'_>, all: &[&str]) -> Result<(String, u64)> {
    let step = Step::begin("Waiting for the second copy of each backup");
    let (mut store, mut bytes) = (None, 0);
    for id in all {
        let copy = api.copied(id, &step).await?;
        (store, bytes) = (Some(copy.store), bytes + copy.bytes);
    }
    let store = store.context("there is no backup to copy")?;
    step.done(format!("{} backups are in {store}", all.len()));
    Ok((store, bytes))
}

async fn database(stack: &Stack, client: &Client, source: &Database, id: &str) -> Result<usize> {
    let copy = format!("{}_from_copy", stack.databases().restored);
    let restored = operator::restore_database(stack, Given::CopyAlone, id, &copy).await;
    let compared = match restored {
        Ok(()) => compare::databases(client, source.name(), &copy).await,
        Err(error) => Err(error),
    };
    client.database(&copy).drop().await?;
    Ok(compared?.len())
}
