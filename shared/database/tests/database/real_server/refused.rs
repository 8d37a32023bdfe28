//! Refused restores and dry runs: nothing is written, and the report names each reason.

use bson::doc;
use holdfast_database::{
    Exclusion, Existing, NamespaceMap, RestoreFault, RestoreOptions, TargetState,
};

use super::{
    restore::{into, source},
    support::{Scratch, ids, restored},
};

#[tokio::test]
async fn a_target_that_is_not_empty_is_refused_before_anything_is_written() {
    let (source, archive) = source(&[("a", &[1, 2]), ("b", &[1])]).await;
    let target = Scratch::new().await;
    target
        .collection("b")
        .insert_one(doc! { "_id": 7 })
        .await
        .unwrap();
    let error = restored(
        &target.connection,
        archive,
        &into(&target, &source, Existing::Refuse),
    )
    .await
    .unwrap_err();
    assert!(
        matches!(&error.cause, RestoreFault::NotEmpty(names) if names.len() == 1),
        "{error}"
    );
    assert!(
        error.to_string().contains("(1 documents)") && error.to_string().contains("--merge"),
        "{error}"
    );
    assert!(error.incomplete.is_empty());
    assert_eq!(
        target.handle().list_collection_names().await.unwrap(),
        ["b"]
    );
    source.drop().await;
    target.drop().await;
}

#[tokio::test]
async fn an_empty_target_with_other_options_is_refused() {
    let (source, archive) = source(&[("a", &[1])]).await;
    let target = Scratch::new().await;
    target
        .handle()
        .create_collection("a")
        .capped(true)
        .size(4096)
        .await
        .unwrap();
    let options = into(&target, &source, Existing::Refuse);
    let error = restored(&target.connection, archive.clone(), &options)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("other options"), "{error}");
    target.collection("a").drop().await.unwrap();
    target.handle().create_collection("a").await.unwrap();
    let report = restored(&target.connection, archive, &options)
        .await
        .unwrap();
    assert_eq!(report.namespaces[0].target, TargetState::Empty);
    assert!(report.is_faithful());
    source.drop().await;
    target.drop().await;
}

#[tokio::test]
async fn a_dry_run_reports_and_writes_nothing() {
    let (source, archive) = source(&[("a", &[1]), ("b", &[1])]).await;
    let target = Scratch::new().await;
    target
        .collection("b")
        .insert_one(doc! { "_id": 7 })
        .await
        .unwrap();
    let options = RestoreOptions {
        dry_run: true,
        ..into(&target, &source, Existing::Drop)
    };
    let report = restored(&target.connection, archive, &options)
        .await
        .unwrap();
    let found: Vec<_> = report
        .namespaces
        .iter()
        .map(|namespace| namespace.target)
        .collect();
    assert_eq!(
        (report.dry_run, found),
        (true, vec![TargetState::Absent, TargetState::Replaced(1)])
    );
    assert_eq!(ids(&target, "b").await, [7]);
    assert_eq!(
        target.handle().list_collection_names().await.unwrap(),
        ["b"]
    );
    source.drop().await;
    target.drop().await;
}

#[tokio::test]
async fn a_dry_run_shows_its_plan_although_targets_are_in_the_way() {
    let (source, archive) = source(&[("a", &[1]), ("b", &[1]), ("c", &[1])]).await;
    let target = Scratch::new().await;
    target
        .collection("b")
        .insert_many([doc! { "_id": 7 }, doc! { "_id": 8 }])
        .await
        .unwrap();
    target
        .handle()
        .create_collection("c")
        .capped(true)
        .size(4096)
        .await
        .unwrap();
    let options = RestoreOptions {
        dry_run: true,
        ..into(&target, &source, Existing::Refuse)
    };
    let report = restored(&target.connection, archive.clone(), &options)
        .await
        .unwrap();
    let found: Vec<_> = report
        .namespaces
        .iter()
        .map(|namespace| namespace.target)
        .collect();
    assert_eq!(
        found,
        [
            TargetState::Absent,
            TargetState::InTheWay(2),
            TargetState::InTheWay(0)
        ]
    );
    let refused = restored(
        &target.connection,
        archive,
        &into(&target, &source, Existing::Refuse),
    )
    .await
    .unwrap_err();
    assert!(
        matches!(&refused.cause, RestoreFault::NotEmpty(names) if *names == report.in_the_way),
        "{refused}"
    );
    assert!(
        !report.is_faithful() && report.in_the_way[1].contains("other options"),
        "{report:#?}"
    );
    source.drop().await;
    target.drop().await;
}

#[tokio::test]
async fn an_impossible_request_is_refused_before_the_first_write() {
    let (source, archive) = source(&[("a", &[1]), ("b", &[1])]).await;
    let target = Scratch::new().await;
    let onto_one = NamespaceMap::parse(
        &[
            format!("{}.a", source.database),
            format!("{}.b", source.database),
        ],
        &[
            format!("{}.c", target.database),
            format!("{}.c", target.database),
        ],
    )
    .unwrap();
    let to_admin = NamespaceMap::parse(&["*.*".to_owned()], &["admin.*_*".to_owned()]).unwrap();
    let base = RestoreOptions::default();
    let catalogue = vec![Exclusion {
        database: target.database.clone(),
        collections: vec!["a".to_owned()],
    }];
    for options in [
        RestoreOptions {
            map: onto_one,
            ..base.clone()
        },
        RestoreOptions {
            map: to_admin,
            ..base.clone()
        },
        RestoreOptions {
            only: Some(vec!["no-such".to_owned()]),
            ..base.clone()
        },
        RestoreOptions {
            database: Some("no-such".to_owned()),
            ..base.clone()
        },
        RestoreOptions {
            map: target.map_from(&source.database),
            exclude: catalogue,
            ..base
        },
    ] {
        let error = restored(&target.connection, archive.clone(), &options)
            .await
            .unwrap_err();
        let is_refused = matches!(
            error.cause,
            RestoreFault::Invalid(_) | RestoreFault::Absent(_)
        );
        assert!(is_refused && error.incomplete.is_empty(), "{error}");
    }
    assert!(
        target
            .handle()
            .list_collection_names()
            .await
            .unwrap()
            .is_empty()
    );
    source.drop().await;
}
