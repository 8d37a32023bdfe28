//! What a restore needs before it drops or replaces a target with data: the consent of its caller,
//! and room for the beat.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use bson::{Document, doc};
use holdfast_database::{
    Confirmation, DatabaseError, Existing, RestoreError, RestoreFault, RestoreOptions,
    RestoreResult, TargetState,
};
use holdfast_testing::{MongoProxy, Rule, server_error};

use super::{
    replace::{live, names, replacing, result_of},
    support::{Namespace, Scratch, archive_of, connect, ids, restored},
};

/// Consents so many times, and counts how often it was asked.
fn consenting(times: u32) -> (Confirmation, Arc<AtomicU32>) {
    let asked = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&asked);
    let confirmation = Confirmation::new(move || {
        let nth = count.fetch_add(1, Ordering::SeqCst) + 1;
        Box::pin(async move {
            if nth <= times {
                Ok(())
            } else {
                Err("the backup is being deleted".to_owned())
            }
        })
    });
    (confirmation, asked)
}

fn two_collections() -> Vec<u8> {
    archive_of(&[
        Namespace::of_ids("a", 0..5),
        Namespace::of_ids("b", 0..5),
        Namespace::of_ids("new", 0..5),
    ])
}

async fn two_live() -> Scratch {
    let target = Scratch::new().await;
    for name in ["a", "b"] {
        live(&target, name, 100..108).await;
    }
    target
}

/// The error of a `--drop-first` restore with this many consents, and the number of questions.
async fn refused_drop_first(target: &Scratch, consents: u32) -> (RestoreError, Arc<AtomicU32>) {
    let (confirmation, asked) = consenting(consents);
    let options = RestoreOptions {
        existing: Existing::DropFirst,
        confirmation: Some(confirmation),
        ..replacing(target)
    };
    (
        restored(&target.connection, two_collections(), &options)
            .await
            .unwrap_err(),
        asked,
    )
}

#[tokio::test]
async fn no_target_is_dropped_first_without_consent() {
    let target = two_live().await;
    let (error, _) = refused_drop_first(&target, 0).await;
    assert!(
        matches!(&error.cause, RestoreFault::Unprotected(reason) if reason == "the backup is being deleted"),
        "{error}"
    );
    assert!(error.incomplete.is_empty(), "{error}");
    for name in ["a", "b"] {
        assert_eq!(
            ids(&target, name).await,
            (100..108).collect::<Vec<_>>(),
            "{name}"
        );
    }
    target.drop().await;
}

#[tokio::test]
async fn a_refusal_after_the_first_drop_names_the_incomplete_target_and_advises_a_newer_backup() {
    let target = two_live().await;
    let (error, asked) = refused_drop_first(&target, 1).await;
    assert_eq!(
        asked.load(Ordering::SeqCst),
        2,
        "once for each target with data"
    );
    assert!(
        matches!(&error.cause, RestoreFault::Unprotected(_)),
        "{error:?}"
    );
    assert_eq!(error.incomplete, [format!("{}.a", target.database)]);
    let expected = format!(
        "the backup is being deleted. Restore a newer backup. Incomplete now, and without indexes: {}.a",
        target.database
    );
    assert_eq!(error.to_string(), expected, "this backup is no remedy");
    assert_eq!(ids(&target, "a").await, [0; 0], "it was dropped");
    assert_eq!(ids(&target, "b").await, (100..108).collect::<Vec<_>>());
    assert_eq!(names(&target).await, ["a", "b"], "nothing more was created");
    target.drop().await;
}

#[tokio::test]
async fn a_target_is_replaced_with_consent_and_kept_without() {
    let target = two_live().await;
    target
        .handle()
        .create_collection("seen")
        .view_on("other")
        .await
        .unwrap();
    let view = Namespace::view("seen", "a", vec![doc! { "$limit": 2 }]);
    let archive = archive_of(&[
        Namespace::of_ids("a", 0..5),
        Namespace::of_ids("b", 0..5),
        view,
    ]);
    let (confirmation, asked) = consenting(1);
    let options = RestoreOptions {
        confirmation: Some(confirmation),
        ..replacing(&target)
    };
    let report = restored(&target.connection, archive, &options)
        .await
        .unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 3, "once for each target");
    assert_eq!(result_of(&report, "a").result, RestoreResult::Restored);
    for name in ["b", "seen"] {
        let kept = result_of(&report, name);
        assert_eq!(
            (kept.result, &kept.failures[..]),
            (
                RestoreResult::Kept,
                &["the backup is being deleted. Restore a newer backup".to_owned()][..]
            )
        );
    }
    assert_eq!(ids(&target, "a").await, (0..5).collect::<Vec<_>>());
    assert_eq!(ids(&target, "b").await, (100..108).collect::<Vec<_>>());
    assert_eq!(
        names(&target).await,
        ["a", "b", "seen"],
        "no scratch collection is left"
    );
    target.drop().await;
}

#[tokio::test]
async fn a_new_target_needs_no_consent() {
    let target = Scratch::new().await;
    let (confirmation, asked) = consenting(0);
    let options = RestoreOptions {
        confirmation: Some(confirmation),
        ..replacing(&target)
    };
    let report = restored(&target.connection, two_collections(), &options)
        .await
        .unwrap();
    assert!(
        report.is_faithful() && asked.load(Ordering::SeqCst) == 0,
        "{report:#?}"
    );
    assert!(
        report
            .namespaces
            .iter()
            .all(|namespace| namespace.target == TargetState::Absent)
    );
    target.drop().await;
}

/// A server without room for the beat of a restore: its disk is full, or its quota is used up.
fn without_room(
    code: i32,
    message: &'static str,
) -> impl Fn(&Document) -> Rule + Send + Sync + 'static {
    move |command| {
        let is_beat = command
            .get_str("insert")
            .is_ok_and(|name| name.starts_with("holdfast_restore_"));
        if is_beat {
            Rule::Answer(server_error(code, "NoRoom", message))
        } else {
            Rule::Pass
        }
    }
}

#[tokio::test]
async fn a_server_without_room_ends_the_restore_once_and_keeps_every_target() {
    for (code, message) in [
        (
            14031,
            "available disk space of 1 bytes is less than required minimum of 524288000",
        ),
        (
            8000,
            "you are over your space quota, using 513 MB of 512 MB",
        ),
    ] {
        let target = two_live().await;
        let proxy = MongoProxy::start(without_room(code, message)).await;
        let connection = connect(&proxy.uri(&target.database)).await;
        let error = restored(&connection, two_collections(), &replacing(&target))
            .await
            .unwrap_err();
        let RestoreFault::Database(DatabaseError::NoRoom(text)) = &error.cause else {
            panic!("{error:?}")
        };
        assert!(
            text.contains("disk is full, or its quota is exhausted: free space"),
            "{text}"
        );
        assert!(
            text.contains(message) && error.incomplete.is_empty(),
            "{error}"
        );
        assert_eq!(names(&target).await, ["a", "b"], "nothing was created");
        for name in ["a", "b"] {
            assert_eq!(
                ids(&target, name).await,
                (100..108).collect::<Vec<_>>(),
                "{name}"
            );
        }
        target.drop().await;
    }
}
