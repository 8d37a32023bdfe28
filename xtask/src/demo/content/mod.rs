//! The content's part of the demonstration: files on IPFS and Gaia are backed up twice and fetched
//! once. They are restored, compared, and returned to a node after the loss of all its files.

mod files;
mod node;
mod restored;

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::{Context as _, Result, ensure};
use futures_util::TryStreamExt as _;
use mongodb::{
    Database,
    bson::{Document, doc},
};

pub(crate) use self::node::Node;
use self::restored::Restored;
pub(super) use self::{files::Published, node::Requests};
use super::{
    api::{Api, ContentBackup},
    operator::{self, Given},
    report,
};
use crate::{progress::Step, stack::Stack};

/// The published files of the platform's contents, and their node.
pub(super) struct PublishedContent<'a> {
    node: Node<'a>,
    pub(super) files: Vec<Published>,
    /// Of all files.
    pub(super) bytes: u64,
}

/// A backup, and its requests to gateway and origin.
pub(super) struct Fetched {
    pub(super) backup: ContentBackup,
    pub(super) requests: Requests,
}

/// The result of the return of all files to the node.
pub(super) struct BroughtBack {
    pub(super) blocks: u64,
    pub(super) on_ipfs: usize,
    pub(super) on_gaia: usize,
}

impl<'a> PublishedContent<'a> {
    /// Publishes the files.
    pub(super) async fn publish(stack: &'a Stack) -> Result<Self> {
        let step = Step::begin("Publishing files on IPFS and Gaia");
        let node = Node::at(&stack.description().ipfs_node);
        let files = files::publish(&node).await?;
        let bytes = files.iter().map(|file| file.bytes.len() as u64).sum();
        node.count_anew().await?;
        step.done(format!("{} files, {}", files.len(), report::bytes(bytes)));
        Ok(Self { node, files, bytes })
    }

    /// The requests of a completed first backup.
    pub(super) async fn fetched(&self, backup: ContentBackup) -> Result<Fetched> {
        let requests = self.node.requests().await?;
        let items = &backup.items;
        ensure!(
            items.expected > 0 && items.failed == 0,
            "{} of {} items of {} failed: see holdfast show {} --failed",
            items.failed,
            items.expected,
            backup.id,
            backup.id
        );
        Ok(Fetched { backup, requests })
    }

    /// Backs up once more, and checks for repeated downloads of stored files.
    pub(super) async fn back_up_again(&self, api: &Api<'_>) -> Result<Fetched> {
        let step = Step::begin("Backing up the files again");
        self.node.count_anew().await?;
        let backup = api.back_up_content(&step).await?;
        let fetched = self.fetched(backup).await?;
        let Fetched { backup, requests } = &fetched;
        let (items, gateway, gaia) = (&backup.items, &requests.gateway, &requests.gaia);
        ensure!(
            items.unchanged == items.expected,
            "{} of {} items are unchanged",
            items.unchanged,
            items.expected
        );
        let asked = gateway.car + gateway.raw + gateway.plain + gaia.full;
        ensure!(
            asked == 0,
            "{} downloaded stored files again: {requests:?}",
            backup.id
        );
        ensure!(
            gaia.not_modified > 0,
            "{} sent no conditional request to Gaia for unchanged files",
            backup.id
        );
        step.done(format!(
            "{}, {} items unchanged, 0 downloads",
            backup.id, items.unchanged
        ));
        Ok(fetched)
    }

    /// Restores a backup into a folder, and compares every byte with the published files.
    pub(super) async fn restore(
        &self,
        stack: &Stack,
        database: &Database,
        id: &str,
    ) -> Result<Restored> {
        let step = Step::begin("Restoring the files to a folder");
        let folder = temporary(stack, "content");
        operator::restore_content(stack, Given::Stack, id, &folder).await?;
        step.done("done");
        let step = Step::begin("Comparing the folder with the published files");
        let expected = self.of_contents(database).await?;
        let restored = restored::compare(&folder, &expected)?;
        step.done(format!("all {} files are equal", restored.files.len()));
        Ok(restored)
    }

    /// Restores a backup from the second copy alone, compares it likewise, and returns the number
    /// of files.
    pub(super) async fn restore_from_copy(
        &self,
        stack: &Stack,
        database: &Database,
        id: &str,
    ) -> Result<usize> {
        let folder = temporary(stack, "content-from-copy");
        operator::restore_content(stack, Given::CopyAlone, id, &folder).await?;
        Ok(
            restored::compare(&folder, &self.of_contents(database).await?)?
                .files
                .len(),
        )
    }

    /// Deletes all files of the node and restores them from the backup: IPFS's blocks from a CAR,
    /// Gaia's files from the restored folder.
    pub(super) async fn bring_back(
        &self,
        stack: &Stack,
        restored: &Restored,
        id: &str,
    ) -> Result<BroughtBack> {
        let step = Step::begin("Deleting all files from IPFS and Gaia and restoring them");
        let car = temporary(stack, "content.car");
        operator::export_car(stack, id, &car).await?;
        self.node.lose_everything().await?;
        let car = std::fs::read(&car).with_context(|| format!("cannot read {}", car.display()))?;
        let blocks = self
            .node
            .import(car)
            .await
            .context("cannot import the CAR")?
            .blocks;
        for (path, file) in restored.on_gaia_hub() {
            self.node.put(path, &file?).await?;
        }
        let mut counts = BTreeMap::<&str, usize>::new();
        for file in &self.files {
            let served = self
                .node
                .get(&file.path)
                .await
                .context("a deleted file is not restored")?;
            ensure!(
                served == file.bytes,
                "{} differs from the deleted file",
                file.path
            );
            *counts.entry(file.storage_type).or_default() += 1;
        }
        let count = |kind: &str| counts.get(kind).copied().unwrap_or_default();
        let back = BroughtBack {
            blocks,
            on_ipfs: count("ipfs"),
            on_gaia: count("gaia"),
        };
        step.done(format!(
            "{} have the same CIDs, {} the same URLs",
            back.on_ipfs, back.on_gaia
        ));
        Ok(back)
    }

    /// The file of every remaining content, by the platform's database.
    async fn of_contents(&self, database: &Database) -> Result<BTreeMap<String, &Published>> {
        let by_url: BTreeMap<&str, &Published> = self
            .files
            .iter()
            .map(|file| (file.url.as_str(), file))
            .collect();
        let contents = database
            .collection::<Document>("contents")
            .find(doc! { "isRemoved": false })
            .await?;
        let contents: Vec<Document> = contents.try_collect().await?;
        let file = |content: Document| {
            let (id, url) = (content.get_i32("contentId")?, content.get_str("url")?);
            let file = by_url
                .get(url)
                .with_context(|| format!("content {id} points to an unpublished file: {url}"))?;
            Ok((id.to_string(), *file))
        };
        contents.into_iter().map(file).collect()
    }
}

fn temporary(stack: &Stack, name: &str) -> PathBuf {
    stack.supervisor().run_directory().join("tmp").join(name)
}
