//! The job's row: the API shows it, so it must equal the manifest.

use holdfast_domain::{VerificationLevel, VerificationStatus};
use holdfast_operations::RunLimits;
use mongodb::bson::{Bson, Document, doc};

use super::breaking::{is_named, looked, passes};
use crate::support::database::Fixture;

const LEVEL: VerificationLevel = VerificationLevel::Exists;

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_says_something_else_than_the_manifest_is_named() {
    let f = Fixture::new(&[]).await;
    f.fill(10).await;
    let (job, other) = (f.back_up().await, f.back_up().await);
    let id = &job.backup_id;
    let rows = f
        .client
        .database(&f.catalog_database)
        .collection::<Document>("backup_jobs");
    let of_it = doc! { "_id": id.as_str() };
    let whole = rows.find_one(of_it.clone()).await.unwrap().unwrap();
    let key = other.key.clone().unwrap();
    for (field, wrong, name) in [
        ("size", Bson::Int64(7), "size"),
        ("originalSize", Bson::Int64(7), "originalSize"),
        ("checksum", Bson::from("07".repeat(32)), "checksum"),
        ("key", Bson::from(key.as_str()), "key"),
        ("compressed", Bson::Boolean(false), "compressed"),
        ("encrypted", Bson::Boolean(true), "encrypted"),
        ("namespaces", Bson::Array(Vec::new()), "namespaces"),
        ("engine", Bson::Null, "engine"),
        ("parentId", Bson::from("full_1_a"), "parentId"),
        // An invalid row.
        ("checksum", Bson::from("beef"), "backup_jobs"),
        ("createdAt", Bson::from("yesterday"), "backup_jobs"),
        ("trigger", Bson::Boolean(true), "backup_jobs"),
    ] {
        rows.update_one(of_it.clone(), doc! { "$set": { field: wrong } })
            .await
            .unwrap();
        is_named(&f.holdfast, id, LEVEL, &[name], field).await;
        rows.replace_one(of_it.clone(), whole.clone())
            .await
            .unwrap();
    }
    passes(&f.holdfast, id, LEVEL).await;
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_row_is_reported_and_the_backup_is_good() {
    let f = Fixture::new(&[]).await;
    f.fill(10).await;
    let id = f.back_up().await.backup_id;
    let rows = f
        .client
        .database(&f.catalog_database)
        .collection::<Document>("backup_jobs");
    rows.delete_one(doc! { "_id": id.as_str() }).await.unwrap();
    let found = looked(
        &f.holdfast,
        &id,
        VerificationLevel::Checksum,
        RunLimits::none(),
    )
    .await;
    assert_eq!(found.status, VerificationStatus::Passed);
    assert_eq!(found.notes, ["the catalogue has no job of it"]);
    f.remove().await;
}
