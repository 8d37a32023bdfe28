use std::sync::Arc;

use holdfast_domain::{JobStatus, ObjectKey};
use holdfast_operations::{BackupOutcome, BackupRequest, back_up_database, trigger};
use holdfast_setup::Clients;
use holdfast_storage::{PutMode, read_all};
use holdfast_testing::{TestDeployment, aws_config, aws_config_at, event, parts};
use mongodb::bson::doc;

use super::*;

fn asked(id: &BackupId, level: &str) -> Value {
    let mut event = event("manual-verification");
    event["detail"]["backupId"] = json!(id);
    event["detail"]["level"] = json!(level);
    event
}

fn in_15_minutes() -> Timestamp {
    Timestamp::now() + std::time::Duration::from_mins(15)
}

/// One test's own platform, catalogue and store.
struct Stage {
    function: Function,
    deployment: TestDeployment,
}

impl Stage {
    async fn new(more: &[(&str, &str)]) -> Self {
        let deployment = TestDeployment::new().await;
        let native = [("BACKUP_DUMP_ENGINE", "native")];
        let variables = deployment.variables(&[&native, more].concat());
        Self {
            function: Function::new(variables, Clients::new(aws_config())),
            deployment,
        }
    }

    async fn backed_up(&self) -> BackupId {
        let user = doc! { "name": "ada" };
        self.deployment.insert("users", [user]).await;
        let holdfast = self.function.holdfast().await.unwrap();
        let job = Box::pin(trigger(
            holdfast,
            BackupType::Database,
            None,
            Timestamp::now(),
        ))
        .await
        .unwrap();
        let request = BackupRequest::Triggered {
            backup_id: job.backup_id,
        };
        match Box::pin(back_up_database(holdfast, request, RunLimits::none()))
            .await
            .unwrap()
        {
            BackupOutcome::Completed(job) => job.backup_id,
            other => panic!("{other:?}"),
        }
    }

    async fn remove(self) {
        self.deployment.remove().await;
    }
}

#[tokio::test]
async fn only_a_tick_or_a_request_is_acted_on() {
    let function = Function::new(
        Vec::new(),
        Clients::new(aws_config_at("http://127.0.0.1:9")),
    );
    for refused in [
        event("manual-database"),
        event("handed-on-finalize"),
        json!({}),
    ] {
        assert!(handle(&function, &refused, Timestamp::MAX).await.is_err());
    }
    for name in ["schedule-verification", "manual-verification"] {
        let error = handle(&function, &event(name), Timestamp::MAX)
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains("BACKUP_STORE"), "{name}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hour_verifies_what_is_new_and_holds_the_drill_that_is_due() {
    let stage = Stage::new(&[("BACKUP_DRILL_URI", &parts().mongodb_uri)]).await;
    let (first, second) = (stage.backed_up().await, stage.backed_up().await);
    let answer = handle(
        &stage.function,
        &event("schedule-verification"),
        in_15_minutes(),
    )
    .await
    .unwrap();
    let verified = answer["verified"].as_array().unwrap();
    let brief: Vec<_> = verified
        .iter()
        .map(|one| (&one["backupId"], &one["level"], &one["status"]))
        .collect();
    let (drill, checksum, passed) = (json!("drill"), json!("checksum"), json!("passed"));
    assert_eq!(
        brief,
        [
            (&json!(second), &drill, &passed),
            (&json!(first), &checksum, &passed)
        ],
        "{answer}"
    );
    assert!(
        answer["hoursSinceDrill"].as_f64().unwrap() < 0.1,
        "{answer}"
    );
    assert_eq!(answer["problems"], json!([]));
    let job = stage
        .function
        .holdfast()
        .await
        .unwrap()
        .catalog
        .get(&second)
        .await
        .unwrap();
    assert_eq!(
        (job.status, job.verification.unwrap().level),
        (JobStatus::Completed, VerificationLevel::Drill)
    );
    stage.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_requested_verification_is_answered_and_damage_is_named() {
    let stage = Stage::new(&[]).await;
    let id = stage.backed_up().await;
    let answer = handle(&stage.function, &asked(&id, "structure"), in_15_minutes())
        .await
        .unwrap();
    assert_eq!(
        (&answer["status"], &answer["level"]),
        (&json!("passed"), &json!("structure")),
        "{answer}"
    );
    let holdfast = stage.function.holdfast().await.unwrap();
    let store = Arc::clone(holdfast.repository.store());
    let key: ObjectKey = holdfast.catalog.get(&id).await.unwrap().key.unwrap();
    let mut bytes = read_all(store.as_ref(), &key, 1 << 20)
        .await
        .unwrap()
        .to_vec();
    bytes[10] ^= 1;
    store
        .put(&key, bytes.into(), PutMode::Replace)
        .await
        .unwrap();
    let answer = handle(&stage.function, &asked(&id, "checksum"), in_15_minutes())
        .await
        .unwrap();
    assert_eq!(answer["status"], "failed");
    assert!(
        answer["problems"][0]
            .as_str()
            .unwrap()
            .contains(key.as_str()),
        "{answer}"
    );
    let rows = holdfast.catalog.verifications(&id).await.unwrap();
    assert_eq!(rows[0].problems.len(), 1, "{rows:?}");
    for (asked, why) in [
        (asked(&id, "drill"), "BACKUP_DRILL_URI"),
        (
            asked(&"db_1_a".parse().unwrap(), "exists"),
            "there is no backup",
        ),
        (asked(&"content_1_a".parse().unwrap(), "drill"), "structure"),
    ] {
        let error = handle(&stage.function, &asked, in_15_minutes())
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains(why), "{error}");
    }
    stage.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_without_a_record_is_removed() {
    let stage = Stage::new(&[]).await;
    let id = stage.backed_up().await;
    let catalog = &stage.function.holdfast().await.unwrap().catalog;
    let now = Timestamp::now();
    let since = now - std::time::Duration::from_mins(15);
    let requested = async || {
        assert!(catalog.request_verification(&id, since, now).await.unwrap());
    };
    requested().await;
    let refused = handle(&stage.function, &asked(&id, "drill"), in_15_minutes()).await;
    assert!(refused.is_err(), "there is no server for drills");
    assert_eq!(catalog.busy_verifications(since).await.unwrap(), []);

    requested().await;
    catalog
        .begin_verification(&id, VerificationLevel::Exists, "another", since, now)
        .await
        .unwrap();
    let skipped = handle(&stage.function, &asked(&id, "exists"), in_15_minutes()).await;
    assert_eq!(skipped.unwrap()["status"], "skipped");
    let row = stage
        .deployment
        .client
        .database(&stage.deployment.catalog)
        .collection::<mongodb::bson::Document>("backup_jobs")
        .find_one(doc! { "_id": id.as_str() })
        .await
        .unwrap()
        .unwrap();
    assert!(!row.contains_key("verificationRequestedAt"), "{row}");
    stage.remove().await;
}

#[test]
fn each_type_has_its_own_numbers_and_every_run_reports_drills() {
    let mut report = DueReport {
        hours_since_drill: Some(2.0),
        drill_hours_overdue: Some(0.0),
        ..DueReport::default()
    };
    let drills = vec![
        (Metric::HoursSinceDrill, 2.0),
        (Metric::DrillHoursOverdue, 0.0),
    ];
    assert_eq!(values(&report, BackupType::Database), drills);
    assert_eq!(values(&report, BackupType::Content), []);
    report.unjudged = vec![("content_1_a".parse().unwrap(), "no key".to_owned())];
    assert_eq!(
        values(&report, BackupType::Content),
        [(Metric::VerificationFailed, 1.0)]
    );
    assert_eq!(values(&report, BackupType::Database), drills);
}
