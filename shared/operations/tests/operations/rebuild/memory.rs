//! Memory does not depend on the length of a list. The test measures a process of its own.

use std::time::Instant;

use holdfast_domain::Timestamp;
use holdfast_operations::rebuild_catalog;
use holdfast_repository::EncryptionMode;
use holdfast_testing::{MongoServer, TestStore, memory};

use crate::support::{
    holdfast::holdfast_on,
    long_lists::{self, List},
};

const MIB: u64 = 1024 * 1024;

/// Rebuilds the catalogue of one backup of this many items, on a separate server, and returns the
/// peak of memory.
async fn rebuilt(items: u64) -> u64 {
    let server = MongoServer::start(&[]).await;
    let store = TestStore::new().await;
    let h = holdfast_on(&server, &store).await;
    h.repository
        .init(EncryptionMode::Off, Timestamp::now())
        .await
        .unwrap();
    long_lists::commit(&h, &List::of(0..items), items).await;
    let begun = Instant::now();
    memory::forget_peak();
    let report = rebuild_catalog(&h, &|_| {}).await.unwrap();
    let peak = memory::peak();
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
    if !memory::runs_alone(
        module_path!(),
        "memory_does_not_grow_with_the_length_of_a_list",
    ) {
        return;
    }
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
