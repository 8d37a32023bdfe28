//! `restore --drop` over live data: the plan, the exit code of a partial restore, and the data
//! after a refusal.

use holdfast_archive::{BlockWriter, Metadata, NamespaceKind, Prelude, PreludeNamespace};
use mongodb::bson::{Document, doc};
use serde_json::Value;

use super::place::Place;

/// An archive of the database `shop`: a valid collection, and one that servers refuse to create.
fn mixture() -> Vec<u8> {
    let namespace = |name: &str, options: bson::Document| {
        let metadata = Metadata {
            options,
            indexes: vec![bson::doc! { "v": 2, "key": { "_id": 1 }, "name": "_id_" }],
            uuid: None,
            collection_name: name.to_owned(),
            kind: NamespaceKind::Collection,
        };
        PreludeNamespace::new("shop", &metadata)
    };
    let prelude = Prelude {
        concurrent_collections: 1,
        server_version: "8.2.0".to_owned(),
        tool_version: "test".to_owned(),
        namespaces: vec![
            namespace("refused", bson::doc! { "noSuchOption": 1 }),
            namespace("taken", bson::doc! {}),
        ],
    };
    let mut writer = BlockWriter::new(prelude).unwrap();
    let mut archive = Vec::new();
    writer.begin(&mut archive).unwrap();
    for number in 0..2 {
        let documents: Vec<u8> = (0..5)
            .flat_map(|id| bson::doc! { "_id": id }.to_vec().unwrap())
            .collect();
        writer.documents(&mut archive, number, &documents).unwrap();
        writer.close(&mut archive, number).unwrap();
    }
    writer.finish().unwrap();
    archive
}

async fn count(place: &Place, collection: &str) -> u64 {
    let collection = place
        .client
        .database(&place.database)
        .collection::<Document>(collection);
    collection.count_documents(doc! {}).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_of_a_part_exits_8_and_names_what_kept_its_target() {
    let place = Place::new().await;
    for name in ["refused", "taken"] {
        let live = place.client.database(&place.database).collection(name);
        live.insert_many((100..108).map(|id| doc! { "_id": id }))
            .await
            .unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mixture.archive");
    std::fs::write(&file, mixture()).unwrap();
    let to = format!("{}.*", place.database);
    let restore = [
        "restore",
        "archive",
        file.to_str().unwrap(),
        "--ns-from",
        "shop.*",
        "--ns-to",
        &to,
        "--drop",
    ];
    let with = |more: &[&'static str]| {
        restore
            .into_iter()
            .chain(more.iter().copied())
            .collect::<Vec<_>>()
    };

    let planned = place.holdfast(&with(&["--dry-run"])).expect(0).text();
    assert!(
        planned.contains("8 documents, to be replaced")
            && planned.contains("space for a second copy of 2 targets"),
        "{planned}"
    );
    assert_eq!(
        (count(&place, "refused").await, count(&place, "taken").await),
        (8, 8)
    );

    let ended = place.holdfast(&with(&["--yes", "--json"])).expect(8);
    let report: Value = serde_json::from_slice(&ended.stdout).unwrap();
    let [refused, taken] = [0, 1].map(|number| &report["namespaces"][number]);
    assert_eq!(
        (&refused["result"], &taken["result"]),
        (&"kept".into(), &"restored".into()),
        "{report}"
    );
    assert!(
        refused["failures"][0]
            .as_str()
            .unwrap()
            .contains("noSuchOption"),
        "{report}"
    );
    assert!(
        ended.stderr.contains("\"exitCode\":8") && ended.stderr.contains(".refused"),
        "{}",
        ended.stderr
    );
    assert_eq!(
        (count(&place, "refused").await, count(&place, "taken").await),
        (8, 5)
    );

    let shown = place
        .holdfast(&with(&["--yes"]))
        .expect(8)
        .saying(&["incomplete", ".refused", "--only"])
        .text();
    assert!(
        shown.contains("8 documents, kept") && shown.contains("NOT RESTORED"),
        "{shown}"
    );
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ways_to_treat_a_target_exclude_each_other() {
    let place = Place::new().await;
    for two in [
        ["--drop", "--drop-first"],
        ["--drop-first", "--merge"],
        ["--drop", "--merge"],
    ] {
        place
            .holdfast(&["restore", "archive", "x", two[0], two[1]])
            .expect(2)
            .saying(&["cannot be used with"]);
    }
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_lists_what_a_killed_restore_left() {
    let place = Place::initialised().await;
    let database = place.client.database(&place.database);
    let beat = doc! { "at": bson::DateTime::from_millis(1_700_000_000_000) };
    database
        .collection("holdfast_restore_0a1b2c3d_beat")
        .insert_one(beat)
        .await
        .unwrap();
    database
        .collection("holdfast_restore_0a1b2c3d_0123456789ab")
        .insert_one(doc! { "_id": 1 })
        .await
        .unwrap();
    let shown = place.holdfast(&["doctor"]).text();
    assert!(
        shown.contains("holdfast_restore_0a1b2c3d_0123456789ab was left by a killed restore"),
        "{shown}"
    );
    let id = place.back_up();
    let report = &place.json(&["restore", "database", &id, "--drop", "--yes"])[0];
    assert_eq!(
        report["removedScratch"].as_array().unwrap().len(),
        1,
        "{report}"
    );
    let shown = place.holdfast(&["doctor"]).text();
    assert!(!shown.contains("holdfast_restore_"), "{shown}");
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_retention_deletes_drops_no_target_first() {
    let place = Place::initialised().await;
    let id = place.back_up();
    let catalog = place
        .client
        .database(&place.catalog().await.location().database);
    let jobs = catalog.collection::<bson::Document>("backup_jobs");
    let marked = jobs
        .update_one(
            bson::doc! {},
            bson::doc! { "$set": { "status": "deleted" } },
        )
        .await
        .unwrap();
    assert_eq!(marked.modified_count, 1);
    let before = place.content(&place.database).await;
    let restore = ["restore", "database", &id, "--yes", "--drop-first"];
    place
        .holdfast(&restore)
        .expect(5)
        .saying(&["retention has begun to delete", "pass --drop"]);
    assert_eq!(place.content(&place.database).await, before);
    let dry = ["restore", "database", &id, "--drop-first", "--dry-run"];
    place
        .holdfast(&dry)
        .expect(0)
        .saying(&["nothing protects backup"]);
    let drop = ["restore", "database", &id, "--yes", "--drop"];
    place
        .holdfast(&drop)
        .expect(0)
        .saying(&["nothing protects backup"]);
    place.remove().await;
}
