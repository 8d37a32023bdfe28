//! Exit code 9: the work is done, and a person must act. Each cause in docs/operations.md that is
//! not a lost manifest (`lost_manifests.rs`) or a new or empty source (`sources.rs`).

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use bson::{DateTime, Document, doc};
use holdfast_testing::{MongoProxy, Rule, losing_position};

use super::place::Place;

/// Documents of 50 kB in the capped collection: more than a dump holds in memory to read it again.
const CAPPED: i32 = 250;

/// Backs up with exit code 9, because of this warning and no other.
#[track_caller]
fn warned(place: &Place, expected: &str) {
    let ended = place.holdfast(&["run", "database", "--json"]).expect(9);
    let job: serde_json::Value = serde_json::from_str(ended.text().trim()).unwrap();
    let warnings = job["warnings"].as_array().unwrap();
    assert_eq!(
        (&job["status"], warnings.len()),
        (&"completed".into(), 1),
        "{job}"
    );
    assert!(warnings[0].as_str().unwrap().contains(expected), "{job}");
    assert!(job["message"].as_str().unwrap().contains(expected), "{job}");
}

#[tokio::test(flavor = "multi_thread")]
async fn data_more_than_five_minutes_old() {
    let mut place = Place::initialised().await;
    let is_behind = Arc::new(AtomicBool::new(false));
    let behind = Arc::clone(&is_behind);
    let proxy = MongoProxy::start(move |command| {
        let is_hello = ["hello", "isMaster", "ismaster"].iter().any(|name| command.contains_key(*name));
        let hour_ago = DateTime::from_millis(DateTime::now().timestamp_millis() - 3_600_000);
        let secondary =
            doc! { "isWritablePrimary": false, "secondary": true, "lastWrite": { "lastWriteDate": hour_ago } };
        if is_hello && behind.load(Ordering::SeqCst) { Rule::Change(secondary) } else { Rule::Pass }
    })
    .await;
    place.env.insert("MONGODB_URI", proxy.uri(&place.database));
    place.back_up();
    is_behind.store(true, Ordering::SeqCst);
    warned(
        &place,
        "seconds old: the last write applied by the server member was at",
    );
    is_behind.store(false, Ordering::SeqCst);
    place.holdfast(&["run", "database"]).expect(0);
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_that_the_last_backup_had_and_this_one_lacks() {
    let place = Place::initialised().await;
    place.back_up();
    place
        .client
        .database(&place.database)
        .collection::<Document>("contents")
        .drop()
        .await
        .unwrap();
    warned(
        &place,
        &format!("{}.contents. Check the user's privileges", place.database),
    );
    place.holdfast(&["run", "database"]).expect(0);
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_capped_collection_that_rolled_over_while_it_was_read() {
    let mut place = Place::initialised().await;
    let platform = place.client.database(&place.database);
    platform
        .create_collection("capped")
        .capped(true)
        .size(100_000_000)
        .await
        .unwrap();
    let documents = (0..CAPPED).map(|number| doc! { "_id": number, "text": "x".repeat(50_000) });
    platform
        .collection("capped")
        .insert_many(documents)
        .await
        .unwrap();
    let left = Arc::new(AtomicU64::new(0));
    let proxy = MongoProxy::start(losing_position("capped", &left)).await;
    place.env.insert("MONGODB_URI", proxy.uri(&place.database));
    place.back_up();
    left.store(1, Ordering::SeqCst);
    warned(
        &place,
        &format!(
            "overwrote documents of these capped collections while they were read: {}.capped",
            place.database
        ),
    );
    assert_eq!(left.load(Ordering::SeqCst), 0);
    place.holdfast(&["run", "database"]).expect(0);
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exclusion_that_matches_nothing() {
    let mut place = Place::initialised().await;
    place.env.insert(
        "BACKUP_DATABASE_EXCLUDE_COLLECTIONS",
        "empty,contnets".to_owned(),
    );
    warned(
        &place,
        "BACKUP_DATABASE_EXCLUDE_COLLECTIONS has names without a collection in the source: \"contnets\"",
    );
    place
        .env
        .insert("BACKUP_DATABASE_EXCLUDE_COLLECTIONS", "empty".to_owned());
    place.holdfast(&["run", "database"]).expect(0);
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_temporary_collection_that_is_left_out() {
    let place = Place::initialised().await;
    place.back_up();
    let left = place
        .client
        .database(&place.database)
        .collection::<Document>("tmp.agg_out.left");
    left.insert_one(doc! { "_id": 1 }).await.unwrap();
    warned(
        &place,
        "not in the dump, because the server lists them as temporary",
    );
    left.drop().await.unwrap();
    place.holdfast(&["run", "database"]).expect(0);
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_faulty_repository_file() {
    let place = Place::initialised().await;
    let id = place.back_up();
    let copy = place.object("repository.copy.json").await;
    place
        .put_object("repository.copy.json", b"{".to_vec())
        .await;
    let ended = place.holdfast(&["verify", &id]).expect(9);
    assert!(
        ended.text().contains("repository.copy.json"),
        "{}",
        ended.text()
    );
    place.put_object("repository.copy.json", copy).await;
    place.holdfast(&["verify", &id]).expect(0);
    place.remove().await;
}
