use holdfast_catalog::Settled;
use holdfast_domain::{
    BackupType, Encoding, HostState, ItemCounts, ItemFailureCode, ItemStatus, ObjectKey,
    Sha256Digest,
};

use crate::harness::{at, found, id, item_failure, kept, on_catalog};

#[tokio::test]
async fn adding_the_same_items_again_changes_nothing() {
    on_catalog(async |fixture| {
        let backup = id(BackupType::Content, 1);
        let added = fixture.add(&backup, &["a", "b"]).await;
        assert!(added.iter().all(|item| item.status == ItemStatus::Pending));
        assert_eq!(added[1].item, found("b", "doc-b").item);
        let settled = Settled::Done {
            file_name: "a_.png",
            file: &kept(1),
        };
        assert!(
            fixture
                .catalog
                .settle_item(&backup, "a", settled, at(1))
                .await
                .unwrap()
        );
        let before = fixture
            .catalog
            .items_after(&backup, None, 10)
            .await
            .unwrap();

        let again = fixture.add(&backup, &["c", "b", "a"]).await;
        let states: Vec<_> = again
            .iter()
            .map(|item| (item.item.content_id.as_str(), item.status))
            .collect();
        assert_eq!(
            states,
            [
                ("c", ItemStatus::Pending),
                ("b", ItemStatus::Pending),
                ("a", ItemStatus::Done)
            ]
        );
        assert_eq!(
            fixture.catalog.items_after(&backup, None, 2).await.unwrap(),
            before
        );
        assert_eq!(
            fixture.catalog.item_counts(&backup).await.unwrap().expected,
            3
        );
    })
    .await;
}

#[tokio::test]
async fn an_item_whose_document_changed_meanwhile_stays_as_it_was_found() {
    on_catalog(async |fixture| {
        let backup = id(BackupType::Content, 1);
        let first = fixture
            .catalog
            .add_items(&backup, &[found("a", "1")])
            .await
            .unwrap();
        let mut changed = found("a", "1");
        changed.item.title = "another".to_owned();
        assert_eq!(
            fixture
                .catalog
                .add_items(&backup, &[changed])
                .await
                .unwrap(),
            first
        );
    })
    .await;
}

#[tokio::test]
async fn two_documents_of_one_content_id_are_two_items() {
    on_catalog(async |fixture| {
        let backup = id(BackupType::Content, 1);
        let both = [found("a", "1"), found("a", "2"), found("a", "2")];
        for _ in 0..2 {
            let added = fixture.catalog.add_items(&backup, &both).await.unwrap();
            let ids: Vec<_> = added
                .iter()
                .map(|item| item.item.content_id.as_str())
                .collect();
            assert_eq!(ids, ["a", "a~2", "a~2"]);
            assert_eq!(added[1].item.url, both[1].item.url);
        }
        let later = fixture
            .catalog
            .add_items(&backup, &[found("a", "3")])
            .await
            .unwrap();
        assert_eq!(later[0].item.content_id, "a~3");
        let settled = Settled::Failed(&item_failure(ItemFailureCode::Gone));
        assert!(
            fixture
                .catalog
                .settle_item(&backup, "a~2", settled, at(1))
                .await
                .unwrap()
        );
        let counts = fixture.catalog.item_counts(&backup).await.unwrap();
        assert_eq!((counts.expected, counts.failed), (3, 1));
    })
    .await;
}

#[tokio::test]
async fn as_many_as_a_call_takes_are_added_and_no_more() {
    on_catalog(async |fixture| {
        let backup = id(BackupType::Content, 1);
        let mut many: Vec<_> = (0..=1_000)
            .map(|number| found(&number.to_string(), &number.to_string()))
            .collect();
        assert!(fixture.catalog.add_items(&backup, &many).await.is_err());
        many.truncate(1_000);
        fixture
            .catalog
            .add_items(&backup, &many[..500])
            .await
            .unwrap();
        for _ in 0..2 {
            let added = fixture.catalog.add_items(&backup, &many).await.unwrap();
            assert!(
                added
                    .iter()
                    .zip(&many)
                    .all(|(added, found)| added.item == found.item)
            );
            assert_eq!(
                fixture.catalog.item_counts(&backup).await.unwrap().expected,
                1_000
            );
        }
        assert_eq!(fixture.catalog.add_items(&backup, &[]).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn a_settled_item_is_read_as_it_was_written() {
    on_catalog(async |fixture| {
        let backup = id(BackupType::Content, 1);
        fixture.add(&backup, &["a", "b", "c", "d"]).await;
        let (done, unchanged, failure) =
            (kept(1), kept(2), item_failure(ItemFailureCode::TimedOut));
        for (id, settled) in [
            (
                "a",
                Settled::Done {
                    file_name: "a.png",
                    file: &done,
                },
            ),
            (
                "b",
                Settled::Unchanged {
                    file_name: "b.png",
                    file: &unchanged,
                },
            ),
            ("c", Settled::Failed(&failure)),
            (
                "d",
                Settled::Stale {
                    file_name: "d.png",
                    file: &unchanged,
                    failure: &failure,
                },
            ),
        ] {
            assert!(
                fixture
                    .catalog
                    .settle_item(&backup, id, settled, at(1))
                    .await
                    .unwrap()
            );
        }
        let [a, b, c, d] = &fixture
            .catalog
            .items_after(&backup, None, 10)
            .await
            .unwrap()[..]
        else {
            panic!()
        };
        assert_eq!(
            (a.status, a.file_name.as_deref(), &a.file),
            (ItemStatus::Done, Some("a.png"), &Some(done))
        );
        assert_eq!(
            (b.status, b.file_name.as_deref(), &b.file),
            (
                ItemStatus::Unchanged,
                Some("b.png"),
                &Some(unchanged.clone())
            )
        );
        assert_eq!(
            (c.status, &c.file, &c.error),
            (ItemStatus::Failed, &None, &Some(failure.clone()))
        );
        assert_eq!(
            (d.status, &d.file, &d.error),
            (ItemStatus::Unchanged, &Some(unchanged), &Some(failure))
        );
        let counts = fixture.catalog.item_counts(&backup).await.unwrap();
        assert_eq!((counts.done, counts.unchanged, counts.failed), (1, 2, 1));
        assert_eq!(
            fixture
                .catalog
                .get_item(&backup, "a")
                .await
                .unwrap()
                .as_ref(),
            Some(a)
        );
    })
    .await;
}

#[tokio::test]
async fn times_and_sizes_of_an_item_have_their_bson_types() {
    on_catalog(async |fixture| {
        let backup = id(BackupType::Content, 1);
        fixture.add(&backup, &["a"]).await;
        let settled = Settled::Done {
            file_name: "a.png",
            file: &kept(1),
        };
        assert!(
            fixture
                .catalog
                .settle_item(&backup, "a", settled, at(1))
                .await
                .unwrap()
        );
        let row = fixture
            .collection("backup_items")
            .find_one(bson::doc! { "contentId": "a" })
            .await
            .unwrap()
            .unwrap();
        let file = row.get_document("file").unwrap();
        assert!(
            file.get_datetime("fetchedAt").is_ok() && row.get_datetime("settledAt").is_ok(),
            "{row:?}"
        );
        let object = file.get_document("object").unwrap();
        assert!(
            object.get_i64("size").is_ok() && object.get_str("sha256").is_ok(),
            "{row:?}"
        );
        assert!(
            file.get_document("validator")
                .unwrap()
                .get_str("etag")
                .is_ok(),
            "{row:?}"
        );
    })
    .await;
}

#[tokio::test]
async fn an_attempt_is_given_back_of_a_pending_item_alone_and_never_below_none() {
    on_catalog(async |fixture| {
        let backup = id(BackupType::Content, 1);
        fixture.add(&backup, &["a"]).await;
        let attempts = async || {
            fixture
                .catalog
                .get_item(&backup, "a")
                .await
                .unwrap()
                .unwrap()
                .attempts
        };
        for _ in 0..2 {
            fixture
                .catalog
                .begin_attempt(&backup, "a", at(1))
                .await
                .unwrap()
                .unwrap();
        }
        // The start of the wait is kept, and the count of attempts never falls below zero.
        for (left, now, since) in [
            (1, at(9), Some(at(9))),
            (0, at(20), Some(at(9))),
            (0, at(30), None),
        ] {
            assert_eq!(
                fixture
                    .catalog
                    .postpone_attempt(&backup, "a", HostState::Down, now)
                    .await
                    .unwrap(),
                since
            );
            assert_eq!(attempts().await, left);
        }
        assert_eq!(
            fixture
                .catalog
                .begin_attempt(&backup, "a", at(2))
                .await
                .unwrap()
                .unwrap()
                .attempts,
            1
        );
        let failed = Settled::Failed(&item_failure(ItemFailureCode::Gone));
        fixture
            .catalog
            .settle_item(&backup, "a", failed, at(3))
            .await
            .unwrap();
        assert_eq!(
            fixture
                .catalog
                .postpone_attempt(&backup, "a", HostState::Down, at(40))
                .await
                .unwrap(),
            None
        );
        assert_eq!(attempts().await, 1);
    })
    .await;
}

#[tokio::test]
async fn only_a_host_that_is_down_starts_the_wait_and_a_working_host_or_a_request_ends_it() {
    on_catalog(async |fixture| {
        let backup = id(BackupType::Content, 1);
        fixture.add(&backup, &["a"]).await;
        let put_off = async |host, now| {
            fixture
                .catalog
                .begin_attempt(&backup, "a", now)
                .await
                .unwrap()
                .unwrap();
            fixture
                .catalog
                .postpone_attempt(&backup, "a", host, now)
                .await
                .unwrap()
        };
        assert_eq!(put_off(HostState::Working, at(1)).await, None);
        assert_eq!(put_off(HostState::Failing, at(2)).await, None);
        assert_eq!(put_off(HostState::Down, at(3)).await, Some(at(3)));
        assert_eq!(put_off(HostState::Failing, at(4)).await, Some(at(3)));
        assert_eq!(put_off(HostState::Down, at(5)).await, Some(at(3)));
        assert_eq!(put_off(HostState::Working, at(6)).await, None);
        assert_eq!(put_off(HostState::Down, at(7)).await, Some(at(7)));
        fixture
            .catalog
            .end_wait_for_host(&backup, "a")
            .await
            .unwrap();
        assert_eq!(put_off(HostState::Down, at(8)).await, Some(at(8)));
    })
    .await;
}

#[tokio::test]
async fn an_item_is_settled_once() {
    on_catalog(async |fixture| {
        let backup = id(BackupType::Content, 1);
        fixture.add(&backup, &["a"]).await;
        let (file, failure) = (kept(1), item_failure(ItemFailureCode::NotFound));
        let failed = Settled::Failed(&failure);
        assert!(
            fixture
                .catalog
                .settle_item(&backup, "a", failed, at(1))
                .await
                .unwrap()
        );
        let before = fixture.catalog.get_item(&backup, "a").await.unwrap();
        for settled in [
            failed,
            Settled::Done {
                file_name: "a",
                file: &file,
            },
        ] {
            assert!(
                !fixture
                    .catalog
                    .settle_item(&backup, "a", settled, at(2))
                    .await
                    .unwrap()
            );
        }
        assert_eq!(
            fixture
                .catalog
                .begin_attempt(&backup, "a", at(3))
                .await
                .unwrap(),
            None
        );
        assert_eq!(
            fixture.catalog.get_item(&backup, "a").await.unwrap(),
            before
        );
    })
    .await;
}

#[tokio::test]
async fn an_unknown_item_is_neither_begun_nor_settled() {
    on_catalog(async |fixture| {
        let backup = id(BackupType::Content, 1);
        let settled = Settled::Failed(&item_failure(ItemFailureCode::NotDelivered));
        assert!(
            !fixture
                .catalog
                .settle_item(&backup, "a", settled, at(1))
                .await
                .unwrap()
        );
        assert_eq!(
            fixture
                .catalog
                .begin_attempt(&backup, "a", at(1))
                .await
                .unwrap(),
            None
        );
        assert_eq!(fixture.catalog.get_item(&backup, "a").await.unwrap(), None);
        assert_eq!(
            fixture.catalog.item_counts(&backup).await.unwrap(),
            ItemCounts::default()
        );
    })
    .await;
}

#[tokio::test]
async fn attempts_are_counted_on_the_row() {
    on_catalog(async |fixture| {
        let backup = id(BackupType::Content, 1);
        fixture.add(&backup, &["a", "b"]).await;
        for attempt in 1..=3 {
            let item = fixture
                .catalog
                .begin_attempt(&backup, "a", at(1))
                .await
                .unwrap()
                .unwrap();
            assert_eq!((item.attempts, item.status), (attempt, ItemStatus::Pending));
        }
        assert_eq!(
            fixture
                .catalog
                .get_item(&backup, "b")
                .await
                .unwrap()
                .unwrap()
                .attempts,
            0
        );
    })
    .await;
}

#[tokio::test]
async fn an_item_fails_after_all_only_for_an_object_that_it_refers_to() {
    on_catalog(async |fixture| {
        let backup = id(BackupType::Content, 1);
        fixture.add(&backup, &["a", "b", "c"]).await;
        let (file, lost) = (kept(1), item_failure(ItemFailureCode::Store));
        let done = Settled::Done {
            file_name: "a",
            file: &file,
        };
        for id in ["a", "b"] {
            assert!(
                fixture
                    .catalog
                    .settle_item(&backup, id, done, at(1))
                    .await
                    .unwrap()
            );
        }
        let fail = async |id, missing: &ObjectKey| {
            fixture
                .catalog
                .fail_item_after_all(&backup, id, missing, &lost, at(2))
                .await
                .unwrap()
        };
        let object = file.object.artifact.key.clone();
        let other =
            ObjectKey::content_object(&Sha256Digest::new([9; 32]), Encoding::GZIP_ENCRYPTED);
        assert!(!fail("a", &other).await, "another object");
        assert!(!fail("c", &object).await, "not settled");
        assert!(fail("a", &object).await);
        assert!(!fail("a", &object).await, "again");
        assert!(fail("b", &file.dag.as_ref().unwrap().artifact.key).await);
        for id in ["a", "b"] {
            let item = fixture
                .catalog
                .get_item(&backup, id)
                .await
                .unwrap()
                .unwrap();
            assert_eq!(
                (item.status, item.file, item.file_name),
                (ItemStatus::Failed, None, None)
            );
            assert_eq!(item.error, Some(lost.clone()));
        }
        let counts = fixture.catalog.item_counts(&backup).await.unwrap();
        assert_eq!((counts.expected, counts.failed, counts.bytes), (3, 2, 0));
    })
    .await;
}

#[tokio::test]
async fn nothing_is_pending_when_the_last_is_settled() {
    on_catalog(async |fixture| {
        let (backup, other) = (id(BackupType::Content, 1), id(BackupType::Content, 2));
        assert!(!fixture.catalog.any_pending(&backup).await.unwrap());
        fixture.add(&other, &["x"]).await;
        fixture.add(&backup, &["a", "b"]).await;
        let failed = item_failure(ItemFailureCode::Gone);
        for id in ["a", "b"] {
            assert!(
                fixture.catalog.any_pending(&backup).await.unwrap(),
                "before {id}"
            );
            fixture
                .catalog
                .settle_item(&backup, id, Settled::Failed(&failed), at(1))
                .await
                .unwrap();
        }
        assert!(!fixture.catalog.any_pending(&backup).await.unwrap());
        assert!(fixture.catalog.any_pending(&other).await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn what_was_sent_or_begun_lately_is_not_sent_again() {
    on_catalog(async |fixture| {
        let backup = id(BackupType::Content, 1);
        fixture.add(&backup, &["a", "b", "c", "d", "e"]).await;
        let catalog = &fixture.catalog;
        let failed = item_failure(ItemFailureCode::Gone);
        catalog
            .settle_item(&backup, "a", Settled::Failed(&failed), at(1))
            .await
            .unwrap();
        catalog
            .mark_sent(&backup, &["a", "b", "c"], at(100))
            .await
            .unwrap();
        catalog.mark_sent(&backup, &["c"], at(50)).await.unwrap();
        catalog.begin_attempt(&backup, "d", at(200)).await.unwrap();
        for (older_than, expected) in [
            (at(100), vec!["e"]),
            (at(101), vec!["b", "c", "e"]),
            (at(200), vec!["b", "c", "e"]),
            (at(201), vec!["b", "c", "d", "e"]),
        ] {
            assert_eq!(
                catalog
                    .pending_since(&backup, older_than, None, 10)
                    .await
                    .unwrap(),
                expected
            );
        }
        assert_eq!(
            catalog
                .pending_since(&backup, at(201), None, 2)
                .await
                .unwrap(),
            ["b", "c"]
        );
        assert_eq!(
            catalog
                .pending_since(&backup, at(201), Some("c"), 2)
                .await
                .unwrap(),
            ["d", "e"]
        );
        assert!(
            catalog
                .pending_since(&backup, at(201), Some("e"), 2)
                .await
                .unwrap()
                .is_empty()
        );
        catalog.mark_sent(&backup, &[], at(300)).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn an_attempt_counts_as_begun_lately_only_while_its_item_is_pending() {
    on_catalog(async |fixture| {
        let backup = id(BackupType::Content, 1);
        fixture.add(&backup, &["a", "b"]).await;
        let catalog = &fixture.catalog;
        catalog.begin_attempt(&backup, "a", at(100)).await.unwrap();
        for (content_id, since, expected) in [
            ("a", at(100), true),
            ("a", at(101), false),
            ("b", at(0), false),
            ("nobody", at(0), false),
        ] {
            assert_eq!(
                catalog
                    .attempted_since(&backup, content_id, since)
                    .await
                    .unwrap(),
                expected,
                "{content_id}"
            );
        }
        let failed = item_failure(ItemFailureCode::Gone);
        catalog
            .settle_item(&backup, "a", Settled::Failed(&failed), at(102))
            .await
            .unwrap();
        assert!(!catalog.attempted_since(&backup, "a", at(0)).await.unwrap());
    })
    .await;
}
