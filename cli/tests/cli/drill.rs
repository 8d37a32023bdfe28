//! `holdfast verify --level drill`.

use mongodb::bson::{Document, doc};

use crate::place::Place;

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_reports_each_collection_and_is_recorded() {
    let mut place = Place::initialised().await;
    let id = place.back_up();
    place
        .holdfast(&["verify", &id, "--level", "drill"])
        .expect(3)
        .saying(&["BACKUP_DRILL_URI", "--drill-uri-env"]);
    place
        .holdfast(&["verify", &id, "--drill-uri-env", "SCRATCH"])
        .expect(2)
        .saying(&["--level drill"]);
    place
        .env
        .insert("SCRATCH", holdfast_testing::parts().mongodb_uri.clone());
    let drill = [
        "verify",
        &id,
        "--level",
        "drill",
        "--drill-uri-env",
        "SCRATCH",
    ];
    let found = &place.json(&drill)[0];
    assert_eq!(
        (&found["status"], &found["level"]),
        (&"passed".into(), &"drill".into()),
        "{found}"
    );
    assert_eq!(found["recorded"], true);
    let drilled = found["collections"].as_array().unwrap();
    let users = drilled
        .iter()
        .find(|one| one["namespace"] == format!("{}.users", place.database))
        .unwrap();
    assert_eq!(
        (&users["expected"], &users["restored"]),
        (&500.into(), &500.into()),
        "{users}"
    );
    let job = &place.json(&["show", &id])[0];
    assert_eq!(job["job"]["verification"]["level"], "drill", "{job}");
    place
        .env
        .insert("BACKUP_DRILL_URI", place.env["SCRATCH"].clone());
    let said = place.holdfast(&drill[..4]).expect(0);
    assert!(
        said.text()
            .contains("500 of 500 documents, the same content"),
        "{}",
        said.text()
    );
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_differs_from_its_manifest_is_damage_too() {
    let place = Place::initialised().await;
    let id = place.back_up();
    let catalog = place.env["BACKUP_CATALOG_URI"].clone();
    let client = mongodb::Client::with_uri_str(&catalog).await.unwrap();
    let jobs = client
        .default_database()
        .unwrap()
        .collection::<Document>("backup_jobs");
    jobs.update_one(
        doc! { "_id": id.as_str() },
        doc! { "$set": { "size": 1_i64 } },
    )
    .await
    .unwrap();
    let found = place.holdfast(&["verify", &id, "--json"]).expect(6);
    assert!(
        found
            .text()
            .contains("the catalogue's row differs from its manifest: size"),
        "{}",
        found.text()
    );
    place.remove().await;
}
