//! Memory does not grow with the file. The test measures a process of its own.

use std::time::Duration;

use holdfast_content::{FetchSettings, Fetched, Fetcher, locate};
use holdfast_domain::{ItemFailureCode, StorageType};
use holdfast_testing::{FileShape, IpfsNode, Origin, memory, origin::Answer};
use tokio::sync::mpsc;

const MIB: u64 = 1024 * 1024;

fn fetcher(gateways: &[&str], allowed: &[&str], max_file_size: u64) -> Fetcher {
    let settings = FetchSettings {
        gateways: gateways.iter().map(|text| text.parse().unwrap()).collect(),
        allowed_origins: allowed.iter().map(|text| text.parse().unwrap()).collect(),
        idle_timeout: Duration::from_secs(10),
        total_timeout: Duration::from_mins(2),
        max_file_size,
        per_host: 4,
    };
    Fetcher::new(settings).unwrap()
}

/// Downloads and discards, slowly at first, so that any queue fills up. Returns the number of
/// bytes.
async fn drained(
    fetcher: Fetcher,
    storage_type: StorageType,
    url: &str,
) -> (Result<Fetched, ItemFailureCode>, u64) {
    let location = locate(storage_type, url).unwrap();
    let (out, mut coming) = mpsc::channel(1);
    let fetching = async move {
        fetcher
            .fetch(&location, None, &out)
            .await
            .map_err(|error| error.code)
    };
    let draining = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let mut came = 0;
        while let Some(bytes) = coming.recv().await {
            came += bytes::Bytes::len(&bytes) as u64;
        }
        came
    };
    tokio::join!(fetching, draining)
}

#[tokio::test]
async fn memory_does_not_grow_with_the_file() {
    if !memory::runs_alone(module_path!(), "memory_does_not_grow_with_the_file") {
        return;
    }
    let node = IpfsNode::start();
    let cid = node
        .add(vec![b'x'; 96 * 1024 * 1024], &FileShape::v0())
        .await;
    let origin = Origin::start().await;
    origin.answer("/endless", [Answer::ok(vec![b'x'; 60_000]).endless()]);
    // Both ways once with a small file, so that only growth with the file is measured.
    let (_, came) = drained(
        fetcher(&[], &[origin.address()], MIB),
        StorageType::Gaia,
        &origin.url("/endless"),
    )
    .await;
    assert!(came <= MIB);
    memory::forget_peak();
    let before = memory::peak();
    let (fetched, came) = drained(
        fetcher(&[node.address()], &[], 100 * MIB),
        StorageType::Ipfs,
        &cid,
    )
    .await;
    assert!(matches!(fetched, Ok(Fetched::File(file)) if file.size == 96 * MIB));
    assert_eq!(came, 96 * MIB);
    let endless = fetcher(&[], &[origin.address()], 300 * MIB);
    let (fetched, came) = drained(endless, StorageType::Gaia, &origin.url("/endless")).await;
    assert_eq!(fetched, Err(ItemFailureCode::TooLarge));
    assert!(came > 299 * MIB && came <= 300 * MIB);
    let grown = memory::peak() - before;
    assert!(grown < 24 * MIB, "grown by {} MiB", grown / MIB);
}
