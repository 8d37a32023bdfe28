//! The stores for a second copy pass the conformance suite of all stores, each on a real server of
//! its kind.

use holdfast_domain::Secret;
use holdfast_storage::{AzureKey, AzureStore};
use holdfast_testing::{AZURE_ACCOUNT, AZURE_KEY, SecondStore, conformance, parts, unique};

async fn conforms(second: SecondStore) {
    conformance::store(&*second.store).await;
    second.assert_empty().await;
    println!("conforms: {}", second.location);
    second.remove().await;
}

#[tokio::test]
async fn azure_blob_storage_conforms() {
    conforms(SecondStore::azure().await).await;
}

#[tokio::test]
async fn what_only_has_the_calls_of_s3_conforms() {
    conforms(SecondStore::interoperable().await).await;
}

#[tokio::test]
async fn s3_in_another_region_conforms() {
    conforms(SecondStore::in_another_region().await).await;
}

#[tokio::test]
async fn azure_conforms_in_small_pages_and_at_the_containers_root_too() {
    let container = unique("holdfast-test");
    let key = AzureKey::parse(&Secret::new(AZURE_KEY)).unwrap();
    let endpoint = parts().azure_endpoint().parse().unwrap();
    let store = AzureStore::new(AZURE_ACCOUNT, key, Some(&endpoint), &container, "")
        .unwrap()
        .with_page_size(7);
    store.create_container().await.unwrap();
    conformance::store(&store).await;
}
