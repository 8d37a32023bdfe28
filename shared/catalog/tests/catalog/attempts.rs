//! Attempts to download an item: counted, refunded, and not repeated too early.

use holdfast_catalog::Settled;
use holdfast_domain::{BackupType, HostState, ItemFailureCode, ItemStatus};

use crate::harness::{at, id, item_failure, on_catalog};

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
