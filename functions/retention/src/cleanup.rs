//! Maps the daily event, or a user's request, to a run of retention, and its report to metrics and
//! a response.

use holdfast_domain::{BackupType, Timestamp};
use holdfast_lambda::{Function, Metric};
use holdfast_operations::{OperationError, RETAINED_TYPES, RetentionReport, RunLimits, retain};
use serde_json::{Value, json};

/// Suffix of the name of retention's own schedule. A tick of any other schedule is for the sweep.
const SCHEDULE: &str = "-retention";

/// Whether a tick of this schedule requests retention.
pub(crate) fn is_its_schedule(schedule: Option<&str>) -> bool {
    schedule.is_some_and(|name| name.ends_with(SCHEDULE))
}

/// Runs retention. A failed step is logged, and its metric raises the alarm. The run of the next
/// day continues.
pub(crate) async fn run(
    function: &Function,
    by: Option<&str>,
    deadline: Timestamp,
) -> Result<Value, OperationError> {
    let limits = RunLimits {
        deadline: Some(deadline),
    };
    let holdfast = function.holdfast().await?;
    // Boxed: the future of the use case is too deep a type for the compiler's layout.
    let report = match Box::pin(retain(holdfast, limits, Timestamp::now())).await {
        Ok(report) => report,
        Err(OperationError::Disabled(switch)) => {
            tracing::info!(switch, "nothing was deleted: it is switched off");
            return Ok(json!({ "skipped": switch }));
        }
        Err(error) => return Err(error),
    };
    for kind in RETAINED_TYPES {
        function.metrics().emit(kind, &values(&report, kind));
    }
    log(&report, by);
    Ok(json!(report))
}

/// Every run emits all of them, even 0.
#[expect(clippy::cast_precision_loss, reason = "CloudWatch keeps doubles")]
fn values(report: &RetentionReport, kind: BackupType) -> Vec<(Metric, f64)> {
    let (of_kind, collection) = (report.of(kind), &report.collection);
    let is_content = kind == BackupType::Content;
    let (collected, freed, blocked) = if is_content {
        (
            collection.deleted,
            collection.bytes_freed,
            collection.blocked,
        )
    } else {
        (0, 0, 0)
    };
    let told = [
        (Metric::BackupsDeleted, of_kind.deleted.len() as u64),
        (Metric::BackupsRetained, of_kind.retained),
        (
            Metric::RetentionBlocked,
            of_kind.blocked.len() as u64 + blocked,
        ),
        (Metric::BytesFreed, of_kind.bytes_freed + freed),
        (Metric::RetentionViolated, of_kind.violations()),
    ];
    let objects = [
        (Metric::ObjectsCollected, collected),
        (Metric::OrphanBytes, collection.unreferenced_bytes),
    ];
    let objects = objects.into_iter().filter(|_| is_content);
    told.into_iter()
        .chain(objects)
        .map(|(metric, value)| (metric, value as f64))
        .collect()
}

fn log(report: &RetentionReport, by: Option<&str>) {
    for problem in report.all_problems() {
        tracing::error!(
            error = problem,
            "a step of retention failed, and the others continued"
        );
    }
    for kind in RETAINED_TYPES {
        let of_kind = report.of(kind);
        if let Some(why) = &of_kind.suspended {
            tracing::error!(%kind, why, "retention is suspended");
        }
        for id in &of_kind.lost {
            tracing::error!(backupId = %id, "a backup is lost: its manifest is missing. See `holdfast lost list`");
        }
        for id in &of_kind.returned {
            tracing::info!(backupId = %id, "a lost backup is completed again");
        }
    }
    if let Some(why) = &report.collection.suspended {
        tracing::error!(why, "the collection of content objects is suspended");
    }
    for step in report
        .unfinished
        .iter()
        .chain(&report.collection.unfinished)
    {
        tracing::warn!(
            step,
            "a step of retention reached its time limit: the next run continues it"
        );
    }
    if let Some(why) = &report.collection.skipped {
        tracing::info!(why, "content objects are left to the next run");
    }
    tracing::info!(
        by,
        databaseDeleted = report.database.deleted.len(),
        databaseRetained = report.database.retained,
        contentDeleted = report.content.deleted.len(),
        contentRetained = report.content.retained,
        objectsCollected = report.collection.deleted,
        "retention is done"
    );
}

#[cfg(test)]
mod tests {
    use holdfast_database::Connection;
    use holdfast_domain::{Secret, settings::ReadPreference};
    use holdfast_operations::CollectionReport;
    use holdfast_setup::Clients;
    use holdfast_testing::{TestStore, aws_config, parts, unique};

    use super::*;

    #[test]
    fn only_its_own_schedule_asks_for_retention() {
        assert!(is_its_schedule(Some("holdfast-retention")));
        assert!(!is_its_schedule(Some("my-retention-SweepSchedule-1A2B3C")));
        assert!(!is_its_schedule(None));
    }

    #[tokio::test]
    async fn every_run_emits_every_metric() {
        let store = TestStore::new().await;
        let database = unique("retention");
        let catalog = parts().mongodb_uri.replace("/?", &format!("/{database}?"));
        let variables = [
            ("MONGODB_URI", parts().mongodb_uri.clone()),
            ("BACKUP_CATALOG_URI", catalog),
            (
                "BACKUP_STORE",
                format!("s3://{}/{}", store.bucket, store.prefix),
            ),
        ];
        let variables = variables
            .map(|(name, value)| (name.to_owned(), value))
            .to_vec();
        let function = Function::new(variables, Clients::new(aws_config()));
        let answer = run(&function, Some("ada"), Timestamp::MAX).await.unwrap();
        assert_eq!(
            (&answer["database"]["retained"], &answer["problems"]),
            (&json!(0), &json!([])),
            "{answer}"
        );
        let report = retain(
            function.holdfast().await.unwrap(),
            RunLimits::none(),
            Timestamp::now(),
        )
        .await
        .unwrap();
        let zero = |metric| (metric, 0.0);
        let common = [
            Metric::BackupsDeleted,
            Metric::BackupsRetained,
            Metric::RetentionBlocked,
            Metric::BytesFreed,
            Metric::RetentionViolated,
        ]
        .map(zero);
        assert_eq!(values(&report, BackupType::Database), common);
        let objects = [Metric::ObjectsCollected, Metric::OrphanBytes].map(zero);
        assert_eq!(
            values(&report, BackupType::Content),
            [&common[..], &objects].concat()
        );
        let found = RetentionReport {
            collection: CollectionReport {
                unreferenced_bytes: 9,
                deleted: 2,
                ..CollectionReport::default()
            },
            ..report
        };
        let told = values(&found, BackupType::Content);
        assert!(
            told.contains(&(Metric::OrphanBytes, 9.0))
                && told.contains(&(Metric::ObjectsCollected, 2.0)),
            "{told:?}"
        );
        assert_eq!(
            values(&found, BackupType::Database),
            common,
            "objects are of content"
        );
        let uri = Secret::new(&parts().mongodb_uri);
        let server = Connection::open(&uri, ReadPreference::Primary, "tests")
            .await
            .unwrap();
        server.drop_database(&database).await.unwrap();
        store.remove().await;
    }
}
