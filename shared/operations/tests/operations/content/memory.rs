//! Memory does not depend on the number of items. Each test measures a process of its own.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Instant,
};

use async_trait::async_trait;
use holdfast_domain::{BackupType, DownloadMessage, Timestamp};
use holdfast_operations::{
    BackupRequest, DiscoveryOutcome, DownloadQueue, QueueError, RefusedMessage, RunLimits,
    discover_content, trigger,
};
use holdfast_testing::{MongoServer, TestStore, memory};
use mongodb::bson::{Document, doc};

use crate::support::holdfast::holdfast_on;

const MIB: u64 = 1024 * 1024;

/// Documents inserted, and items discovered, in one call.
const PAGE: i64 = 1000;

/// Counts its messages.
#[derive(Default)]
struct Counted(AtomicUsize);

#[async_trait]
impl DownloadQueue for Counted {
    async fn send(&self, messages: &[DownloadMessage]) -> Result<Vec<RefusedMessage>, QueueError> {
        self.0.fetch_add(messages.len(), Ordering::SeqCst);
        Ok(Vec::new())
    }
}

/// Discovers a platform of this many items, on a separate server, and returns the peak of memory.
async fn planned(items: i64) -> u64 {
    let server = MongoServer::start(&[]).await;
    let client = mongodb::Client::with_uri_str(server.uri("", "platform"))
        .await
        .unwrap();
    let item = |number: i64| {
        let url = format!("https://hub.example/{number}.bin");
        doc! { "contentId": number, "title": format!("Item {number}"), "url": url, "storageType": "gaia", "isRemoved": false }
    };
    for page in 0..items / PAGE {
        let documents: Vec<Document> = (page * PAGE..(page + 1) * PAGE).map(item).collect();
        client
            .database("platform")
            .collection("contents")
            .insert_many(documents)
            .await
            .unwrap();
    }
    let store = TestStore::new().await;
    let h = holdfast_on(&server, &store).await;
    h.catalog.ensure_indexes().await.unwrap();
    let backup_id = trigger(&h, BackupType::Content, None, Timestamp::now())
        .await
        .unwrap()
        .backup_id;
    let (queue, begun) = (Counted::default(), Instant::now());
    memory::forget_peak();
    let outcome = discover_content(
        &h,
        &queue,
        BackupRequest::Triggered { backup_id },
        RunLimits::none(),
    )
    .await
    .unwrap();
    let peak = memory::peak();
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "{items} items planned in {seconds:.1} s, {} MiB at the most",
        peak / MIB
    );
    assert!(
        matches!(outcome, DiscoveryOutcome::Queued { counts, .. } if i64::try_from(counts.expected).unwrap() == items)
    );
    assert_eq!(
        queue.0.load(Ordering::SeqCst),
        usize::try_from(items).unwrap()
    );
    store.remove().await;
    peak
}

#[tokio::test]
async fn memory_does_not_grow_with_the_number_of_items() {
    if !memory::runs_alone(
        module_path!(),
        "memory_does_not_grow_with_the_number_of_items",
    ) {
        return;
    }
    // Connections, the allocator and a first page exist by then.
    let few = planned(5 * PAGE).await;
    let many = planned(50 * PAGE).await;
    assert!(
        many < few + 8 * MIB,
        "{} MiB, and then {} MiB",
        few / MIB,
        many / MIB
    );
}

/// Run by hand, with `HOLDFAST_TEST_MONGODB_SERVER` naming a `mongod`. The small server of the
/// tests reads every match of a query for one, and needs longer for a million than the catalogue
/// waits.
#[tokio::test]
#[ignore = "it takes minutes, and a server that stops at a query's first match"]
async fn a_million_items_are_planned_with_memory_flat() {
    if !memory::runs_alone(
        module_path!(),
        "a_million_items_are_planned_with_memory_flat",
    ) {
        return;
    }
    let few = planned(5 * PAGE).await;
    let million = planned(1000 * PAGE).await;
    assert!(
        million < few + 8 * MIB,
        "{} MiB, and then {} MiB",
        few / MIB,
        million / MIB
    );
}
