//! Unusual names and metadata of collections: the restored definition, and the report.

use bson::{Bson, Document, doc};
use holdfast_archive::{BlockWriter, Prelude, PreludeNamespace};
use holdfast_database::{Existing, NamespaceMap, RestoreOptions, plan, try_dump};
use holdfast_domain::settings::CollectionFilter;
use holdfast_testing::definition;

use super::{
    definitions::{listed, metadata, restored_from},
    support::{Scratch, dump_of, dumped, everything, restored, summary_of},
};

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
