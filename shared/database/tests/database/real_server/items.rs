//! The platform's content items, streamed: the selected ones, in pages, from any position, and
//! across a lost server.

use std::collections::HashSet;

use bson::{Document, doc};
use holdfast_database::{Connection, ContentItems, DatabaseError, ListedItem};
use holdfast_domain::StorageType;

use super::{
    resume::ids,
    support::{Proxy, Scratch, Server, connect},
};

const COLLECTION: &str = "contents";

/// An item for every kind of `_id`, its text large enough for several batches.
fn items() -> Vec<Document> {
    let item = |(number, id): (usize, bson::Bson)| {
        let number = i32::try_from(number).unwrap();
        let url = format!("ipfs://{number}/{}", "x".repeat(8_000));
        doc! { "_id": id, "contentId": number, "storageType": "ipfs", "url": url, "isRemoved": false }
    };
    ids().into_iter().enumerate().map(item).collect()
}

async fn all(
    connection: &Connection,
    database: &str,
    page: usize,
) -> Result<Vec<ListedItem>, DatabaseError> {
    let mut items = ContentItems::new(connection, database, COLLECTION, None)?;
    let mut found = Vec::new();
    loop {
        let page = items.next_page(page).await?;
        if page.is_empty() {
            return Ok(found);
        }
        found.extend(page);
    }
}

fn distinct(items: &[ListedItem]) -> usize {
    items
        .iter()
        .map(|listed| listed.item.content_id.as_str())
        .collect::<HashSet<_>>()
        .len()
}

#[tokio::test]
async fn items_are_those_that_are_not_removed_and_on_ipfs_or_gaia() {
    let scratch = Scratch::new().await;
    let documents = [
        doc! { "_id": 1, "contentId": 1, "storageType": "ipfs", "url": "a", "isRemoved": false },
        doc! { "_id": 2, "contentId": 2, "storageType": "gaia", "url": "b" },
        doc! { "_id": 3, "contentId": 3, "storageType": "ipfs", "url": "c", "isRemoved": true },
        doc! { "_id": 4, "contentId": 4, "storageType": "arweave", "url": "d", "isRemoved": false },
        doc! { "_id": 5, "contentId": 5, "url": "e" },
        doc! { "_id": 6, "storageType": "ipfs", "isRemoved": null },
    ];
    scratch
        .collection(COLLECTION)
        .insert_many(documents)
        .await
        .unwrap();
    let found = all(&scratch.connection, &scratch.database, 2)
        .await
        .unwrap();
    let told: Vec<_> = found
        .iter()
        .map(|listed| (listed.item.content_id.as_str(), listed.item.storage_type))
        .collect();
    assert_eq!(
        told,
        [
            ("1", StorageType::Ipfs),
            ("2", StorageType::Gaia),
            ("6", StorageType::Ipfs)
        ]
    );
    assert_eq!(found[2].problem.as_deref(), Some("it has no url"));
    scratch.drop().await;
}

#[tokio::test]
async fn a_collection_that_is_not_there_has_no_items() {
    let scratch = Scratch::new().await;
    let mut items =
        ContentItems::new(&scratch.connection, &scratch.database, "nowhere", None).unwrap();
    assert!(items.next_page(10).await.unwrap().is_empty());
    assert_eq!(items.position(), None);
    scratch.drop().await;
}

#[tokio::test]
async fn pages_taken_up_again_at_any_position_are_all_items_once() {
    let scratch = Scratch::new().await;
    scratch
        .collection(COLLECTION)
        .insert_many(items())
        .await
        .unwrap();
    let whole = all(&scratch.connection, &scratch.database, 1000)
        .await
        .unwrap();
    assert_eq!(
        (whole.len(), distinct(&whole)),
        (items().len(), items().len())
    );
    let (mut position, mut found) = (None::<String>, Vec::new());
    loop {
        // A new reader for each page, like after a crash.
        let from = position.as_deref();
        let mut reader =
            ContentItems::new(&scratch.connection, &scratch.database, COLLECTION, from).unwrap();
        let page = reader.next_page(37).await.unwrap();
        if page.is_empty() {
            assert_eq!(reader.position(), position);
            break;
        }
        found.extend(page);
        position = reader.position();
    }
    assert_eq!(found, whole);
    scratch.drop().await;
}

#[tokio::test]
async fn a_broken_read_resumes_after_the_last_item() {
    let scratch = Scratch::new().await;
    scratch
        .collection(COLLECTION)
        .insert_many(items())
        .await
        .unwrap();
    let proxy = Proxy::start(&holdfast_testing::parts().mongodb_uri).await;
    let connection = connect(&proxy.uri(&scratch.database)).await;
    proxy.cut(4, 1_000_000);
    let found = all(&connection, &scratch.database, 50).await.unwrap();
    assert_eq!(proxy.cuts_left(), 0, "not every cut was made");
    assert_eq!(
        (found.len(), distinct(&found)),
        (items().len(), items().len())
    );
    scratch.drop().await;
}

#[tokio::test]
async fn a_server_that_stays_away_ends_the_read_with_an_error_that_may_pass() {
    let mut server = Server::start(&[]).await;
    let connection = connect(&server.uri("", "platform")).await;
    let collection = connection
        .client()
        .database("platform")
        .collection(COLLECTION);
    collection.insert_many(items()).await.unwrap();
    // More than a batch, so another request is necessary.
    for more in 0..12_i32 {
        let document = |n: i32| doc! { "_id": format!("more {more} {n}"), "storageType": "gaia", "url": "y".repeat(8_000) };
        collection
            .insert_many((0..250).map(document))
            .await
            .unwrap();
    }
    let mut reader = ContentItems::new(&connection, "platform", COLLECTION, None).unwrap();
    assert_eq!(reader.next_page(10).await.unwrap().len(), 10);
    server.kill();
    let mut outcome = Ok(Vec::new());
    for _ in 0..10_000 {
        outcome = reader.next_page(1000).await;
        if outcome.as_ref().map_or(true, Vec::is_empty) {
            break;
        }
    }
    let error = outcome.unwrap_err();
    assert!(
        error.is_transient() && error.to_string().contains("content items"),
        "{error}"
    );
}
