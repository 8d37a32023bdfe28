//! Content backups of many small files, by the command line: time, files a second, memory. The
//! memory must not grow with their number.

use anyhow::{Result, ensure};
use mongodb::{
    Database,
    bson::{Document, doc},
};

use super::programs::Bench;
use crate::{
    demo::{content::Node, random::Random},
    progress::Step,
    stack::Stack,
};

/// Files added, and documents written, in one call.
const AT_ONCE: u32 = 1000;

/// Backs up each number of files, then again when all are stored.
pub(super) async fn measure(
    stack: &Stack,
    bench: &Bench<'_>,
    database: &Database,
    numbers: &[u32],
) -> Result<()> {
    println!(
        "\nA content backup by the command line: files of 10 to 30 kB, each in one IPFS block\n"
    );
    let node = Node::at(&stack.description().ipfs_node);
    for number in numbers {
        refill(&node, database, *number).await?;
        for what in ["fetched", "unchanged"] {
            let step = Step::begin("Backing up");
            let account = bench
                .account(&format!("'{}' run content", bench.holdfast.display()), 1)
                .await?;
            step.done(what);
            println!(
                "  {number:>6} files, {what:<9}: {:.1} s, {:.0} a second, {} MiB peak",
                account.seconds,
                f64::from(*number) / account.seconds,
                account.peak_kib.div_ceil(1024)
            );
        }
    }
    Ok(())
}

/// New files, unknown to earlier backups, with an item for each.
async fn refill(node: &Node<'_>, database: &Database, number: u32) -> Result<()> {
    let step = Step::begin(format!("Publishing {number} files"));
    let contents = database.collection::<Document>("contents");
    contents.drop().await?;
    let mut random = Random::new(number.into());
    for first in (0..number).step_by(AT_ONCE as usize) {
        let numbers = first..number.min(first + AT_ONCE);
        let files: Vec<_> = numbers.clone().map(|_| small_file(&mut random)).collect();
        let cids = node.add_many(&files).await?;
        ensure!(
            cids.len() == files.len(),
            "the IPFS node answered with {} CIDs for {} files",
            cids.len(),
            files.len()
        );
        let items = numbers.zip(&cids).map(|(id, cid)| item(id, cid));
        contents.insert_many(items).await?;
    }
    step.done("done");
    Ok(())
}

/// Large enough for an archive of several parts with a thousand files. Fewer would hide the memory
/// of the buffers.
fn small_file(random: &mut Random) -> Vec<u8> {
    let length = 10_000 + random.below(20_000).unsigned_abs();
    random.bytes_of(length as usize)
}

fn item(id: u32, cid: &str) -> Document {
    doc! {
        "contentId": i64::from(id),
        "title": format!("Item {id}"),
        "url": format!("ipfs://{cid}"),
        "storageType": "ipfs",
        "isRemoved": false,
    }
}
