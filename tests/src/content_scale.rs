//! Many files: within a time limit, with memory independent of their number, and with messages
//! delivered three times.

use std::{collections::BTreeMap, io::Write as _, time::Instant};

use futures_util::TryStreamExt as _;
use holdfast_testing::{FileShape, IpfsNode};
use mongodb::bson::{Bson, Document, doc};
use serde_json::{Value, json};

use crate::stage::{
    Deployment, FUNCTIONS, Piece, Process, Variant, noise, restored_items, small_file,
};

const FEW: i64 = 200;
const MANY: i64 = 3_000;
/// As many as keep two processors busy.
const WORKERS: u32 = 8;
/// Larger than all buffers of a file, or of an archive.
const LARGE: usize = 40 << 20;
/// Allowed extra memory for many files. Allocators are inexact, and a busy machine has one or two
/// more parts of 8 MiB in flight.
const SLACK_KIB: u64 = 32 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn three_thousand_files_are_backed_up_with_the_memory_of_two_hundred() {
    let node = IpfsNode::start();
    let variant = Deployment::named("many")
        .fetching_from(&node)
        .deploy()
        .await;
    variant.download_by(WORKERS).await;
    let mut few = pieces_from(&node, 0, FEW - 1).await;
    let film = noise(LARGE);
    few.push(Piece::on_gaia(
        FEW - 1,
        node.put_gaia("film.mp4", film.clone()).await,
        film,
    ));
    variant.publish(&few).await;
    backed_up(&variant, FEW, 0).await;
    let with_few = peaks(&variant);
    // An allocator keeps its memory, so the next run uses new processes.
    for (_, process) in processes_of_content(&variant) {
        process.kill();
    }
    variant.publish(&pieces_from(&node, FEW, MANY).await).await;
    let id = backed_up(&variant, MANY, FEW).await;
    let with_many = peaks(&variant);
    print(&format!(
        "peak memory in KiB: {with_few:?} with {FEW} files, {with_many:?} with {MANY} more"
    ));
    for (function, few) in &with_few {
        let many = with_many[function];
        assert!(
            many <= few + SLACK_KIB,
            "{function} grew from {few} to {many} KiB"
        );
    }
    variant.finish(&id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_come_three_times_and_out_of_order_make_the_same_manifest() {
    let node = IpfsNode::start();
    let variant = Deployment::named("thrice")
        .fetching_from(&node)
        .deploy()
        .await;
    let pieces = pieces_from(&node, 0, 120).await;
    variant.publish(&pieces).await;
    let once = variant.api.back_up_of("content").await;
    let folder = variant
        .content_comes_back(once["backupId"].as_str().unwrap(), &pieces)
        .await;
    let expected = what_lasts(restored_items(&folder));

    forget_everything_held(&variant).await;
    let id = variant.queued().await;
    let ids: Vec<String> = pieces.iter().map(|piece| piece.id.to_string()).collect();
    // Neighbours far apart, then backwards: no batch has the messages of another.
    let shuffled: Vec<String> = (0..ids.len())
        .map(|place| ids[place * 7 % ids.len()].clone())
        .collect();
    variant.send_downloads(&id, &shuffled).await;
    variant
        .send_downloads(&id, &ids.iter().rev().cloned().collect::<Vec<_>>())
        .await;
    assert_eq!(variant.messages().await, 3 * ids.len());
    variant.release_downloads().await;
    let thrice = variant.api.settled(&id).await;
    assert_eq!(
        (&thrice["status"], &thrice["items"]["done"]),
        (&json!("completed"), &json!(ids.len())),
        "{thrice}"
    );
    let folder = variant.content_comes_back(&id, &pieces).await;
    assert_eq!(what_lasts(restored_items(&folder)), expected);
    assert_eq!(objects(&variant).await, ids.len(), "one of each file");
    variant.finish(&id).await;
}

/// Most of them on Gaia: IPFS takes twice as many calls of a slow local AWS.
async fn pieces_from(node: &IpfsNode, from: i64, count: i64) -> Vec<Piece> {
    let files: Vec<Vec<u8>> = (from..from + count).map(small_file).collect();
    let cids = node.add_many(&files, &FileShape::v1()).await;
    let mut pieces = Vec::new();
    for ((id, file), cid) in (from..).zip(files).zip(cids) {
        pieces.push(if id % 10 == 0 {
            Piece::on_ipfs(id, cid, file)
        } else {
            Piece::on_gaia(
                id,
                node.put_gaia(&format!("{id}.txt"), file.clone()).await,
                file,
            )
        });
    }
    pieces
}

/// Backs up this number of new files, in addition to the earlier ones.
async fn backed_up(variant: &Variant, new: i64, before: i64) -> String {
    let began = Instant::now();
    let id = variant.api.triggered_of("content").await;
    let job = variant.api.settled(&id).await;
    let seconds = began.elapsed().as_secs_f64();
    assert_eq!(
        (&job["status"], &job["items"]["expected"]),
        (&json!("completed"), &json!(new + before)),
        "{job}"
    );
    assert_eq!(
        (&job["items"]["done"], &job["items"]["unchanged"]),
        (&json!(new), &json!(before)),
        "{job}"
    );
    let each_second = f64::from(i32::try_from(new).unwrap()) / seconds;
    print(&format!(
        "{new} files in {seconds:.1} s, {each_second:.0} a second"
    ));
    id
}

/// Not by a macro, because the test harness hides its output for a passed test.
fn print(what: &str) {
    writeln!(std::io::stderr(), "content at scale: {what}").unwrap();
}

/// Peak memory of each function's processes.
fn peaks(variant: &Variant) -> BTreeMap<&'static str, u64> {
    let mut peaks = BTreeMap::new();
    for (function, process) in processes_of_content(variant) {
        let peak = peaks.entry(function).or_default();
        *peak = process.peak_kib().unwrap_or_default().max(*peak);
    }
    assert_eq!(peaks.len(), 3, "{peaks:?}");
    peaks
}

fn processes_of_content(variant: &Variant) -> Vec<(&'static str, Process)> {
    let of_content = FUNCTIONS
        .into_iter()
        .filter(|function| function.starts_with("content-"));
    let processes = |function| {
        Process::all_of(&variant.function(function))
            .into_iter()
            .map(move |one| (function, one))
    };
    of_content.flat_map(processes).collect()
}

/// Items without the fields that differ between runs: time and attempts.
fn what_lasts(items: Vec<Value>) -> Vec<Value> {
    let mut items: Vec<Value> = items
        .into_iter()
        .map(|mut item| {
            item.as_object_mut().unwrap().remove("attempts");
            item["file"].as_object_mut().unwrap().remove("fetchedAt");
            item
        })
        .collect();
    items.sort_by_key(|item| item["contentId"].as_str().unwrap().to_owned());
    items
}

/// Deletes all rows and objects of stored files, as before the first backup.
async fn forget_everything_held(variant: &Variant) {
    let held = variant.rows("content_objects");
    let rows: Vec<Document> = held
        .find(doc! {})
        .await
        .unwrap()
        .try_collect()
        .await
        .unwrap();
    let key = |object: &str, row: &Document| match row.get_document("file").unwrap().get(object) {
        Some(Bson::Document(object)) => Some(object.get_str("key").unwrap().to_owned()),
        _ => None,
    };
    for key in rows
        .iter()
        .flat_map(|row| ["object", "dag"].map(|object| key(object, row)))
        .flatten()
    {
        holdfast_testing::s3_client()
            .delete_object()
            .bucket(&variant.bucket)
            .key(key)
            .send()
            .await
            .unwrap();
    }
    held.delete_many(doc! {}).await.unwrap();
    assert_eq!(objects(variant).await, 0);
}

async fn objects(variant: &Variant) -> usize {
    variant
        .keys()
        .await
        .into_iter()
        .filter(|key| key.starts_with("content/objects/"))
        .count()
}
