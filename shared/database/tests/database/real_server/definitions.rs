//! Definitions of collections from other versions and tools, and of unusual content: the restored
//! definition, and the report.

use bson::{Bson, Document, RawDocumentBuf, doc};
use futures_util::TryStreamExt;
use holdfast_archive::{BlockWriter, Metadata, NamespaceKind, Prelude, PreludeNamespace};
use holdfast_database::{
    Change, Existing, NamespaceMap, RestoreOptions, RestoreReport, RestoredNamespace,
    UnknownOptions, plan, try_dump,
};
use holdfast_domain::settings::CollectionFilter;
use holdfast_testing::definition;

use super::support::{Scratch, dump_of, dumped, everything, restored, summary_of};

/// Restores an archive of the database `from` into a database of this test.
async fn restored_from(from: &str, archive: Vec<u8>, target: &Scratch) -> RestoreReport {
    let options = RestoreOptions {
        map: target.map_from(from),
        ..RestoreOptions::default()
    };
    restored(&target.connection, archive, &options)
        .await
        .unwrap()
}

fn changes(namespace: &RestoredNamespace) -> Vec<String> {
    namespace
        .adjustments
        .iter()
        .map(|change| format!("{} {:?}", change.name, change.change))
        .collect()
}

/// The options of a collection, and its indexes, from the server's lists.
async fn listed(target: &Scratch, collection: &str) -> (Document, Vec<Document>) {
    let command = doc! { "listCollections": 1, "filter": { "name": collection }, "cursor": {} };
    let cursor = target
        .handle()
        .run_cursor_command(command)
        .await
        .unwrap()
        .with_type::<RawDocumentBuf>();
    let found: Vec<RawDocumentBuf> = cursor.try_collect().await.unwrap();
    let options = found[0]
        .get_document("options")
        .unwrap()
        .try_into()
        .unwrap();
    let command = doc! { "listIndexes": collection, "cursor": {} };
    let Ok(cursor) = target.handle().run_cursor_command(command).await else {
        return (options, Vec::new());
    };
    let indexes: Vec<RawDocumentBuf> = cursor.with_type().try_collect().await.unwrap();
    (
        options,
        indexes
            .iter()
            .map(|index| Document::try_from(&**index).unwrap())
            .collect(),
    )
}

fn index<'a>(indexes: &'a [Document], name: &str) -> &'a Document {
    indexes
        .iter()
        .find(|index| index.get_str("name").is_ok_and(|found| found == name))
        .unwrap_or_else(|| panic!("{name} of {indexes:?}"))
}

/// An archive of one database with these metadata for its collections, and two documents each.
fn archive_of(metadata: &[Metadata]) -> Vec<u8> {
    let namespaces = metadata
        .iter()
        .map(|metadata| PreludeNamespace::new("shop", metadata))
        .collect();
    let mut writer = BlockWriter::new(Prelude {
        namespaces,
        ..Prelude::default()
    })
    .unwrap();
    let mut archive = Vec::new();
    writer.begin(&mut archive).unwrap();
    for (number, metadata) in metadata.iter().enumerate() {
        for id in 0..if metadata.kind == NamespaceKind::View {
            0
        } else {
            2
        } {
            writer
                .documents(&mut archive, number, &doc! { "_id": id }.to_vec().unwrap())
                .unwrap();
        }
        writer.close(&mut archive, number).unwrap();
    }
    writer.finish().unwrap();
    archive
}

fn metadata(name: &str, options: Document) -> Metadata {
    let kind = if options.contains_key("viewOn") {
        NamespaceKind::View
    } else {
        NamespaceKind::Collection
    };
    Metadata {
        options,
        collection_name: name.to_owned(),
        kind,
        ..Metadata::default()
    }
}

#[tokio::test]
async fn options_of_other_versions_are_left_out_or_translated_and_everything_is_restored() {
    for (name, from, collection, change) in [
        ("autoindexid-false", "t03", "c", "autoIndexId LeftOut"),
        ("autoindexid-true", "t03", "c", "autoIndexId LeftOut"),
        (
            "option-recordIdsReplicated",
            "t19",
            "c_recordIdsReplicated",
            "recordIdsReplicated LeftOut",
        ),
        (
            "option-recordPreImages",
            "t19",
            "c_recordPreImages",
            "recordPreImages Converted",
        ),
        (
            "option-usePowerOf2Sizes",
            "t19",
            "c_usePowerOf2Sizes",
            "usePowerOf2Sizes LeftOut",
        ),
    ] {
        let target = Scratch::new().await;
        let report = restored_from(from, definition(name), &target).await;
        assert!(report.is_faithful(), "{name}: {report:#?}");
        let adjusted = &report.namespaces[0];
        assert_eq!(
            (adjusted.inserted, changes(adjusted)),
            (3, vec![change.to_owned()]),
            "{name}"
        );
        assert!(
            report.namespaces[1..]
                .iter()
                .all(|other| other.inserted > 0 && other.adjustments.is_empty())
        );
        let (options, _) = listed(&target, collection).await;
        assert_eq!(
            options.get_bool("capped").unwrap_or(false),
            from == "t03",
            "{name}: {options}"
        );
        if name == "option-recordPreImages" {
            assert_eq!(
                options,
                doc! { "changeStreamPreAndPostImages": { "enabled": true } }
            );
        }
        target.drop().await;
    }
}

#[tokio::test]
async fn an_archive_cannot_create_a_collection_that_it_names_in_its_options() {
    let target = Scratch::new().await;
    let map = NamespaceMap::parse(
        &["t02.names".to_owned()],
        &[format!("{}.other", target.database)],
    )
    .unwrap();
    let options = RestoreOptions {
        map,
        ..RestoreOptions::default()
    };
    let report = restored(
        &target.connection,
        definition("create-in-options"),
        &options,
    )
    .await
    .unwrap();
    assert!(report.is_faithful(), "{report:#?}");
    assert_eq!(changes(&report.namespaces[0]), ["create LeftOut"]);
    assert_eq!(
        target.handle().list_collection_names().await.unwrap(),
        ["other"]
    );
    let (options, _) = listed(&target, "other").await;
    assert!(
        options.get_bool("capped").unwrap() && options.contains_key("max"),
        "{options}"
    );
    target.drop().await;
}

#[tokio::test]
async fn legacy_index_options_are_left_out_and_the_indexes_are_there() {
    let target = Scratch::new().await;
    let report = restored_from("t01", definition("legacy-index"), &target).await;
    assert!(report.is_faithful(), "{report:#?}");
    assert_eq!(
        changes(&report.namespaces[0]),
        [
            "v LeftOut",
            "ns LeftOut",
            "background LeftOut",
            "safe LeftOut",
            "dropDups LeftOut"
        ]
    );
    let (_, indexes) = listed(&target, "users").await;
    assert!(index(&indexes, "b_1").get_bool("unique").unwrap());
    assert_eq!(
        index(&indexes, "a_1")
            .get_document("key")
            .unwrap()
            .keys()
            .collect::<Vec<_>>(),
        ["a"]
    );
    target.drop().await;
}

#[tokio::test]
async fn legacy_index_keys_are_converted_to_their_direction() {
    let target = Scratch::new().await;
    let report = restored_from("t06", definition("odd-keys"), &target).await;
    assert!(report.is_faithful(), "{report:#?}");
    let converted = report.namespaces[0]
        .adjustments
        .iter()
        .filter(|change| change.change == Change::Converted);
    assert_eq!(
        converted
            .map(|change| change.name.as_str())
            .collect::<Vec<_>>(),
        ["a", "b", "c", "d", "e"]
    );
    let (_, indexes) = listed(&target, "c").await;
    for (name, field, direction) in [
        ("a_", "a", 1),
        ("b_0", "b", 1),
        ("c_true", "c", 1),
        ("d_small", "d", -1),
        ("e_2.5", "e", 1),
        ("f_-1", "f", -1),
    ] {
        let value = index(&indexes, name)
            .get_document("key")
            .unwrap()
            .get(field)
            .unwrap()
            .clone();
        assert!(
            matches!(value, Bson::Int32(found) if found == direction),
            "{name}: {value}"
        );
    }
    assert_eq!(indexes.len(), 7);
    target.drop().await;
}

#[tokio::test]
async fn an_empty_target_with_the_indexes_of_an_old_archive_is_filled() {
    let target = Scratch::new().await;
    assert!(
        restored_from("t01", definition("legacy-index"), &target)
            .await
            .is_faithful()
    );
    target
        .collection("users")
        .delete_many(doc! {})
        .await
        .unwrap();
    let report = restored_from("t01", definition("legacy-index"), &target).await;
    assert!(
        report.is_faithful() && report.namespaces[0].inserted == 3,
        "{report:#?}"
    );
    target.drop().await;
}

#[tokio::test]
async fn users_and_roles_are_reported_and_the_rest_is_restored() {
    for name in ["users-roles", "users-roles-old"] {
        let target = Scratch::new().await;
        let report = restored_from("t08", definition(name), &target).await;
        assert!(report.is_faithful(), "{report:#?}");
        let restored: Vec<_> = report
            .namespaces
            .iter()
            .map(|namespace| namespace.from.as_str())
            .collect();
        assert_eq!(restored, ["t08.orders"], "{name}");
        assert_eq!(report.left_out.len(), 3);
        assert!(
            report
                .left_out
                .iter()
                .all(|left| left.reason.contains("--restoreDbUsersAndRoles"))
        );
        assert_eq!(
            target.handle().list_collection_names().await.unwrap(),
            ["orders"]
        );
        target.drop().await;
    }
}

#[tokio::test]
async fn what_old_tools_wrote_is_read_as_they_meant_it() {
    let target = Scratch::new().await;
    let report = restored_from("t46", definition("legacy-regex-in"), &target).await;
    assert!(report.is_faithful(), "{report:#?}");
    let seen = target
        .collection("v_in")
        .count_documents(doc! {})
        .await
        .unwrap();
    let meant = doc! { "name": { "$in": [bson::Regex { pattern: "^a".try_into().unwrap(), options: "".try_into().unwrap() }, "b1"] } };
    assert_eq!(
        seen,
        target
            .collection("base")
            .count_documents(meant)
            .await
            .unwrap()
    );
    assert!(seen > 0);
    target.drop().await;

    let target = Scratch::new().await;
    let report = restored_from("t45", definition("legacy-nan"), &target).await;
    assert!(report.is_faithful(), "{report:#?}");
    let (_, indexes) = listed(&target, "base").await;
    assert_eq!(
        index(&indexes, "at_1")
            .get("expireAfterSeconds")
            .and_then(Bson::as_i32),
        Some(i32::MAX)
    );
    assert!(changes(&report.namespaces[0]).contains(&"expireAfterSeconds Converted".to_owned()));
    target.drop().await;
}

#[tokio::test]
async fn database_names_that_the_server_takes_are_restored_and_dumped() {
    for (number, name) in ["shop:eu", "a|b", "what?", "st*r", "a<b>"]
        .into_iter()
        .enumerate()
    {
        let mut target = Scratch::new().await;
        let from = format!("{}.*", NamespaceMap::literal(name));
        let database = format!("{}{name}", target.database);
        let map = NamespaceMap::parse(
            &[from],
            &[format!("{}.*", NamespaceMap::literal(&database))],
        )
        .unwrap();
        target.database.clone_from(&database);
        let options = RestoreOptions {
            map,
            ..RestoreOptions::default()
        };
        let archive = definition(&format!("dbname-{number}"));
        let report = restored(&target.connection, archive, &options)
            .await
            .unwrap();
        assert!(report.is_faithful(), "{report:#?}");
        assert_eq!(
            (
                report.namespaces[0].to.as_str(),
                report.namespaces[0].inserted
            ),
            (&*format!("{database}.c"), 3)
        );

        let encoded: Vec<String> = database
            .bytes()
            .map(|byte| format!("%{byte:02X}"))
            .collect();
        let uri = super::support::with_database(
            &holdfast_testing::parts().mongodb_uri,
            &encoded.concat(),
        );
        let (archive, _) = dumped(&super::support::connect(&uri).await).await;
        assert_eq!(summary_of(&archive).namespaces[0].db, database);
        target.drop().await;
    }
}

#[tokio::test]
async fn one_namespace_that_cannot_be_restored_leaves_the_others_alone() {
    let mut prelude = Prelude {
        namespaces: vec![
            PreludeNamespace::new("shop", &metadata("broken", doc! {})),
            PreludeNamespace::new("shop", &metadata("good", doc! {})),
        ],
        ..Prelude::default()
    };
    prelude.namespaces[0].metadata = r#"{"options":{"capped":tru}}"#.to_owned();
    let mut writer = BlockWriter::new(prelude).unwrap();
    let mut archive = Vec::new();
    writer.begin(&mut archive).unwrap();
    for number in 0..2 {
        writer
            .documents(&mut archive, number, &doc! { "_id": 1 }.to_vec().unwrap())
            .unwrap();
        writer.close(&mut archive, number).unwrap();
    }
    writer.finish().unwrap();
    let target = Scratch::new().await;
    let report = restored_from("shop", archive, &target).await;
    assert!(!report.is_faithful());
    let of = |name: &str| {
        report
            .namespaces
            .iter()
            .find(|namespace| namespace.from == name)
            .unwrap()
    };
    assert_eq!(
        of("shop.broken").failures,
        ["its metadata cannot be read: it is not JSON: expected a value at byte 21"]
    );
    assert_eq!(
        (of("shop.good").inserted, of("shop.good").failures.len()),
        (1, 0)
    );
    assert_eq!(
        target.handle().list_collection_names().await.unwrap(),
        ["good"]
    );
    target.drop().await;
}

#[tokio::test]
async fn an_unknown_option_is_passed_on_or_left_out_as_asked() {
    let archive = archive_of(&[metadata("odd", doc! { "madeUp": true })]);
    let target = Scratch::new().await;
    let map = target.map_from("shop");
    let options = RestoreOptions {
        map: map.clone(),
        dry_run: true,
        ..RestoreOptions::default()
    };
    let planned = restored(&target.connection, archive.clone(), &options)
        .await
        .unwrap();
    assert_eq!(changes(&planned.namespaces[0]), ["madeUp PassedOn"]);
    let options = RestoreOptions {
        map,
        unknown_options: UnknownOptions::LeaveOut,
        ..RestoreOptions::default()
    };
    let report = restored(&target.connection, archive, &options)
        .await
        .unwrap();
    assert!(report.is_faithful(), "{report:#?}");
    assert_eq!(
        (
            report.namespaces[0].inserted,
            changes(&report.namespaces[0])
        ),
        (2, vec!["madeUp LeftOut".to_owned()])
    );
    target.drop().await;
}

/// Views, a validator and a partial filter with content like extended JSON.
async fn with_wrappers_as_data(source: &Scratch) -> Vec<(&'static str, Document)> {
    let views = [
        (
            "v_oid",
            doc! { "$set": { "owner": { "$literal": { "$oid": "0123456789abcdef01234567" } } } },
        ),
        (
            "v_bad_oid",
            doc! { "$set": { "owner": { "$literal": { "$oid": "not hex" } } } },
        ),
        (
            "v_date",
            doc! { "$set": { "at": { "$literal": { "$date": 5_i64 } } } },
        ),
        (
            "v_long",
            doc! { "$set": { "n": { "$literal": { "$numberLong": "5" } } } },
        ),
        (
            "v_binary",
            doc! { "$set": { "b": { "$literal": { "$binary": "AP8=", "$type": "00" } } } },
        ),
    ];
    source
        .collection("things")
        .insert_one(doc! { "_id": 1 })
        .await
        .unwrap();
    let mut wanted = Vec::new();
    for (name, stage) in views {
        let pipeline = vec![Bson::Document(stage)];
        let create = doc! { "create": name, "viewOn": "things", "pipeline": pipeline.clone() };
        source.handle().run_command(create).await.unwrap();
        wanted.push((name, doc! { "viewOn": "things", "pipeline": pipeline }));
    }
    wanted
}

#[tokio::test]
async fn metadata_that_contain_wrappers_as_data_come_back_as_they_were() {
    let source = Scratch::new().await;
    let wanted = with_wrappers_as_data(&source).await;
    let trial = try_dump(&source.connection, &everything()).await.unwrap();
    assert_eq!(
        (trial.namespaces, trial.refused.len()),
        (wanted.len() + 1, 0)
    );
    let (archive, _) = dumped(&source.connection).await;
    let target = Scratch::new().await;
    let options = RestoreOptions {
        map: target.map_from(&source.database),
        existing: Existing::Refuse,
        ..RestoreOptions::default()
    };
    let report = restored(&target.connection, archive, &options)
        .await
        .unwrap();
    assert!(report.is_faithful(), "{report:#?}");
    for (name, options) in wanted {
        assert_eq!(listed(&target, name).await.0, options, "{name}");
    }
    source.drop().await;
    target.drop().await;
}

#[tokio::test]
async fn a_document_with_wrappers_as_data_is_tried_and_dumped() {
    let source = Scratch::new().await;
    let odd = doc! { "_id": 1, "owner": { "$oid": "not hex" }, "at": { "$date": "never" } };
    let inserted = source
        .handle()
        .run_command(doc! { "insert": "odd", "documents": [odd] })
        .await;
    assert!(inserted.unwrap().get("writeErrors").is_none());
    let trial = try_dump(&source.connection, &everything()).await.unwrap();
    assert!(trial.refused.is_empty(), "{trial:?}");
    assert_eq!(dumped(&source.connection).await.1.documents(), 1);
    source.drop().await;
}

#[tokio::test]
async fn an_excluded_collection_is_never_examined() {
    let source = Scratch::new().await;
    with_wrappers_as_data(&source).await;
    let mut selection = everything();
    selection.collections = CollectionFilter::Only(vec!["things".to_owned()]);
    assert_eq!(
        plan(&source.connection, &selection, 1)
            .await
            .unwrap()
            .prelude()
            .namespaces
            .len(),
        1
    );
    assert_eq!(
        dump_of(&source.connection, &selection)
            .await
            .unwrap()
            .1
            .namespaces
            .len(),
        1
    );
    source.drop().await;
}
