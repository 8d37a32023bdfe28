//! After a kill at any point, the next run makes the same rows.

use std::{
    panic::AssertUnwindSafe,
    sync::atomic::{AtomicU32, Ordering},
};

use futures_util::FutureExt as _;
use holdfast_catalog::CatalogError;
use holdfast_domain::Timestamp;
use holdfast_operations::rebuild_catalog;
use holdfast_testing::{Fault, FaultStore, Operation};

use super::lost_catalogue::added;
use crate::support::{
    content::Fixture,
    long_lists::{self, List},
};

#[tokio::test(flavor = "multi_thread")]
async fn whichever_call_of_the_store_fails_the_next_run_makes_the_same_rows() {
    let f = Fixture::new(&[]).await;
    f.fill(3).await;
    f.back_up_both().await;
    f.back_up().await;
    let before = f.all_rows().await;
    for operation in [Operation::Get, Operation::Head, Operation::List] {
        for nth in 1.. {
            f.lose_the_catalogue().await;
            let faulty = FaultStore::new(f.store.store.clone());
            faulty.on(operation, nth, Fault::Unavailable);
            let Err(error) = rebuild_catalog(&f.over(faulty.clone()), &|_| {}).await else {
                assert!(
                    faulty.calls(operation) < nth,
                    "{operation:?} {nth} was not noticed"
                );
                break;
            };
            assert!(error.is_transient(), "{operation:?} {nth}: {error}");
            f.rebuild().await;
            assert_eq!(f.all_rows().await, before, "{operation:?} {nth}");
        }
    }
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_run_resumes_a_list_of_ten_thousand_items() {
    const ITEMS: u64 = 10_000;
    let f = Fixture::new(&[]).await;
    f.holdfast
        .repository
        .init(holdfast_repository::EncryptionMode::Off, Timestamp::now())
        .await
        .unwrap();
    let id = long_lists::commit(&f.holdfast, &List::of(0..ITEMS), ITEMS).await;
    f.lose_the_catalogue().await;
    let batches = AtomicU32::new(0);
    let die_in_the_fifth = |_: &_| assert!(batches.fetch_add(1, Ordering::SeqCst) < 4, "killed");
    let killed = AssertUnwindSafe(rebuild_catalog(&f.holdfast, &die_in_the_fifth))
        .catch_unwind()
        .await;
    assert!(killed.is_err());
    let catalog = &f.holdfast.catalog;
    let written = catalog.count_items(&id).await.unwrap();
    assert!(
        written > 0 && written < ITEMS / 2,
        "{written} of them were written by then, a batch at a time"
    );
    assert!(
        matches!(catalog.get(&id).await, Err(CatalogError::NotFound { .. })),
        "the job is the last word"
    );

    let report = f.rebuild().await;
    assert_eq!(
        (added(&report), report.items, report.added[0].items),
        (vec![&id], ITEMS - written, ITEMS)
    );
    assert_eq!(catalog.count_items(&id).await.unwrap(), ITEMS);
    let sources = f
        .rows("content_objects")
        .count_documents(mongodb::bson::doc! {})
        .await
        .unwrap();
    assert_eq!(sources, ITEMS);
    f.remove().await;
}
