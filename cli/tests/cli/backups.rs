//! From `init` to `restore`, unencrypted.

use super::place::{Place, UNREACHABLE};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_backed_up_comes_back() {
    let place = Place::new().await;
    let made = place.holdfast(&["init"]).expect(0).text();
    assert!(made.contains("made repository"), "{made}");
    let found = place.holdfast(&["init"]).expect(0).text();
    assert!(found.contains("found repository"), "{found}");

    let reported = place.holdfast(&["run", "database"]).expect(0);
    assert!(
        reported.text().contains("800 documents in 4 namespaces"),
        "{}",
        reported.text()
    );
    assert_eq!(reported.stderr, "", "quiet without a terminal");

    let listed = place.json(&["list"]);
    assert_eq!(listed.len(), 1);
    let id = listed[0]["backupId"].as_str().unwrap();
    assert_eq!(
        (&listed[0]["compressed"], &listed[0]["encrypted"]),
        (&true.into(), &false.into())
    );
    let table = place.holdfast(&["list"]).expect(0).text();
    assert!(
        table.contains(id) && table.contains("gzip") && table.contains("native"),
        "{table}"
    );
    assert!(
        table.contains("CET") || table.contains("CEST"),
        "times in BACKUP_TIMEZONE: {table}"
    );

    for level in ["exists", "checksum", "structure"] {
        let found = &place.json(&["verify", id, "--level", level])[0];
        assert_eq!(
            (&found["status"], &found["recorded"]),
            (&"passed".into(), &true.into()),
            "{found}"
        );
    }
    let shown = &place.json(&["show", id])[0];
    assert_eq!(shown["manifest"]["trigger"]["by"], "ada");
    assert_eq!(shown["job"]["verification"]["level"], "structure");
    let text = place.holdfast(&["show", id]).expect(0).text();
    assert!(
        text.contains("users") && text.contains("completed"),
        "{text}"
    );

    let copy = holdfast_testing::unique("copy");
    let (from, to) = (format!("{}.*", place.database), format!("{copy}.*"));
    let restore = [
        "restore",
        "database",
        id,
        "--ns-from",
        &from,
        "--ns-to",
        &to,
    ];
    let dry: Vec<&str> = restore.into_iter().chain(["--dry-run"]).collect();
    assert_eq!(place.json(&dry)[0]["dryRun"], true);
    assert!(
        place.content(&copy).await.is_empty(),
        "a dry run changes nothing"
    );
    place
        .holdfast(&restore)
        .expect(5)
        .saying(&["not confirmed", "--yes"]);
    assert!(
        place.content(&copy).await.is_empty(),
        "what was not confirmed is not done"
    );
    let yes: Vec<&str> = restore.into_iter().chain(["--yes"]).collect();
    let report = &place.json(&yes)[0];
    assert_eq!(report["faithful"], true, "{report}");
    place.assert_same_in(&copy).await;
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_is_not_empty_is_refused_without_an_option() {
    let place = Place::initialised().await;
    let id = place.back_up();
    let restore = ["restore", "database", &id, "--yes"];
    place
        .holdfast(&restore)
        .expect(5)
        .saying(&["users", "--drop", "--merge"]);
    let merged: Vec<&str> = restore.into_iter().chain(["--merge"]).collect();
    let report = &place.json(&merged)[0];
    let users = report["namespaces"]
        .as_array()
        .unwrap()
        .iter()
        .find(|n| n["to"] == format!("{}.users", place.database));
    assert_eq!(users.unwrap()["skipped"], 500, "{report}");
    let users = place
        .client
        .database(&place.database)
        .collection::<bson::Document>("users");
    users
        .delete_many(bson::doc! { "_id": { "$gt": 9 } })
        .await
        .unwrap();
    let dropped: Vec<&str> = restore.into_iter().chain(["--drop"]).collect();
    place.holdfast(&dropped).expect(0);
    assert_eq!(users.count_documents(bson::doc! {}).await.unwrap(), 500);
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_only_the_store_works_without_mongodb() {
    let mut place = Place::initialised().await;
    let id = place.back_up();
    place.env.insert("MONGODB_URI", UNREACHABLE.to_owned());
    place.env.remove("BACKUP_CATALOG_URI");
    assert_eq!(place.json(&["list"]).len(), 1);
    let shown = &place.json(&["show", &id])[0];
    assert_eq!(shown["manifest"]["backupId"], id.as_str());
    assert!(shown["catalogProblem"].is_string(), "{shown}");
    let found = &place.json(&["verify", &id, "--level", "structure"])[0];
    assert_eq!(
        (&found["status"], &found["recorded"]),
        (&"passed".into(), &false.into()),
        "{found}"
    );
    let copy = holdfast_testing::unique("copy");
    let (from, to) = (format!("{}.*", place.database), format!("{copy}.*"));
    place
        .env
        .insert("TARGET", holdfast_testing::parts().mongodb_uri.clone());
    let restore = [
        "restore",
        "database",
        &id,
        "--ns-from",
        &from,
        "--ns-to",
        &to,
        "--to-uri-env",
        "TARGET",
        "--yes",
    ];
    let warning = format!("nothing protects backup {id} from retention while it is read: ");
    place.holdfast(&restore).expect(0).saying(&[&warning]);
    place.assert_same_in(&copy).await;
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_of_the_command_line_comes_before_the_settings() {
    let mut place = Place::initialised().await;
    place.back_up();
    let store = place
        .env
        .insert("BACKUP_STORE", "nonsense".to_owned())
        .unwrap();
    assert_eq!(place.json(&["--store", &store, "list"]).len(), 1);
    place
        .holdfast(&["list"])
        .expect(3)
        .saying(&["BACKUP_STORE"]);
    place
        .holdfast(&["list", "--store", "nonsense"])
        .expect(2)
        .saying(&["s3://"]);
    place.remove().await;
}
