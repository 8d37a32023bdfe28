use holdfast_catalog::SourceAddress;
use holdfast_domain::{
    Artifact,
    BackupType::{self, Content, Database, Full},
    Encoding, ObjectKey, Sha256Digest, StorageType, StoredFile, StoredObject,
    VerificationLevel::{Checksum, Drill, Structure},
    VerificationStatus::{Failed, Passed},
    Verified,
};
use holdfast_operations::{Durations, Statistics, Stored, SuccessRate, status};
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::fixture::{Fixture, MIB, on_catalog};

async fn statistics(fixture: &Fixture) -> Statistics {
    status(&fixture.h, fixture.now).await.unwrap().statistics
}

#[tokio::test]
async fn of_a_deployment_that_did_nothing_every_figure_is_absent_or_zero() {
    on_catalog(&[], async |fixture| {
        let told = json!(statistics(fixture).await);
        let rate = json!({ "completed": 0, "failed": 0, "percent": null });
        let of_type = json!({
            "lastGoodBackup": null, "nextDueAt": null,
            "successRate": { "last7Days": rate, "last30Days": rate, "all": rate },
            "durations": { "count": 0, "lastMs": null, "medianMs": null, "p95Ms": null },
            "stored": { "backups": 0, "backupBytes": 0, "objects": 0, "objectBytes": 0 },
            "originalBytes": 0, "storedPercent": null, "growthPercent": null,
        });
        assert_eq!(
            told,
            json!({
                "jobs": [], "successRatePercent": null, "storedBytes": 0, "originalBytes": 0, "meanDurationMs": null,
                "deletedBackups": 0, "verifications": [], "lastDrill": null,
                "retention": { "deletedBackups": 0, "deletedBytes": 0, "keptBackups": 0, "keptBytes": 0 },
                "database": of_type, "content": of_type,
            })
        );
    })
    .await;
}

#[tokio::test]
async fn success_rates_are_of_a_week_of_a_month_and_of_all() {
    on_catalog(&[], async |fixture| {
        for hours in [1, 24, 48] {
            fixture.backed_up(Database, hours, 10).await;
        }
        fixture.failed(Database, 72).await;
        let old = fixture.backed_up(Database, 24 * 20, 10).await;
        fixture.deleted(&old).await;
        fixture.failed(Database, 24 * 40).await;
        fixture.begun(Database, 24 * 50).await;
        fixture.failed(Content, 5).await;
        let told = statistics(fixture).await;
        let rate = |completed, failed, percent| SuccessRate {
            completed,
            failed,
            percent,
        };
        let database = told.database.success_rate;
        assert_eq!(database.last_7_days, rate(3, 1, Some(75.0)));
        assert_eq!(database.last_30_days, rate(4, 1, Some(80.0)));
        assert_eq!(database.all, rate(4, 2, Some(66.6)));
        assert_eq!(told.content.success_rate.all, rate(0, 1, Some(0.0)));
        assert_eq!(
            told.success_rate_percent,
            Some(57.1),
            "both types: deleted backups were successes"
        );
    })
    .await;
}

#[tokio::test]
async fn durations_are_of_the_last_thirty_days() {
    on_catalog(&[], async |fixture| {
        for hours in [2, 30, 500, 721] {
            fixture.backed_up(Database, hours, 10).await;
        }
        let told = statistics(fixture).await;
        let expected = Durations {
            count: 3,
            last_ms: Some(2),
            median_ms: Some(30),
            p95_ms: Some(500),
        };
        assert_eq!(
            (told.database.durations, told.content.durations),
            (expected, Durations::default())
        );
        assert_eq!(
            told.mean_duration_ms,
            Some((2 + 30 + 500 + 721) / 4),
            "of all there are"
        );
    })
    .await;
}

#[tokio::test]
async fn the_last_good_backup_is_one_that_no_verification_found_damaged() {
    on_catalog(&[], async |fixture| {
        let good = fixture.backed_up(Database, 30, 10).await;
        let damaged = fixture.backed_up(Database, 20, 10).await;
        fixture.verified(&damaged, Checksum, Failed).await;
        fixture.failed(Database, 10).await;
        let told = statistics(fixture).await.database.last_good_backup.unwrap();
        assert_eq!(
            (told.backup_id, told.created_at),
            (good, fixture.hours_ago(30))
        );
        assert_eq!(told.age_seconds, 30 * 3600);
        // Verified again at the same level, and passed.
        fixture.verified(&damaged, Structure, Passed).await;
        assert_eq!(
            statistics(fixture)
                .await
                .database
                .last_good_backup
                .unwrap()
                .backup_id,
            damaged
        );
    })
    .await;
}

#[tokio::test]
async fn the_next_backup_is_due_an_interval_after_the_last_good_one() {
    let settings = [
        ("BACKUP_DATABASE_INTERVAL_HOURS", "6"),
        ("BACKUP_CONTENT_ENABLED", "false"),
    ];
    on_catalog(&settings, async |fixture| {
        fixture.failed(Database, 10).await;
        let due = async || statistics(fixture).await.database.next_due_at;
        assert_eq!(due().await, None, "now: no backup was good yet");
        fixture.backed_up(Database, 2, 10).await;
        fixture.failed(Database, 1).await;
        assert_eq!(
            due().await,
            Some(fixture.now + SignedDuration::from_hours(4))
        );
        fixture.backed_up(Content, 3, 10).await;
        assert_eq!(
            statistics(fixture).await.content.next_due_at,
            None,
            "it is switched off"
        );
    })
    .await;
}

#[tokio::test]
async fn stored_bytes_are_reported_by_type_and_a_full_backup_stores_nothing_itself() {
    on_catalog(&[], async |fixture| {
        fixture.backed_up(Database, 3, 10).await;
        let deleted = fixture.backed_up(Database, 9, 7).await;
        fixture.deleted(&deleted).await;
        fixture.backed_up(Content, 2, 30).await;
        fixture.backed_up(Full, 1, 40).await;
        for (locator, number) in [("a", 1), ("b", 1), ("c", 2)] {
            hold(fixture, locator, number).await;
        }
        let told = statistics(fixture).await;
        assert_eq!(
            told.database.stored,
            Stored {
                backups: 1,
                backup_bytes: 10,
                objects: Some(0),
                object_bytes: Some(0)
            }
        );
        assert_eq!(
            told.content.stored,
            Stored {
                backups: 1,
                backup_bytes: 30,
                objects: Some(2),
                object_bytes: Some(200)
            }
        );
        assert_eq!((told.stored_bytes, told.original_bytes), (40, 80));
        assert_eq!(
            (told.database.original_bytes, told.database.stored_percent),
            (20, Some(50.0))
        );
        let retention = told.retention;
        assert_eq!((retention.deleted_backups, retention.deleted_bytes), (1, 7));
        assert_eq!((retention.kept_backups, retention.kept_bytes), (2, 40));
    })
    .await;
}

#[tokio::test]
async fn verifications_and_the_last_drill_are_reported() {
    on_catalog(&[], async |fixture| {
        let id = fixture.backed_up(Database, 3, 10).await;
        for (level, status) in [
            (Checksum, Passed),
            (Checksum, Passed),
            (Structure, Failed),
            (Drill, Passed),
        ] {
            fixture.verified(&id, level, status).await;
        }
        let told = json!(statistics(fixture).await);
        assert_eq!(
            told["verifications"],
            json!([
                { "level": "checksum", "status": "passed", "count": 2 },
                { "level": "structure", "status": "failed", "count": 1 },
                { "level": "drill", "status": "passed", "count": 1 },
            ])
        );
        assert_eq!(
            told["lastDrill"],
            json!({ "backupId": id, "status": "passed", "at": fixture.now })
        );
    })
    .await;
}

#[tokio::test]
async fn growth_is_reported_from_the_eighth_backup_on() {
    on_catalog(&[], async |fixture| {
        let growth = async || {
            let told = statistics(fixture).await;
            [told.database.growth_percent, told.content.growth_percent]
        };
        for day in 1..=7 {
            let id = fixture.backed_up(Database, 24 * day, 1000 * MIB).await;
            // Retention has deleted it by now, but its size stays the same.
            if day > 2 {
                fixture.deleted(&id).await;
            }
            fixture.backed_up(Content, 24 * day, 1000 * MIB).await;
        }
        assert_eq!(growth().await, [None, None]);
        fixture.backed_up(Database, 0, 1700 * MIB).await;
        fixture.backed_up(Content, 0, 900 * MIB).await;
        assert_eq!(growth().await, [Some(70.0), Some(-10.0)]);
    })
    .await;
}

/// A file of 100 stored bytes, under an address derived from this number.
async fn hold(fixture: &Fixture, locator: &str, number: u8) {
    let address = Sha256Digest::new([number; 32]);
    let artifact = Artifact {
        key: ObjectKey::content_object(&address, Encoding::PLAIN),
        size: 100,
        sha256: address,
        segment_bytes: 8_388_608,
        segments: vec![address],
    };
    let file = StoredFile {
        size: 100,
        file_sha256: address,
        object: StoredObject {
            artifact,
            compression: None,
            encryption: None,
        },
        dag: None,
        cid: None,
        verified: Verified::Transport,
        served_by: "https://hub.example".to_owned(),
        validator: None,
        content_type: None,
        content_encoding: None,
        fetched_at: fixture.now,
    };
    let source = SourceAddress {
        storage_type: StorageType::Gaia,
        locator,
        address: &address,
    };
    fixture
        .h
        .catalog
        .record_stored_file(&source, &file, fixture.now)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_broken_row_hides_no_figure() {
    on_catalog(&[], async |fixture| {
        fixture.backed_up(Database, 3, 10).await;
        let broken = fixture.backed_up(BackupType::Database, 2, 10).await;
        let set = mongodb::bson::doc! { "$set": { "createdAt": "yesterday", "size": "much" } };
        let by_id = mongodb::bson::doc! { "_id": broken.as_str() };
        fixture
            .rows("backup_jobs")
            .update_one(by_id, set)
            .await
            .unwrap();
        let told: Value = json!(statistics(fixture).await);
        assert_eq!(
            told["database"]["lastGoodBackup"]["ageSeconds"],
            3 * 3600,
            "{told}"
        );
    })
    .await;
}
