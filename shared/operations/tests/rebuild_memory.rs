//! Memory does not depend on the length of a list. The only test of its program, so that only its
//! own memory is measured.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "it serves the other tests of rebuilding too")]
#[path = "operations/support/long_lists.rs"]
mod long_lists;

use std::{sync::Arc, time::Instant};

use holdfast_catalog::Catalog;
use holdfast_domain::{Timestamp, settings::StoreLocation};
use holdfast_operations::{Holdfast, Preflight, Silent, rebuild_catalog};
use holdfast_repository::{EncryptionMode, Keyring, Repository};
use holdfast_testing::{MongoServer, TestStore};

use self::long_lists::List;

const MIB: u64 = 1024 * 1024;

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

/// Rebuilds the catalogue of one backup of this many items, on a separate server, and returns the
/// peak of memory.
async fn rebuilt(items: u64) -> u64 {
    let server = MongoServer::start(&[]).await;
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
    h.repository
        .init(EncryptionMode::Off, Timestamp::now())
        .await
        .unwrap();
    long_lists::commit(&h, &List::of(0..items), items).await;
    let begun = Instant::now();
    forget_peak();
    let report = rebuild_catalog(&h, &|_| {}).await.unwrap();
    let peak = peak();
    println!(
        "{items} items in {:.1} s, {} MiB at the most",
        begun.elapsed().as_secs_f64(),
        peak / MIB
    );
    assert_eq!((report.items, report.sources), (items, items));
    store.remove().await;
    peak
}

#[tokio::test]
async fn memory_does_not_grow_with_the_length_of_a_list() {
    // Connections, the allocator and a first batch exist by then.
    let few = rebuilt(3_000).await;
    let many = rebuilt(30_000).await;
    assert!(
        many < few + 8 * MIB,
        "{} MiB, and then {} MiB",
        few / MIB,
        many / MIB
    );
}
