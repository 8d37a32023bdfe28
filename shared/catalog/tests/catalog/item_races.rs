use futures_util::future::join_all;
use holdfast_catalog::Settled;
use holdfast_domain::{BackupType, ItemCounts, ItemFailureCode, ItemStatus};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};

use crate::harness::{Fixture, at, found, id, item_failure, kept, on_catalog};

#[tokio::test(flavor = "multi_thread")]
async fn an_item_is_settled_once_however_many_workers_try() {
    on_catalog(async |fixture| {
        let backup = id(BackupType::Content, 1);
        for round in 0..5 {
            let content_id = round.to_string();
            fixture.add(&backup, &[&content_id]).await;
            let (file, failure) = (kept(1), item_failure(ItemFailureCode::Throttled));
            let ways = [
                Settled::Done {
                    file_name: "a",
                    file: &file,
                },
                Settled::Unchanged {
                    file_name: "a",
                    file: &file,
                },
                Settled::Failed(&failure),
            ];
            let tries = (0..20).map(|worker| {
                fixture
                    .catalog
                    .settle_item(&backup, &content_id, ways[worker % 3], at(1))
            });
            let outcomes: Vec<bool> = join_all(tries)
                .await
                .into_iter()
                .map(Result::unwrap)
                .collect();
            let won: Vec<_> = (0..20).filter(|worker| outcomes[*worker]).collect();
            assert_eq!(won.len(), 1, "{outcomes:?}");
            let status = [ItemStatus::Done, ItemStatus::Unchanged, ItemStatus::Failed][won[0] % 3];
            assert_eq!(
                fixture
                    .catalog
                    .get_item(&backup, &content_id)
                    .await
                    .unwrap()
                    .unwrap()
                    .status,
                status
            );
        }
        assert_eq!(
            fixture
                .catalog
                .item_counts(&backup)
                .await
                .unwrap()
                .settled(),
            5
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_attempts_begun_at_once_each_has_its_own_number() {
    on_catalog(async |fixture| {
        let backup = id(BackupType::Content, 1);
        fixture.add(&backup, &["a"]).await;
        let begun =
            join_all((0..20).map(|_| fixture.catalog.begin_attempt(&backup, "a", at(1)))).await;
        let mut attempts: Vec<_> = begun
            .into_iter()
            .map(|item| item.unwrap().unwrap().attempts)
            .collect();
        attempts.sort_unstable();
        assert_eq!(attempts, (1..=20).collect::<Vec<_>>());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_that_find_the_same_documents_at_once_agree_on_their_items() {
    on_catalog(async |fixture| {
        let backup = id(BackupType::Content, 1);
        // Four documents for each content id, in a different order for each run.
        let documents: Vec<_> = (0..40)
            .map(|doc| found(&(doc / 4).to_string(), &doc.to_string()))
            .collect();
        let runs = join_all((0..8).map(async |run| {
            let mut mine = documents.clone();
            mine.rotate_left(run * 5);
            let mut agreed = Vec::new();
            for page in mine.chunks(7) {
                let added = fixture.catalog.add_items(&backup, page).await.unwrap();
                agreed.extend(
                    added
                        .into_iter()
                        .map(|it| (it.item.title, it.item.content_id)),
                );
            }
            agreed.sort();
            agreed
        }))
        .await;
        assert!(runs.iter().all(|run| *run == runs[0]), "{runs:?}");
        assert_eq!(
            fixture.catalog.item_counts(&backup).await.unwrap().expected,
            40
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_workers_that_settle_all_one_at_least_sees_that_nothing_is_pending() {
    on_catalog(async |fixture| {
        for round in 0..5 {
            let backup = id(BackupType::Content, round);
            fixture.add(&backup, &["a", "b", "c", "d", "e", "f"]).await;
            let failed = item_failure(ItemFailureCode::Gone);
            let workers = ["a", "b", "c", "d", "e", "f"].map(async |item| {
                assert!(
                    fixture
                        .catalog
                        .settle_item(&backup, item, Settled::Failed(&failed), at(1))
                        .await
                        .unwrap()
                );
                !fixture.catalog.any_pending(&backup).await.unwrap()
            });
            assert!(join_all(workers).await.contains(&true));
        }
    })
    .await;
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Add(u8),
    Done(u8),
    Unchanged(u8),
    Fail(u8),
    FailAfterAll(u8),
}

fn any_step() -> impl Strategy<Value = Step> {
    let item = || 0_u8..4;
    prop_oneof![
        item().prop_map(Step::Add),
        item().prop_map(Step::Done),
        item().prop_map(Step::Unchanged),
        item().prop_map(Step::Fail),
        item().prop_map(Step::FailAfterAll),
    ]
}

/// The expected state of an item after a step. `None` if the step changes nothing.
fn model(standing: Option<ItemStatus>, step: Step) -> Option<ItemStatus> {
    match (standing, step) {
        (None, Step::Add(_)) => Some(ItemStatus::Pending),
        (Some(ItemStatus::Pending), Step::Done(_)) => Some(ItemStatus::Done),
        (Some(ItemStatus::Pending), Step::Unchanged(_)) => Some(ItemStatus::Unchanged),
        (Some(ItemStatus::Pending), Step::Fail(_))
        | (Some(ItemStatus::Done | ItemStatus::Unchanged), Step::FailAfterAll(_)) => {
            Some(ItemStatus::Failed)
        }
        _ => None,
    }
}

async fn take(fixture: &Fixture, step: Step) -> bool {
    let backup = id(BackupType::Content, 1);
    let failure = item_failure(ItemFailureCode::Store);
    let settle = async |number: u8, settled| {
        fixture
            .catalog
            .settle_item(&backup, &number.to_string(), settled, at(1))
            .await
            .unwrap()
    };
    match step {
        Step::Add(number) => {
            let before = fixture
                .catalog
                .get_item(&backup, &number.to_string())
                .await
                .unwrap();
            fixture.add(&backup, &[&number.to_string()]).await;
            before.is_none()
        }
        Step::Done(number) => {
            settle(
                number,
                Settled::Done {
                    file_name: "a",
                    file: &kept(number),
                },
            )
            .await
        }
        Step::Unchanged(number) => {
            settle(
                number,
                Settled::Unchanged {
                    file_name: "a",
                    file: &kept(number),
                },
            )
            .await
        }
        Step::Fail(number) => settle(number, Settled::Failed(&failure)).await,
        Step::FailAfterAll(number) => {
            let missing = kept(number).object.artifact.key;
            let id = number.to_string();
            fixture
                .catalog
                .fail_item_after_all(&backup, &id, &missing, &failure, at(1))
                .await
                .unwrap()
        }
    }
}

async fn follows_the_model(fixture: &Fixture, steps: Vec<Step>) {
    let backup = id(BackupType::Content, 1);
    fixture.catalog.delete_items(&backup).await.unwrap();
    let mut items = [None::<ItemStatus>; 4];
    for step in steps {
        let (Step::Add(item)
        | Step::Done(item)
        | Step::Unchanged(item)
        | Step::Fail(item)
        | Step::FailAfterAll(item)) = step;
        let standing = &mut items[usize::from(item)];
        let next = model(*standing, step);
        assert_eq!(
            take(fixture, step).await,
            next.is_some(),
            "{step:?} of {standing:?}"
        );
        *standing = next.or(*standing);
    }
    let count = |status| items.iter().filter(|item| **item == Some(status)).count() as u64;
    let held = |number: &u8| {
        matches!(
            items[usize::from(*number)],
            Some(ItemStatus::Done | ItemStatus::Unchanged)
        )
    };
    let expected = ItemCounts {
        expected: items.iter().flatten().count() as u64,
        done: count(ItemStatus::Done),
        unchanged: count(ItemStatus::Unchanged),
        failed: count(ItemStatus::Failed),
        bytes: (0..4).filter(held).map(|number| kept(number).size).sum(),
        per_minute: None,
    };
    assert_eq!(
        fixture.catalog.item_counts(&backup).await.unwrap(),
        expected
    );
    assert_eq!(
        fixture.catalog.any_pending(&backup).await.unwrap(),
        count(ItemStatus::Pending) > 0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_counts_are_the_rows_whatever_happened_to_them() {
    on_catalog(async |fixture| {
        let mut runner = TestRunner::new(Config {
            cases: 40,
            failure_persistence: None,
            ..Config::default()
        });
        let runtime = tokio::runtime::Handle::current();
        let law = runner.run(&prop::collection::vec(any_step(), 1..16), |steps| {
            tokio::task::block_in_place(|| runtime.block_on(follows_the_model(fixture, steps)));
            Ok(())
        });
        law.unwrap();
    })
    .await;
}
