//! The rebuilt rows equal the lost ones.

use holdfast_domain::{
    BackupType, JobStatus, RetentionVerdict, Timestamp, VerificationLevel, VerificationStatus,
};
use holdfast_operations::{
    OperationError, RebuildReport, RunLimits, Trust, VerifyOutcome, plan_rebuild, plan_retention,
    rebuild_catalog, status, verify_on_request,
};
use holdfast_repository::{EncryptionMode, RepositoryFileError};

use super::lost_catalogue::added;
use crate::support::content::{Fixture, KEY};

const ENCRYPTED: [(&str, &str); 3] = [
    ("BACKUP_DATABASE_ENCRYPTION", "true"),
    ("BACKUP_CONTENT_ENCRYPTION", "true"),
    ("BACKUP_ENCRYPTION_KEY", KEY),
];

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_bucket_has_nothing_to_tell() {
    let f = Fixture::new(&[]).await;
    let not_there = rebuild_catalog(&f.holdfast, &|_| {}).await.unwrap_err();
    let is_told = matches!(
        not_there,
        OperationError::Repository(RepositoryFileError::NotInitialised(_))
    );
    assert!(is_told, "{not_there}");
    f.holdfast
        .repository
        .init(EncryptionMode::Off, Timestamp::now())
        .await
        .unwrap();
    f.lose_the_catalogue().await;
    assert_eq!(f.rebuild().await, RebuildReport::default());
    let indexes = f.rows("backup_jobs").list_index_names().await.unwrap();
    assert!(indexes.len() > 1, "the indexes are there: {indexes:?}");
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_of_a_good_backup_comes_back_as_it_was() {
    for settings in [&[][..], &ENCRYPTED] {
        Box::pin(rows_come_back(settings)).await;
    }
}

async fn rows_come_back(settings: &[(&str, &str)]) {
    let f = Fixture::new(settings).await;
    f.fill(12).await;
    let [full, database, content] = f.back_up_both().await;
    let again = f.back_up().await;
    assert_eq!(again.items.unwrap().unchanged, 12);
    let before = f.all_rows().await;
    f.lose_the_catalogue().await;

    let report = f.rebuild().await;
    let mut ids = added(&report);
    assert_eq!(
        (ids[0], ids.last()),
        (&again.backup_id, Some(&&full)),
        "newest first, full ones last"
    );
    ids.sort();
    let mut expected = vec![&again.backup_id, &content, &database, &full];
    expected.sort();
    assert_eq!(ids, expected);
    assert_eq!((report.stood, report.items, report.sources), (0, 24, 12));
    assert!(
        report.is_whole()
            && report.without_manifest.is_empty()
            && report.parents_unknown.is_empty(),
        "{report:?}"
    );
    for (id, row) in &before {
        assert_eq!(f.all_rows().await.get(id), Some(row), "{id:?}");
    }
    assert_eq!(f.all_rows().await.len(), before.len());

    let report = f.rebuild().await;
    let policies_unconfirmed = vec![BackupType::Database, BackupType::Content];
    let nothing = RebuildReport {
        stood: 3,
        policies_unconfirmed,
        ..RebuildReport::default()
    };
    assert_eq!(report, nothing, "twice is once");
    assert_eq!(f.all_rows().await, before);
    assert_eq!(f.leases().await, 0);
    assert!(
        f.heard
            .states()
            .iter()
            .filter(|state| **state == JobStatus::Completed)
            .count()
            == 4,
        "no state change is reported again"
    );
    works_on(&f).await;
    f.remove().await;
}

/// Uses the rebuilt catalogue.
async fn works_on(f: &Fixture) {
    f.node.reset_requests().await;
    let job = f.back_up().await;
    let items = job.items.unwrap();
    assert_eq!((items.expected, items.unchanged), (12, 12));
    let asked = f.node.requests().await;
    assert_eq!(
        (asked.gateway.car, asked.gateway.raw, asked.gateway.plain),
        (0, 0, 0),
        "nothing is fetched again"
    );
    assert_eq!(
        (asked.gaia.full, asked.gaia.not_modified),
        (0, 6),
        "the validators of held files are rebuilt too"
    );

    let now = Timestamp::now();
    let plan = plan_retention(&f.holdfast, Trust::Authenticated, now)
        .await
        .unwrap();
    for backup in plan.database.backups.iter().chain(&plan.content.backups) {
        assert_eq!(
            (backup.decision.is_good, backup.decision.verdict),
            (true, RetentionVerdict::Keep),
            "{backup:?}"
        );
    }
    let told = serde_json::to_value(status(&f.holdfast, now).await.unwrap()).unwrap();
    assert_eq!(
        told["status"]["content"]["lastBackup"]["backupId"],
        job.backup_id.as_str()
    );
    for kind in [BackupType::Database, BackupType::Content] {
        let newest = f.holdfast.catalog.never_verified(kind, 10).await.unwrap();
        for job in newest {
            let verified = Box::pin(verify_on_request(
                &f.holdfast,
                &job.backup_id,
                VerificationLevel::Structure,
                RunLimits::none(),
                now,
            ));
            let VerifyOutcome::Done(found) = verified.await.unwrap() else {
                panic!("no result")
            };
            assert_eq!(
                (found.status, &found.problems),
                (VerificationStatus::Passed, &Vec::new()),
                "{kind}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_says_what_would_be_added_and_writes_nothing() {
    let f = Fixture::new(&[]).await;
    f.fill(4).await;
    f.back_up_both().await;
    f.lose_the_catalogue().await;
    let plan = f.plan().await;
    assert!(
        plan.dry_run
            && f.client
                .database(&f.catalog_database)
                .list_collection_names()
                .await
                .unwrap()
                .is_empty()
    );
    let done = f.rebuild().await;
    assert_eq!((added(&plan), plan.items), (added(&done), done.items));
    let plan = plan_rebuild(&f.holdfast, &|_| {}).await.unwrap();
    assert_eq!((plan.added.len(), plan.stood, plan.items), (0, 2, 0));
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_full_backup_without_its_other_part_nothing_is_claimed() {
    let f = Fixture::new(&[]).await;
    f.fill(2).await;
    let [full, database, content] = f.back_up_both().await;
    f.lose_the_catalogue().await;
    f.store
        .store
        .delete(&holdfast_domain::ObjectKey::manifest(&content))
        .await
        .unwrap();
    let report = f.rebuild().await;
    assert_eq!(
        (added(&report), &report.parents_unknown),
        (vec![&database], &vec![full.clone()])
    );
    assert_eq!(
        report.without_manifest,
        [content],
        "its remains are reported"
    );
    assert!(f.holdfast.catalog.get(&full).await.is_err());
    assert_eq!(f.job(&database).await.parent_id, Some(full));
    f.remove().await;
}
