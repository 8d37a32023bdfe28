//! Memory does not depend on the number of items. The only test of its program, so that only its
//! own memory is measured.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use async_trait::async_trait;
use holdfast_catalog::Catalog;
use holdfast_domain::{BackupType, DownloadMessage, Timestamp, settings::StoreLocation};
use holdfast_operations::{
    BackupRequest, DiscoveryOutcome, DownloadQueue, Holdfast, Preflight, QueueError,
    RefusedMessage, RunLimits, Silent, discover_content, trigger,
};
use holdfast_repository::{Keyring, Repository};
use holdfast_testing::{MongoServer, TestStore};
use mongodb::bson::{Document, doc};

const MIB: u64 = 1024 * 1024;

/// Documents inserted, and items discovered, in one call.
const PAGE: i64 = 1000;

/// The highest memory of this process since [`forget_peak`], in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<u64>()
        .unwrap()
        * 1024
}

/// Resets the peak, so that memory freed earlier does not hide a later peak.
fn forget_peak() {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
}

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
    let variables = [
        ("MONGODB_URI", "platform"),
        ("BACKUP_CATALOG_URI", "catalog"),
    ];
    let variables = variables.map(|(name, database)| (name.to_owned(), server.uri("", database)));
    let settings = holdfast_domain::settings::read(variables).settings.unwrap();
    let store = TestStore::new().await;
    let location = StoreLocation::S3 {
        bucket: store.bucket.clone(),
        prefix: format!("{}/", store.prefix),
    };
    let h = Holdfast {
        repository: Repository::new(Arc::clone(&store.store), location, Keyring::new(None, None)),
        catalog: Catalog::from_settings(&settings).await.unwrap(),
        observer: Arc::new(Silent),
        settings: Arc::new(settings),
        preflight: Preflight::default(),
    };
    h.catalog.ensure_indexes().await.unwrap();
    let backup_id = trigger(&h, BackupType::Content, None, Timestamp::now())
        .await
        .unwrap()
        .backup_id;
    let (queue, begun) = (Counted::default(), Instant::now());
    forget_peak();
    let outcome = discover_content(
        &h,
        &queue,
        BackupRequest::Triggered { backup_id },
        RunLimits::none(),
    )
    .await
    .unwrap();
    let peak = peak();
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
    let few = planned(5 * PAGE).await;
    let million = planned(1000 * PAGE).await;
    assert!(
        million < few + 8 * MIB,
        "{} MiB, and then {} MiB",
        few / MIB,
        million / MIB
    );
}
