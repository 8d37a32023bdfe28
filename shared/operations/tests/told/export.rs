use std::sync::Arc;

use holdfast_catalog::StoredPolicy;
use holdfast_domain::{
    BackupType::{Content, Database},
    ObjectKey, RetentionPolicy,
    VerificationLevel::Checksum,
    VerificationStatus::Passed,
    settings,
};
use holdfast_operations::{BackupRequest, Export, Holdfast, export_metadata, record_misconfigured};
use holdfast_storage::{Store, read_all};
use holdfast_testing::{
    EXPOSED_SECRETS, EXPOSING_SETTINGS, Fault, FaultStore, Operation, TestStore,
};
use mongodb::bson::doc;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::fixture::{Fixture, on_catalog, repository};

const LARGEST: usize = 64 * 1024 * 1024;

/// The export and its content, after a comparison with the stored rows.
async fn exported(h: &Holdfast, fixture: &Fixture) -> (Export, Value) {
    let export = export_metadata(h, fixture.now).await.unwrap();
    let stored = read_all(h.repository.store().as_ref(), &export.key, LARGEST)
        .await
        .unwrap();
    assert_eq!(export.size, stored.len() as u64);
    assert_eq!(
        export.checksum.to_string(),
        hex::encode(Sha256::digest(&stored))
    );
    (export, serde_json::from_slice(&stored).unwrap())
}

#[tokio::test]
async fn an_export_holds_every_job_policy_and_verification() {
    on_catalog(&[], async |fixture| {
        let kept = fixture.backed_up(Database, 30, 10).await;
        fixture.verified(&kept, Checksum, Passed).await;
        let gone = fixture.backed_up(Content, 20, 10).await;
        fixture.deleted(&gone).await;
        fixture.failed(Database, 10).await;
        let policy = RetentionPolicy {
            keep_weekly: Some(8),
            ..RetentionPolicy::from_days(14)
        };
        let stored = StoredPolicy {
            policy,
            updated_by: Some("ada".to_owned()),
            updated_at: fixture.now,
        };
        fixture
            .h
            .catalog
            .set_policy(Content, &stored)
            .await
            .unwrap();

        let (export, document) = exported(&fixture.h, fixture).await;
        let ms = fixture.now.as_millisecond();
        assert_eq!(
            export.key.as_str(),
            format!("exports/backup_metadata_{ms}.json")
        );
        assert_eq!(
            (export.jobs, export.verifications, export.unreadable),
            (3, 1, 0)
        );
        assert_eq!(
            document["counts"],
            json!({ "jobs": 3, "verifications": 1, "unreadable": 0 })
        );
        assert_eq!(
            (&document["format"], &document["formatVersion"]),
            (&json!("holdfast-metadata"), &json!(1))
        );
        assert_eq!(document["exportedAt"], json!(fixture.now));
        let job = fixture.h.catalog.get(&kept).await.unwrap();
        assert!(
            document["jobs"].as_array().unwrap().contains(&json!(job)),
            "{document}"
        );
        assert_eq!(
            document["verifications"][0]["problems"],
            json!(["a part is missing"])
        );
        assert_eq!(document["policies"]["content"]["policy"]["keepWeekly"], 8);
        assert_eq!(document["policies"]["database"]["origin"], "settings");
        assert_eq!(
            document["statistics"]["database"]["successRate"]["all"]["percent"],
            50.0
        );
        assert_eq!(document["repository"]["location"], "s3://backups/prod/");
        assert_eq!(
            document["repository"]["id"],
            json!(null),
            "none exists, and none is made"
        );
    })
    .await;
}

#[tokio::test]
async fn an_export_of_nothing_is_a_whole_document() {
    on_catalog(&[], async |fixture| {
        let (_, document) = exported(&fixture.h, fixture).await;
        assert_eq!(
            (&document["jobs"], &document["verifications"]),
            (&json!([]), &json!([]))
        );
        assert_eq!(document["unreadable"], json!([]));
    })
    .await;
}

#[tokio::test]
async fn no_secret_and_nothing_of_the_contents_is_in_an_export() {
    let key = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    let settings = [
        ("BACKUP_ENCRYPTION_KEY", key),
        ("BACKUP_DATABASE_ENCRYPTION", "true"),
    ];
    on_catalog(&settings, async |fixture| {
        let wrapped = "c0ffee".repeat(13) + "aa";
        let file = json!({
            "formatVersion": 1, "id": "0123456789abcdef0123456789abcdef", "createdAt": "2026-01-01T00:00:00Z",
            "epochs": [{
                "epoch": 1, "createdAt": "2026-01-01T00:00:00Z", "fingerprint": "07".repeat(32),
                "keys": [{ "method": "key", "wrapped": wrapped }],
            }],
        });
        let body = serde_json::to_vec(&file).unwrap().into();
        let mode = holdfast_storage::PutMode::IfAbsent;
        fixture.memory.put(&ObjectKey::repository(), body, mode).await.unwrap();
        let id = fixture.backed_up(Content, 3, 10).await;
        hold_something_of(fixture).await;
        let (_, document) = exported(&fixture.h, fixture).await;
        let epoch = json!({ "epoch": 1, "createdAt": "2026-01-01T00:00:00Z", "fingerprint": "07".repeat(32) });
        assert_eq!(document["repository"]["keyEpochs"], json!([epoch]));
        assert_eq!(document["jobs"][0]["backupId"], json!(id));
        let text = document.to_string();
        for secret in [key, &wrapped, "hunter2", "A private title", "hub.example", "0xCreator"] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_secret_in_a_rejected_setting_is_in_no_job_row_and_in_no_export() {
    on_catalog(&[], async |fixture| {
        let wrong = EXPOSING_SETTINGS.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let faults = settings::read(wrong).settings.unwrap_err();
        assert!(faults.0.len() >= EXPOSING_SETTINGS.len(), "{faults}");
        let request = BackupRequest::Scheduled {
            kind: Database,
            tick: fixture.now,
            by: None,
        };
        let job = record_misconfigured(&fixture.h.catalog, &request, &faults, fixture.now)
            .await
            .unwrap();
        let failure = job.error.clone().unwrap();
        assert!(
            failure.message.contains("BACKUP_IPFS_GATEWAYS"),
            "{failure:?}"
        );
        let (_, document) = exported(&fixture.h, fixture).await;
        let row = fixture
            .rows("backup_jobs")
            .find_one(doc! {})
            .await
            .unwrap()
            .unwrap();
        for text in [document.to_string(), row.to_string(), format!("{job:?}")] {
            assert!(
                EXPOSED_SECRETS.iter().all(|secret| !text.contains(secret)),
                "{text}"
            );
        }
    })
    .await;
}

/// Rows of an item and of its source, as in the catalogue.
async fn hold_something_of(fixture: &Fixture) {
    let item = doc! {
        "_id": "content_1_a/7", "title": "A private title", "url": "https://hub.example/7", "creator": "0xCreator",
    };
    fixture.rows("backup_items").insert_one(item).await.unwrap();
    let source = doc! { "_id": "x", "locator": "https://hub.example/7" };
    fixture
        .rows("content_objects")
        .insert_one(source)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_named_and_not_left_out_in_silence() {
    on_catalog(&[], async |fixture| {
        let broken = fixture.backed_up(Database, 30, 10).await;
        fixture.backed_up(Database, 20, 10).await;
        let set = doc! { "$set": { "status": "resting" } };
        fixture
            .rows("backup_jobs")
            .update_one(doc! { "_id": broken.as_str() }, set)
            .await
            .unwrap();
        let (export, document) = exported(&fixture.h, fixture).await;
        assert_eq!((export.jobs, export.unreadable), (1, 1));
        let named = document["unreadable"][0].as_str().unwrap();
        assert!(
            named.contains(broken.as_str()) && named.contains("backup_jobs"),
            "{named}"
        );
    })
    .await;
}

#[tokio::test]
async fn a_repository_that_lost_its_file_is_exported_all_the_same() {
    on_catalog(&[], async |fixture| {
        let id = fixture.backed_up(Database, 3, 10).await;
        let mode = holdfast_storage::PutMode::IfAbsent;
        fixture
            .memory
            .put(&ObjectKey::manifest(&id), "{}".into(), mode)
            .await
            .unwrap();
        let (export, document) = exported(&fixture.h, fixture).await;
        assert_eq!(
            (export.jobs, &document["repository"]["id"]),
            (1, &json!(null))
        );
        assert!(
            document["repository"]["problem"]
                .as_str()
                .unwrap()
                .contains("repository.json"),
            "{document}"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tens_of_thousands_of_jobs_go_out_in_parts() {
    on_catalog(&[], async |fixture| {
        fixture.many_jobs(20_000, 2).await;
        let faults = FaultStore::new(Arc::clone(fixture.h.repository.store()));
        let h = Holdfast {
            repository: repository(faults.clone()),
            ..fixture.h.clone()
        };
        let (export, document) = exported(&h, fixture).await;
        assert_eq!(
            (export.jobs, document["jobs"].as_array().unwrap().len()),
            (20_000, 20_000)
        );
        assert!(
            faults.calls(Operation::UploadPart) >= 2,
            "{} bytes",
            export.size
        );
        assert_eq!(
            h.repository
                .store()
                .list_unfinished_uploads("")
                .await
                .unwrap(),
            []
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_that_the_store_does_not_take_leaves_nothing() {
    on_catalog(&[], async |fixture| {
        fixture.many_jobs(600, 300).await;
        for (operation, fault) in [
            (Operation::BeginUpload, Fault::Denied),
            (Operation::UploadPart, Fault::Unavailable),
            (Operation::CompleteUpload, Fault::Unavailable),
        ] {
            let faults = FaultStore::new(fixture.memory.clone());
            faults.on_every(operation, fault);
            let h = Holdfast {
                repository: repository(faults),
                ..fixture.h.clone()
            };
            let error = export_metadata(&h, fixture.now).await.unwrap_err();
            assert!(
                error.to_string().contains("exports/"),
                "{operation:?}: {error}"
            );
            assert_eq!(fixture.memory.keys(), [], "{operation:?}");
            assert_eq!(
                fixture.memory.list_unfinished_uploads("").await.unwrap(),
                [],
                "{operation:?}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn a_store_that_makes_no_links_says_so() {
    on_catalog(&[], async |fixture| {
        let (export, _) = exported(&fixture.h, fixture).await;
        let told = json!(export);
        assert_eq!(told["link"], json!(null));
        assert!(
            told["reason"]
                .as_str()
                .unwrap()
                .contains("s3://backups/prod/"),
            "{told}"
        );
    })
    .await;
}

#[tokio::test]
async fn the_link_brings_the_very_bytes_for_a_quarter_of_an_hour() {
    let test = TestStore::new().await;
    on_catalog(&[], async |fixture| {
        fixture.backed_up(Database, 3, 10).await;
        let h = Holdfast {
            repository: repository(Arc::clone(&test.store)),
            ..fixture.h.clone()
        };
        let (export, _) = exported(&h, fixture).await;
        assert!(!format!("{export:?}").contains("Signature"), "{export:?}");
        let told = json!(export);
        assert!(told.get("reason").is_none(), "{told}");
        let fetched = reqwest::get(told["link"]["url"].as_str().unwrap())
            .await
            .unwrap()
            .bytes()
            .await
            .unwrap();
        assert_eq!(
            hex::encode(Sha256::digest(&fetched)),
            told["checksum"].as_str().unwrap()
        );
        let lasts = export
            .link
            .unwrap()
            .expires_at
            .duration_since(fixture.now)
            .as_secs();
        assert!((900..=1200).contains(&lasts), "{lasts}");
    })
    .await;
    test.remove().await;
}
