//! Verification in steps: each byte is read once, and each finding is kept.

use std::time::Duration;

use holdfast_catalog::{VerificationClaim, VerifiedSoFar};
use holdfast_domain::{Timestamp, VerificationLevel, VerificationStatus};
use holdfast_operations::{
    OperationError, RunLimits, VerifyOutcome, await_verification, expect_requestable,
    verify_on_request, withdraw_request,
};
use holdfast_testing::{Fault, FaultStore, Operation};
use jiff::SignedDuration;

use super::{
    breaking::{in_steps, object, put, verify_in_runs},
    database::ENCRYPTED,
};
use crate::support::database::Fixture;

const LEVEL: VerificationLevel = VerificationLevel::Checksum;

/// Time for one step only.
fn one_step() -> RunLimits {
    RunLimits {
        deadline: Some(Timestamp::now() + SignedDuration::from_secs(5)),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_too_large_for_one_run_is_read_once_over_several() {
    let f = Fixture::new(ENCRYPTED).await;
    f.fill_with_noise(70).await;
    let job = f.back_up().await;
    let mut runs = 0;
    let found = loop {
        runs += 1;
        match verify_on_request(
            &f.holdfast,
            &job.backup_id,
            LEVEL,
            one_step(),
            Timestamp::now(),
        )
        .await
        .unwrap()
        {
            VerifyOutcome::Done(found) => break found,
            VerifyOutcome::Continue => assert!(runs < 10),
            other => panic!("{other:?}"),
        }
    };
    // 9 segments, 4 at a time, and a last run without anything left to read.
    assert!((3..=4).contains(&runs), "{runs} runs");
    assert_eq!(
        found.status,
        VerificationStatus::Passed,
        "{:?}",
        found.problems
    );
    assert_eq!(found.bytes_read, job.size.unwrap());
    let newest = f.job(&job.backup_id).await.verification.unwrap();
    assert_eq!(
        (newest.level, newest.status),
        (LEVEL, VerificationStatus::Passed)
    );
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn findings_of_earlier_runs_are_reported_in_the_end() {
    let f = Fixture::new(&[]).await;
    f.fill_with_noise(40).await;
    let job = f.back_up().await;
    let (store, key) = (f.holdfast.repository.store(), job.key.clone().unwrap());
    let mut bytes = object(store, &key).await;
    bytes[(8 << 20) + 5] ^= 1;
    put(store, &key, bytes).await;
    let found = verify_in_runs(&f.holdfast, &job.backup_id, LEVEL, one_step()).await;
    assert_eq!(
        found.problems,
        [format!(
            "{key}: segment 1 (bytes 8388608 to 16777216) is not what was written"
        )]
    );
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_run_is_resumed_and_a_live_run_is_not() {
    let f = Fixture::new(&[]).await;
    f.fill(10).await;
    let (id, catalog) = (f.back_up().await.backup_id, &f.holdfast.catalog);
    let now = Timestamp::now();
    let begin = async |run: &str, at: Timestamp| {
        let stale_at = at - SignedDuration::from_mins(16);
        catalog
            .begin_verification(&id, LEVEL, run, stale_at, at)
            .await
            .unwrap()
    };
    assert_eq!(
        begin("a", now).await,
        VerificationClaim::Taken(VerifiedSoFar::default())
    );
    let so_far = VerifiedSoFar {
        artifacts: 1,
        problems: vec!["x".to_owned()],
        ..VerifiedSoFar::default()
    };
    assert!(
        catalog
            .record_verified(&id, LEVEL, "a", &so_far, now)
            .await
            .unwrap()
    );
    assert_eq!(begin("b", now).await, VerificationClaim::Elsewhere);
    let outcome = verify_on_request(&f.holdfast, &id, LEVEL, RunLimits::none(), now)
        .await
        .unwrap();
    assert!(matches!(outcome, VerifyOutcome::Elsewhere), "{outcome:?}");

    let later = now + SignedDuration::from_mins(17);
    assert_eq!(
        begin("b", later).await,
        VerificationClaim::Taken(so_far.clone())
    );
    assert!(
        !catalog
            .record_verified(&id, LEVEL, "a", &so_far, later)
            .await
            .unwrap(),
        "the first run is thought dead"
    );
    catalog.end_verification(&id, "a").await.unwrap();
    assert_eq!(catalog.verifying().await.unwrap().len(), 1);
    catalog.end_verification(&id, "b").await.unwrap();
    assert_eq!(catalog.verifying().await.unwrap(), []);
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verification_at_another_level_that_does_not_end_leaves_the_work_of_the_first_alone() {
    let f = Fixture::new(&[]).await;
    f.fill(10).await;
    let (id, catalog) = (f.back_up().await.backup_id, &f.holdfast.catalog);
    let begin = async |level: VerificationLevel, run: &str, at: Timestamp| {
        catalog
            .begin_verification(&id, level, run, at - SignedDuration::from_mins(16), at)
            .await
            .unwrap()
    };
    let (now, minutes) = (Timestamp::now(), SignedDuration::from_mins(17));
    begin(VerificationLevel::Checksum, "a", now).await;
    let so_far = VerifiedSoFar {
        segments: 5,
        ..VerifiedSoFar::default()
    };
    assert!(
        catalog
            .record_verified(&id, VerificationLevel::Checksum, "a", &so_far, now)
            .await
            .unwrap()
    );
    let structure = begin(VerificationLevel::Structure, "b", now + minutes).await;
    assert_eq!(
        structure,
        VerificationClaim::Taken(VerifiedSoFar::default())
    );
    let again = begin(VerificationLevel::Checksum, "c", now + minutes * 2).await;
    assert_eq!(again, VerificationClaim::Taken(so_far));
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_result_of_another_process_is_awaited_without_a_key() {
    let f = Fixture::new(ENCRYPTED).await;
    f.fill(10).await;
    let id = f.back_up().await.backup_id;
    let keyless = f.with(|settings| {
        settings.encryption_key = None;
        settings.database.encryption = false;
    });
    let patience = Duration::from_secs(10);
    let since = keyless.catalog.now().await.unwrap();
    let soon = Duration::from_millis(200);
    let waited = await_verification(&keyless, &id, LEVEL, since, soon).await;
    assert!(waited.is_none(), "{waited:?}");

    expect_requestable(&keyless, &id, LEVEL).await.unwrap();
    let verifying = verify_on_request(&f.holdfast, &id, LEVEL, RunLimits::none(), since);
    let (outcome, waited) = tokio::join!(
        verifying,
        await_verification(&keyless, &id, LEVEL, since, patience)
    );
    let VerifyOutcome::Done(done) = outcome.unwrap() else {
        panic!("it is the only run");
    };
    let waited = waited.unwrap();
    assert_eq!(waited.status, VerificationStatus::Passed);
    assert_eq!(
        (&waited.notes, waited.bytes_read, waited.duration_ms),
        (&done.notes, done.bytes_read, done.duration_ms)
    );
    assert_eq!(waited.namespaces, done.namespaces);

    let later = keyless.catalog.now().await.unwrap() + SignedDuration::from_mins(1);
    let old = await_verification(&keyless, &id, LEVEL, later, soon).await;
    assert!(old.is_none(), "a result from before the request: {old:?}");
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verification_is_not_requested_twice_and_not_of_an_unfinished_backup() {
    let f = Fixture::new(&[]).await;
    f.fill(10).await;
    let (id, now) = (f.back_up().await.backup_id, Timestamp::now());
    let begun = f
        .holdfast
        .catalog
        .begin_verification(&id, LEVEL, "a", now - SignedDuration::from_mins(16), now)
        .await
        .unwrap();
    assert!(matches!(begun, VerificationClaim::Taken(_)), "{begun:?}");
    let error = expect_requestable(&f.holdfast, &id, LEVEL)
        .await
        .unwrap_err();
    assert!(
        matches!(error, OperationError::AlreadyVerifying(_)),
        "{error}"
    );
    f.holdfast.catalog.end_verification(&id, "a").await.unwrap();
    expect_requestable(&f.holdfast, &id, LEVEL).await.unwrap();
    let unknown = "db_1_0a".parse().unwrap();
    let error = expect_requestable(&f.holdfast, &unknown, LEVEL)
        .await
        .unwrap_err();
    assert!(matches!(error, OperationError::NotFound(_)), "{error}");
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_has_one_request_at_a_time_until_it_is_withdrawn_or_expires() {
    let f = Fixture::new(&[]).await;
    f.fill(10).await;
    let (catalog, id) = (&f.holdfast.catalog, f.back_up().await.backup_id);
    let (now, minutes) = (catalog.now().await.unwrap(), SignedDuration::from_mins);
    let request = async |at: Timestamp| {
        let stale_at = at - minutes(15);
        catalog
            .request_verification(&id, stale_at, at)
            .await
            .unwrap()
    };
    assert!(request(now).await);
    assert!(!request(now + minutes(14)).await);
    assert!(request(now + minutes(16)).await, "the first one expired");
    withdraw_request(&f.holdfast, &id).await;
    assert_eq!(catalog.busy_verifications(now).await.unwrap(), []);
    assert!(request(now).await);
    let unknown = "db_1_0a".parse().unwrap();
    let without_job = catalog.request_verification(&unknown, now, now).await;
    assert!(without_job.unwrap(), "there is no row for the request");
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_away_is_no_damage() {
    let f = Fixture::new(&[]).await;
    f.fill(10).await;
    let id = f.back_up().await.backup_id;
    let faults = FaultStore::new(f.holdfast.repository.store().clone());
    let h = f.over(faults.clone());
    for limits in [RunLimits::none(), in_steps()] {
        faults.on_every(Operation::Get, Fault::Unavailable);
        let error = verify_on_request(&h, &id, LEVEL, limits, Timestamp::now())
            .await
            .unwrap_err();
        assert!(error.is_transient(), "{error}");
        faults.heal();
    }
    assert_eq!(f.job(&id).await.verification, None);
    f.remove().await;
}
