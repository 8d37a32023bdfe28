//! The command line has no default source, and the repository remembers the sources of its backups.

use mongodb::bson::{Document, doc};

use super::place::{Place, uri_of};

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_a_database_does_not_guess_one() {
    let mut place = Place::initialised().await;
    let id = place.back_up();
    for uri in [None, Some("")] {
        match uri {
            Some(uri) => place.env.insert("MONGODB_URI", uri.to_owned()),
            None => place.env.remove("MONGODB_URI"),
        };
        for words in [
            &["run", "database"][..],
            &["run", "content"],
            &["run", "full"],
            &["dump"],
            &["doctor"],
            &["restore", "database", &id, "--yes"],
        ] {
            place
                .holdfast(words)
                .expect(3)
                .saying(&["MONGODB_URI is not set"]);
        }
        // The catalogue has a setting of its own.
        for words in [
            &["list"][..],
            &["status"],
            &["show", &id],
            &["verify", &id],
            &["cleanup", "--dry-run"],
        ] {
            place.holdfast(words).expect(0);
        }
    }
    let catalog = place.env.remove("BACKUP_CATALOG_URI").unwrap();
    for words in [
        &["status"][..],
        &["cleanup", "--dry-run"],
        &["policy", "show"],
        &["cancel", &id],
        &["export"],
    ] {
        place
            .holdfast(words)
            .expect(3)
            .saying(&["neither MONGODB_URI nor BACKUP_CATALOG_URI is set"]);
    }
    let shown = &place.json(&["show", &id])[0];
    assert!(
        shown["catalogProblem"]
            .as_str()
            .unwrap()
            .contains("MONGODB_URI"),
        "{shown}"
    );
    place.env.insert("BACKUP_CATALOG_URI", catalog);
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_another_source_is_made_and_warned_about_three_times() {
    let mut place = Place::initialised().await;
    place.back_up();
    let other = holdfast_testing::unique("misspelt");
    place
        .client
        .database(&other)
        .collection("users")
        .insert_one(doc! { "_id": 1 })
        .await
        .unwrap();
    place.env.insert("MONGODB_URI", uri_of(&other));
    let warned = place.holdfast(&["run", "database"]).expect(9).saying(&[
        "warning: ",
        "first backup of",
        &other,
    ]);
    assert!(
        warned.text().contains("1 document"),
        "the backup is made: {}",
        warned.text()
    );
    place
        .holdfast(&["run", "database"])
        .expect(9)
        .saying(&["second backup of"]);
    place
        .holdfast(&["run", "database"])
        .expect(9)
        .saying(&["third backup of"]);
    place.holdfast(&["run", "database"]).expect(0);
    let listed = place.json(&["list"]);
    assert_eq!(listed.len(), 5);
    let of = |index: usize| listed[index]["source"]["uri"].as_str().unwrap();
    assert!(
        of(0).ends_with(&format!("/{other}")) && of(4).ends_with(&format!("/{}", place.database)),
        "{listed:?}"
    );
    let table = place.holdfast(&["list"]).expect(0).text();
    assert!(
        table.contains("SOURCE") && table.contains(&format!("/{other}\n")),
        "{table}"
    );
    place.client.database(&other).drop().await.unwrap();
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_suddenly_empty_is_warned_about_every_time() {
    let place = Place::initialised().await;
    let id = place.back_up();
    let doctor = place.holdfast(&["doctor"]);
    assert!(
        doctor
            .text()
            .contains(&format!("{id} holds 800 documents, the source about 800")),
        "{}",
        doctor.text()
    );
    place.client.database(&place.database).drop().await.unwrap();
    for _ in 0..2 {
        let words = ["run", "database", "--json"];
        let ended = place.holdfast(&words).expect(9);
        let job: serde_json::Value = serde_json::from_str(ended.text().trim()).unwrap();
        let warnings = job["warnings"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(serde_json::Value::as_str);
        let is_told = |text: &str| {
            text.contains("holds no documents") && text.contains(&id) && text.contains("800")
        };
        assert!(warnings.into_iter().any(is_told), "{job}");
    }
    place
        .holdfast(&["run", "full"])
        .expect(9)
        .saying(&["holds no documents"]);
    let reported = place.holdfast(&["doctor"]).expect(1).text();
    assert!(
        reported.contains("BAD   last backup") && reported.contains(&id),
        "{reported}"
    );
    let users = place
        .client
        .database(&place.database)
        .collection::<Document>("users");
    users
        .insert_many((0..300).map(|n| doc! { "_id": n }))
        .await
        .unwrap();
    let reported = place.holdfast(&["doctor"]).text();
    assert!(
        reported.contains("WARN  last backup") && reported.contains("the source about 300"),
        "less than half: {reported}"
    );
    place.holdfast(&["run", "database"]).expect(0);
    place.remove().await;
}
