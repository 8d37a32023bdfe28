use std::collections::BTreeMap;

use jiff::{Timestamp, tz::TimeZone};
use proptest::{prelude::*, sample::Index};

use super::*;
use crate::{BackupId, BackupType, JobStatus};

const NOW_S: i64 = 1_774_750_000;

fn now() -> Timestamp {
    Timestamp::from_second(NOW_S).unwrap()
}

fn candidate(created_at: Timestamp, number: u8, standing: Standing) -> RetentionCandidate {
    RetentionCandidate {
        backup_id: BackupId::new(BackupType::Database, created_at, [0, 0, 0, number]),
        created_at,
        standing,
    }
}

fn good(at: &str) -> RetentionCandidate {
    candidate(at.parse().unwrap(), 0, Standing::Good)
}

fn policy(min_count: u32) -> RetentionPolicy {
    RetentionPolicy {
        max_age_days: None,
        max_count: None,
        min_count,
        ..RetentionPolicy::from_days(1)
    }
}

fn kept(decisions: &[RetentionDecision]) -> Vec<&BackupId> {
    let kept = decisions
        .iter()
        .filter(|decision| decision.verdict == RetentionVerdict::Keep);
    kept.map(|decision| &decision.backup_id).collect()
}

fn kept_good(decisions: &[RetentionDecision]) -> usize {
    decisions
        .iter()
        .filter(|it| it.is_good && it.verdict == RetentionVerdict::Keep)
        .count()
}

/// The times of the kept backups, oldest first.
fn kept_at(candidates: &[RetentionCandidate], policy: &RetentionPolicy, zone: &str) -> Vec<String> {
    let decisions = plan_retention(
        candidates,
        Some(policy),
        now(),
        &TimeZone::get(zone).unwrap(),
    );
    let kept = decisions
        .iter()
        .rev()
        .filter(|it| it.verdict == RetentionVerdict::Keep);
    kept.map(|it| it.created_at.to_string()).collect()
}

// By example
// -------------------------------------------------------------------------------------------------

#[test]
fn days_are_the_operators_and_not_utcs() {
    // 23:30 and 00:30 in Zurich, in the night of the change to summer time: one day in UTC, two in
    // Zurich.
    let night = [
        good("2026-03-28T22:30:00Z"),
        good("2026-03-28T23:30:00Z"),
        good("2026-03-28T12:00:00Z"),
    ];
    let daily = RetentionPolicy {
        keep_daily: Some(2),
        max_count: Some(1),
        ..policy(1)
    };
    assert_eq!(
        kept_at(&night, &daily, "Europe/Zurich"),
        ["2026-03-28T22:30:00Z", "2026-03-28T23:30:00Z"]
    );
    assert_eq!(kept_at(&night, &daily, "UTC"), ["2026-03-28T23:30:00Z"]);
}

#[test]
fn a_week_at_the_turn_of_the_year_is_one_week() {
    let turn = [
        good("2025-12-29T01:00:00Z"),
        good("2026-01-01T01:00:00Z"),
        good("2025-12-28T01:00:00Z"),
    ];
    let weekly = RetentionPolicy {
        keep_weekly: Some(9),
        max_count: Some(1),
        ..policy(1)
    };
    assert_eq!(
        kept_at(&turn, &weekly, "UTC"),
        ["2025-12-28T01:00:00Z", "2026-01-01T01:00:00Z"]
    );
    let yearly = RetentionPolicy {
        keep_yearly: Some(9),
        max_count: Some(1),
        ..policy(1)
    };
    assert_eq!(
        kept_at(&turn, &yearly, "UTC"),
        ["2025-12-29T01:00:00Z", "2026-01-01T01:00:00Z"]
    );
}

#[test]
fn days_without_a_backup_are_not_counted() {
    let sparse = [
        good("2020-01-01T00:00:00Z"),
        good("2022-06-01T00:00:00Z"),
        good("2026-03-01T00:00:00Z"),
    ];
    let daily = RetentionPolicy {
        keep_daily: Some(2),
        max_age_days: Some(1),
        ..policy(1)
    };
    assert_eq!(
        kept_at(&sparse, &daily, "UTC"),
        ["2022-06-01T00:00:00Z", "2026-03-01T00:00:00Z"]
    );
}

#[test]
fn every_reason_is_a_sentence_of_its_own() {
    let all = [
        good("2026-03-28T00:00:00Z"),
        good("2026-03-27T00:00:00Z"),
        good("2020-01-01T00:00:00Z"),
    ];
    let policy = RetentionPolicy {
        max_count: Some(2),
        max_age_days: Some(30),
        keep_daily: Some(1),
        ..policy(1)
    };
    let decisions = plan_retention(&all, Some(&policy), now(), &TimeZone::UTC);
    let shown = serde_json::to_value(&decisions).unwrap();
    assert_eq!(
        shown[0]["reasons"],
        serde_json::json!([
            "it is the newest good one, and one is always kept",
            "it is the newest good one of day 2026-03-28",
        ])
    );
    assert_eq!(
        shown[1]["reasons"],
        serde_json::json!(["it is within the limits"])
    );
    assert_eq!(
        shown[2]["reasons"],
        serde_json::json!([
            "it is older than 30 days",
            "there are 2 newer good ones, and this is the maximum"
        ])
    );
    assert_eq!(
        (&shown[2]["verdict"], &shown[2]["isGood"]),
        (&"delete".into(), &true.into())
    );
}

#[test]
fn where_all_are_damaged_the_newest_are_better_than_none() {
    let damaged = |at: &str| RetentionCandidate {
        standing: Standing::VerificationFailed,
        ..good(at)
    };
    let all = [
        damaged("2020-01-01T00:00:00Z"),
        damaged("2020-01-02T00:00:00Z"),
        damaged("2020-01-03T00:00:00Z"),
    ];
    let policy = RetentionPolicy {
        max_age_days: Some(1),
        ..policy(2)
    };
    assert_eq!(
        kept_at(&all, &policy, "UTC"),
        ["2020-01-02T00:00:00Z", "2020-01-03T00:00:00Z"]
    );
    let with_good = [
        &all[..],
        &[good("2019-01-01T00:00:00Z"), good("2018-01-01T00:00:00Z")],
    ]
    .concat();
    assert_eq!(
        kept_at(&with_good, &policy, "UTC"),
        ["2018-01-01T00:00:00Z", "2019-01-01T00:00:00Z"]
    );
}

#[test]
fn a_policy_that_cannot_be_meant_is_refused() {
    for (wrong, said) in [
        (policy(0), "minCount is 0"),
        (
            RetentionPolicy {
                max_count: Some(2),
                ..policy(3)
            },
            "minCount (3) must not exceed maxCount (2)",
        ),
        (
            RetentionPolicy {
                max_age_days: Some(0),
                ..policy(1)
            },
            "maxAgeDays is 0",
        ),
        (
            RetentionPolicy {
                keep_weekly: Some(u32::MAX),
                ..policy(1)
            },
            "keepWeekly is 4294967295",
        ),
    ] {
        let error = wrong.check().unwrap_err().to_string();
        assert!(error.starts_with(said), "{error}");
    }
    assert_eq!(RetentionPolicy::from_days(30).check(), Ok(()));
    assert!(serde_json::from_str::<RetentionPolicy>(r#"{"minCount":1,"maxAgeDay":3}"#).is_err());
}

// By law ------------------------------------------------------------------------------------------

fn standings() -> impl Strategy<Value = Standing> {
    prop_oneof![
        6 => Just(Standing::Good),
        2 => Just(Standing::VerificationFailed),
        1 => Just(Standing::Empty),
        1 => Just(Standing::NotCompleted(JobStatus::Failed)),
        1 => Just(Standing::InUse(JobStatus::Committing)),
        1 => Just(Standing::Deleting),
        1 => Just(Standing::Unsure("it is not JSON".to_owned())),
    ]
}

/// Backups of three years, some of them at the same moment, some from the future.
fn histories() -> impl Strategy<Value = Vec<RetentionCandidate>> {
    let hour = prop_oneof![Just(0_i64), -24_i64..26_000];
    prop::collection::vec((hour, standings()), 0..60).prop_map(|backups| {
        let of = |(number, (hours, standing))| {
            candidate(
                Timestamp::from_second(NOW_S - hours * 3600).unwrap(),
                number,
                standing,
            )
        };
        (0..).zip(backups).map(of).collect()
    })
}

fn policies() -> impl Strategy<Value = RetentionPolicy> {
    let count = || prop::option::of(1_u32..12);
    let limits = (
        prop::option::of(1_u32..400),
        prop::option::of(1_u32..40),
        1_u32..8,
    );
    (limits, (count(), count(), count(), count())).prop_map(|(limits, keeps)| RetentionPolicy {
        max_age_days: limits.0,
        max_count: limits.1,
        min_count: limits.2,
        keep_daily: keeps.0,
        keep_weekly: keeps.1,
        keep_monthly: keeps.2,
        keep_yearly: keeps.3,
    })
}

fn zones() -> impl Strategy<Value = TimeZone> {
    prop::sample::select(vec![
        "UTC",
        "Europe/Zurich",
        "America/St_Johns",
        "Pacific/Apia",
        "Africa/Cairo",
    ])
    .prop_map(|name| TimeZone::get(name).unwrap())
}

/// The backups that remain after a plan.
fn left(
    candidates: &[RetentionCandidate],
    decisions: &[RetentionDecision],
) -> Vec<RetentionCandidate> {
    let kept = kept(decisions);
    candidates
        .iter()
        .filter(|candidate| kept.contains(&&candidate.backup_id))
        .cloned()
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn never_fewer_good_ones_than_min_count(all in histories(), policy in policies(), zone in zones()) {
        let decisions = plan_retention(&all, Some(&policy), now(), &zone);
        let there = all.iter().filter(|it| it.standing == Standing::Good).count();
        prop_assert!(kept_good(&decisions) >= there.min(policy.min_count as usize));
    }

    #[test]
    fn the_order_does_not_matter(all in histories(), policy in policies(), zone in zones(), swaps: Vec<(Index, Index)>) {
        let mut shuffled = all.clone();
        if !shuffled.is_empty() {
            for (a, b) in &swaps {
                shuffled.swap(a.index(all.len()), b.index(all.len()));
            }
        }
        let decisions = plan_retention(&all, Some(&policy), now(), &zone);
        prop_assert_eq!(plan_retention(&shuffled, Some(&policy), now(), &zone), decisions);
    }

    #[test]
    fn twice_is_once(all in histories(), policy in policies(), zone in zones()) {
        let once = left(&all, &plan_retention(&all, Some(&policy), now(), &zone));
        let again = plan_retention(&once, Some(&policy), now(), &zone);
        prop_assert!(again.iter().all(|decision| decision.verdict == RetentionVerdict::Keep), "{:?}", again);
    }

    #[test]
    fn half_a_run_and_a_whole_one_are_one(all in histories(), policy in policies(), zone in zones(), cut: Index) {
        let decisions = plan_retention(&all, Some(&policy), now(), &zone);
        let whole = left(&all, &decisions);
        let doomed: Vec<&BackupId> = decisions
            .iter().filter(|it| it.verdict == RetentionVerdict::Delete).map(|it| &it.backup_id).collect();
        prop_assume!(!doomed.is_empty());
        let gone = &doomed[..cut.index(doomed.len())];
        let half: Vec<_> = all.iter().filter(|it| !gone.contains(&&it.backup_id)).cloned().collect();
        prop_assert_eq!(left(&half, &plan_retention(&half, Some(&policy), now(), &zone)), whole);
    }

    #[test]
    fn what_is_not_good_counts_towards_nothing(all in histories(), policy in policies(), zone in zones()) {
        let good: Vec<_> = all.iter().filter(|it| it.standing == Standing::Good).cloned().collect();
        let among_all = plan_retention(&all, Some(&policy), now(), &zone);
        let among_all: Vec<_> = among_all.into_iter().filter(|decision| decision.is_good).collect();
        prop_assert_eq!(plan_retention(&good, Some(&policy), now(), &zone), among_all);
    }

    #[test]
    fn without_a_policy_all_are_kept(all in histories(), zone in zones()) {
        let decisions = plan_retention(&all, None, now(), &zone);
        let begun = all.iter().filter(|it| it.standing == Standing::Deleting).count();
        prop_assert_eq!(kept(&decisions).len(), all.len() - begun);
    }

    #[test]
    fn what_is_unsure_or_in_use_is_kept(all in histories(), policy in policies(), zone in zones()) {
        let decisions = plan_retention(&all, Some(&policy), now(), &zone);
        let kept = kept(&decisions);
        for it in all.iter().filter(|it| matches!(it.standing, Standing::InUse(_) | Standing::Unsure(_))) {
            prop_assert!(kept.contains(&&it.backup_id));
        }
    }

    #[test]
    fn every_decision_has_its_reasons_in_words(all in histories(), policy in policies(), zone in zones()) {
        let decisions = plan_retention(&all, Some(&policy), now(), &zone);
        prop_assert_eq!(decisions.len(), all.len());
        for decision in decisions {
            prop_assert!(!decision.reasons.is_empty());
            prop_assert!(decision.reasons.iter().all(|reason| reason.to_string().contains(' ')));
        }
    }

    #[test]
    fn the_newest_good_one_of_each_kept_day_stays(all in histories(), days in 1_usize..10, zone in zones()) {
        let policy = RetentionPolicy { keep_daily: Some(u32::try_from(days).unwrap()), max_count: Some(1), ..policy(1) };
        let mut newest: BTreeMap<_, &RetentionCandidate> = BTreeMap::new();
        for it in all.iter().filter(|it| it.standing == Standing::Good) {
            let of_day = newest.entry(it.created_at.to_zoned_datetime(zone.clone()).date()).or_insert(it);
            if (it.created_at, &it.backup_id) > (of_day.created_at, &of_day.backup_id) {
                *of_day = it;
            }
        }
        let decisions = plan_retention(&all, Some(&policy), now(), &zone);
        let kept = kept(&decisions);
        for it in newest.values().rev().take(days) {
            prop_assert!(kept.contains(&&it.backup_id));
        }
    }

    #[test]
    fn a_stricter_limit_never_keeps_more(all in histories(), policy in policies(), zone in zones(), days in 1_u32..400) {
        prop_assume!(policy.max_age_days.is_none_or(|age| age >= days));
        let stricter = RetentionPolicy { max_age_days: Some(days), ..policy };
        let loose = plan_retention(&all, Some(&policy), now(), &zone);
        let strict = plan_retention(&all, Some(&stricter), now(), &zone);
        prop_assert!(kept(&strict).iter().all(|id| kept(&loose).contains(id)));
    }
}
