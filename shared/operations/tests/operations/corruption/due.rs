//! Scheduled verifications.

use holdfast_domain::{BackupType, Secret, Timestamp, VerificationLevel, VerificationStatus};
use holdfast_operations::{DueReport, Holdfast, RunLimits, verify_due};
use holdfast_testing::parts;
use jiff::SignedDuration;
use mongodb::bson::{Bson, Document, doc};

use crate::support::{content, database::Fixture};

async fn due(h: &Holdfast, now: Timestamp) -> DueReport {
    let limits = RunLimits {
        deadline: Some(Timestamp::now() + SignedDuration::from_mins(15)),
    };
    let report = Box::pin(verify_due(h, limits, now)).await.unwrap();
    assert_eq!(report.problems, [""; 0]);
    report
}

fn done(report: &DueReport) -> Vec<(String, VerificationLevel)> {
    report
        .verified
        .iter()
        .map(|found| (found.backup_id.to_string(), found.level))
        .collect()
}

fn with_drills(f: &Fixture) -> Holdfast {
    f.with(|settings| settings.drill.uri = Some(Secret::new(&parts().mongodb_uri)))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_new_backup_is_read_one_is_looked_into_and_the_newest_is_drilled() {
    let f = Fixture::new(&[]).await;
    f.fill(10).await;
    let (one, two) = (
        f.back_up().await.backup_id.to_string(),
        f.back_up().await.backup_id.to_string(),
    );
    let h = with_drills(&f);
    let (checksum, structure, drill) = (
        VerificationLevel::Checksum,
        VerificationLevel::Structure,
        VerificationLevel::Drill,
    );
    let now = Timestamp::now();
    let first = due(&h, now).await;
    // A drill has read everything, so it replaces the checksum of the newest backup and counts as
    // the sample of the day.
    assert_eq!(
        done(&first),
        [(two.clone(), drill), (one.clone(), checksum)]
    );
    assert!(
        first
            .verified
            .iter()
            .all(|found| found.status == VerificationStatus::Passed),
        "{first:?}"
    );
    assert!(
        first.hours_since_drill.unwrap() < 0.1 && first.drill_hours_overdue == Some(0.0),
        "{first:?}"
    );
    assert_eq!(done(&due(&h, now).await), []);

    let three = f.back_up().await.backup_id.to_string();
    assert_eq!(done(&due(&h, now).await), [(three.clone(), checksum)]);
    let tomorrow = now + SignedDuration::from_hours(25);
    assert_eq!(
        done(&due(&h, tomorrow).await),
        [(three, structure)],
        "the newest, if not yet verified"
    );
    let counts = h.catalog.verification_counts().await.unwrap();
    assert_eq!(
        counts.iter().map(|count| count.verifications).sum::<u64>(),
        4
    );
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sample_goes_round_all_backups() {
    let f = Fixture::new(&[]).await;
    f.fill(10).await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(f.back_up().await.backup_id.to_string());
    }
    let rows = f
        .client
        .database(&f.catalog_database)
        .collection::<Document>("backup_verifications");
    let mut sampled = Vec::new();
    for _ in 0..4 {
        let report = due(&f.holdfast, Timestamp::now()).await;
        let structure = report
            .verified
            .iter()
            .filter(|found| found.level == VerificationLevel::Structure);
        sampled.extend(structure.map(|found| found.backup_id.to_string()));
        // A day passes.
        let yesterday =
            mongodb::bson::DateTime::from_millis(Timestamp::now().as_millisecond() - 90_000_000);
        rows.update_many(doc! {}, doc! { "$set": { "at": yesterday } })
            .await
            .unwrap();
    }
    let newest = ids[2].clone();
    assert_eq!(sampled[0], newest);
    sampled.sort();
    sampled.dedup();
    assert_eq!(sampled, ids, "each had its turn");
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_is_overdue_after_an_interval_without_one() {
    let f = Fixture::new(&[]).await;
    let h = with_drills(&f);
    let now = Timestamp::now();
    let empty = due(&h, now).await;
    assert_eq!(
        (empty.hours_since_drill, empty.drill_hours_overdue),
        (Some(0.0), Some(0.0)),
        "nothing to drill yet"
    );
    f.fill(10).await;
    let id = f.back_up().await.backup_id;
    // A run has it, or had it and did not complete it: not again before tomorrow.
    let rows = f
        .client
        .database(&f.catalog_database)
        .collection::<Document>("backup_jobs");
    let mark = |at: Timestamp| {
        let at = mongodb::bson::DateTime::from_millis(at.as_millisecond());
        doc! { "$set": { "verifying": { "level": "drill", "run": "x", "touchedAt": at } } }
    };
    rows.update_one(
        doc! { "_id": id.as_str() },
        mark(now - SignedDuration::from_hours(1)),
    )
    .await
    .unwrap();
    let drills = |report: &DueReport| {
        report
            .verified
            .iter()
            .filter(|v| v.level == VerificationLevel::Drill)
            .count()
    };
    assert_eq!(drills(&due(&h, now).await), 0);
    let later = now + SignedDuration::from_hours(168 + 5);
    rows.update_one(
        doc! { "_id": id.as_str() },
        mark(later - SignedDuration::from_hours(1)),
    )
    .await
    .unwrap();
    let overdue = due(&h, later).await;
    assert!(
        (1.9..2.1).contains(&overdue.drill_hours_overdue.unwrap()),
        "{overdue:?}"
    );
    rows.update_one(
        doc! { "_id": id.as_str() },
        mark(now - SignedDuration::from_hours(25)),
    )
    .await
    .unwrap();
    assert_eq!(
        drills(&due(&h, now).await),
        1,
        "a day later it is tried again"
    );
    let off = f.with(|settings| settings.drill.uri = None);
    assert_eq!(due(&off, now).await.hours_since_drill, None);
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_without_its_key_is_reported_and_verified_later() {
    let f = Fixture::new(super::database::ENCRYPTED).await;
    f.fill(10).await;
    let id = f.back_up().await.backup_id;
    let h = f.with(|settings| settings.encryption_key = Some(Secret::new("f".repeat(64))));
    let report = due(&h, Timestamp::now()).await;
    assert_eq!(
        report.unjudged.len(),
        2,
        "by checksum, and as the sample: {report:?}"
    );
    assert!(
        report
            .unjudged
            .iter()
            .all(|(judged, why)| *judged == id && why.contains("epoch 1")),
        "{report:?}"
    );
    assert!(report.verified.is_empty());
    let off = f.with(|settings| settings.enabled = false);
    assert_eq!(
        done(&due(&off, Timestamp::now()).await),
        [],
        "schedules are switched off"
    );
    assert_eq!(done(&due(&f.holdfast, Timestamp::now()).await).len(), 2);
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_without_a_manifest_fails_and_a_deleted_backup_is_ignored() {
    let f = Fixture::new(&[]).await;
    f.fill(10).await;
    let (lost, deleted) = (f.back_up().await.backup_id, f.back_up().await.backup_id);
    for id in [&lost, &deleted] {
        f.store
            .store
            .delete(&holdfast_domain::ObjectKey::manifest(id))
            .await
            .unwrap();
    }
    f.rewind(&deleted, "deleted").await;
    let report = due(&f.holdfast, Timestamp::now()).await;
    let failed: Vec<_> = report
        .verified
        .iter()
        .filter(|v| v.level == VerificationLevel::Checksum)
        .collect();
    assert_eq!(failed.len(), 1, "{report:?}");
    assert_eq!(
        (&failed[0].backup_id, failed[0].status),
        (&lost, VerificationStatus::Failed)
    );
    assert!(
        failed[0].problems[0].contains("manifest.json is missing"),
        "{:?}",
        failed[0].problems
    );
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn content_backups_are_verified_beside_the_databases() {
    let f = content::Fixture::new(&[]).await;
    f.fill(3).await;
    let id = f.back_up().await.backup_id.to_string();
    let report = due(&f.holdfast, Timestamp::now()).await;
    let (checksum, structure) = (VerificationLevel::Checksum, VerificationLevel::Structure);
    assert_eq!(done(&report), [(id.clone(), checksum), (id, structure)]);
    let newest = f
        .holdfast
        .catalog
        .newest_verification(BackupType::Content, structure)
        .await
        .unwrap();
    assert_eq!(newest.unwrap().status, VerificationStatus::Passed);
    assert_eq!(
        f.holdfast
            .catalog
            .newest_verification(BackupType::Database, checksum)
            .await
            .unwrap(),
        None
    );
    let rows = f.rows("backup_jobs");
    let held = rows
        .count_documents(doc! { "verifying": { "$ne": Bson::Null } })
        .await
        .unwrap();
    assert_eq!(held, 0, "nothing is held any more");
    f.remove().await;
}
