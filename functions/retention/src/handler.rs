//! From the hourly event to the sweep, and from its report to metrics and a response. The daily
//! event is for retention.

use holdfast_domain::{BackupId, BackupType, Timestamp};
use holdfast_lambda::{Event, EventFault, Function, InvocationError, Metric};
use holdfast_operations::{
    Measured, NextStep, OperationError, RunLimits, SweepReport, sweep_within,
};
use serde_json::{Value, json};

use crate::cleanup;

/// Runs the sweep. A failed step is logged, and does not hide the results of the others. If the
/// sweep could not begin, it is an error, and the missing metric raises the alarm.
pub(crate) async fn handle(
    function: &Function,
    payload: &Value,
    deadline: Timestamp,
) -> Result<Value, InvocationError> {
    match Event::parse(payload)? {
        Event::Tick { schedule, .. } if cleanup::is_its_schedule(schedule.as_deref()) => {
            Ok(cleanup::run(function, schedule.as_deref(), deadline).await?)
        }
        Event::CleanupRequested { by } => {
            Ok(cleanup::run(function, by.as_deref(), deadline).await?)
        }
        Event::Tick { .. } => sweep_once(function, deadline).await,
        _ => Err(EventFault::Malformed("a request is not for this function".to_owned()).into()),
    }
}

async fn sweep_once(function: &Function, deadline: Timestamp) -> Result<Value, InvocationError> {
    let report = run(function, deadline).await.inspect_err(|error| {
        if matches!(error, OperationError::Config(_)) {
            function
                .metrics()
                .emit(BackupType::Database, &[(Metric::BackupFailure, 1.0)]);
        }
    })?;
    for kind in [BackupType::Database, BackupType::Content] {
        function.metrics().emit(kind, &values(&report, kind));
    }
    log(&report);
    Ok(json!(report))
}

async fn run(function: &Function, deadline: Timestamp) -> Result<SweepReport, OperationError> {
    let limits = RunLimits {
        deadline: Some(deadline),
    };
    let queue = function.queue().await?;
    // Boxed: the future of the use case is too deep a type for the compiler's layout.
    let holdfast = function.holdfast().await?;
    let mut report = Box::pin(sweep_within(
        holdfast,
        Some(&queue),
        limits,
        Timestamp::now(),
    ))
    .await?;
    for NextStep { backup_id, step } in &report.to_continue {
        if let Err(error) = function.continue_with(backup_id, *step).await {
            report.problems.push(format!("job {backup_id}: {error}"));
        }
    }
    Ok(report)
}

/// The metrics of a sweep. It always emits the hours overdue, even 0, because a missing value means
/// that no sweep ran. It emits the stored amounts as far as they were measured.
fn values(report: &SweepReport, kind: BackupType) -> Vec<(Metric, f64)> {
    let of_kind = |ids: &[BackupId]| ids.iter().filter(|id| id.backup_type() == kind).count();
    let (stalled, not_started) = (of_kind(&report.stalled), of_kind(&report.not_started));
    let counted = [
        (Metric::BackupStalled, number(stalled)),
        // Their runs died before they could report.
        (Metric::BackupFailure, number(stalled + not_started)),
        (Metric::BackupSuccess, number(of_kind(&report.completed))),
    ];
    let (overdue, orphan_bytes, measured, more) = match kind {
        BackupType::Content => (
            report.content_hours_overdue,
            report.content_orphan_bytes,
            report.content_measured,
            vec![
                (Metric::ItemsResent, number(report.items_resent)),
                (Metric::ItemsUndelivered, number(report.items_given_up)),
            ],
        ),
        BackupType::Database | BackupType::Full => (
            report.database_hours_overdue,
            report.database_orphan_bytes,
            report.database_measured,
            vec![
                (Metric::LeasesFreed, number(report.leases_freed)),
                (Metric::UploadsAborted, number(report.uploads_aborted)),
                (Metric::OrphansRemoved, number(report.objects_removed)),
            ],
        ),
    };
    let counted = counted
        .into_iter()
        .chain(more)
        .filter(|(_, value)| *value > 0.0);
    let always = [
        (Metric::HoursOverdue, overdue),
        (Metric::OrphanBytes, bytes(orphan_bytes)),
    ];
    always
        .into_iter()
        .chain(measured.iter().flat_map(stored))
        .chain(counted)
        .collect()
}

/// Omits counts that did not end in time, and growth without a comparison.
fn stored(measured: &Measured) -> impl Iterator<Item = (Metric, f64)> {
    let Measured {
        stored,
        growth_percent,
    } = *measured;
    let stored_bytes = stored.bytes().map(|all| (Metric::StoredBytes, bytes(all)));
    let growth = growth_percent.map(|percent| (Metric::StorageGrowthPercent, percent));
    std::iter::once((Metric::TotalBackups, bytes(stored.backups)))
        .chain(stored_bytes)
        .chain(growth)
}

#[expect(clippy::cast_precision_loss, reason = "CloudWatch keeps doubles")]
const fn bytes(count: u64) -> f64 {
    count as f64
}

fn number(count: impl TryInto<u32>) -> f64 {
    count.try_into().unwrap_or(u32::MAX).into()
}

fn log(report: &SweepReport) {
    let each = |ids: &[BackupId], said: &'static str| {
        for id in ids {
            tracing::warn!(backupId = %id, "{said}");
        }
    };
    each(
        &report.stalled,
        "the backup stopped without a result, and was settled as stalled",
    );
    each(
        &report.completed,
        "the run died after it wrote the manifest, and the backup was settled as completed",
    );
    each(
        &report.not_started,
        "no worker started the backup, and it was settled as not started",
    );
    for problem in &report.problems {
        tracing::error!(
            error = problem,
            "a step of the sweep failed, and the others continued"
        );
    }
    for step in &report.unfinished {
        tracing::warn!(
            step,
            "a step of the sweep reached its time limit: the next sweep continues it"
        );
    }
    tracing::info!(
        leasesFreed = report.leases_freed,
        uploadsAborted = report.uploads_aborted,
        objectsRemoved = report.objects_removed,
        orphanBytes = report.database_orphan_bytes + report.content_orphan_bytes,
        itemsResent = report.items_resent,
        databaseHoursOverdue = report.database_hours_overdue,
        contentHoursOverdue = report.content_hours_overdue,
        "the sweep is done"
    );
}

#[cfg(test)]
mod tests {
    use holdfast_database::Connection;
    use holdfast_domain::{Secret, settings::ReadPreference};
    use holdfast_operations::Stored;
    use holdfast_setup::Clients;
    use holdfast_testing::{TestStore, aws_config, aws_config_at, parts, unique};

    use super::*;

    fn event(name: &str) -> Value {
        let path = format!("{}/../../events/{name}.json", env!("CARGO_MANIFEST_DIR"));
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    fn function(variables: &[(&str, &str)], aws: aws_config::SdkConfig) -> Function {
        let variables = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Function::new(variables, Clients::new(aws))
    }

    #[test]
    fn every_sweep_emits_hours_overdue_of_each_type() {
        let overdue = |report: &SweepReport| {
            [BackupType::Database, BackupType::Content].map(|kind| values(report, kind))
        };
        let hours = |hours| [(Metric::HoursOverdue, hours), (Metric::OrphanBytes, 0.0)];
        assert_eq!(overdue(&SweepReport::default()), [hours(0.0), hours(0.0)]);
        let partly = SweepReport {
            database_hours_overdue: 2.5,
            content_hours_overdue: 1.5,
            problems: vec!["x".to_owned()],
            ..SweepReport::default()
        };
        assert_eq!(overdue(&partly), [hours(2.5), hours(1.5)]);
    }

    #[test]
    fn stored_bytes_are_emitted_for_each_type_and_growth_only_if_known() {
        let stored = |backups| Stored {
            backups,
            backup_bytes: 10,
            objects: Some(2),
            object_bytes: Some(5),
        };
        let report = SweepReport {
            database_measured: Some(Measured {
                stored: stored(3),
                growth_percent: Some(-12.5),
            }),
            content_measured: Some(Measured {
                stored: stored(4),
                growth_percent: None,
            }),
            content_orphan_bytes: 7,
            ..SweepReport::default()
        };
        let first = |kind| values(&report, kind);
        let database = [
            (Metric::HoursOverdue, 0.0),
            (Metric::OrphanBytes, 0.0),
            (Metric::TotalBackups, 3.0),
            (Metric::StoredBytes, 15.0),
            (Metric::StorageGrowthPercent, -12.5),
        ];
        assert_eq!(first(BackupType::Database), database);
        let content = [
            (Metric::HoursOverdue, 0.0),
            (Metric::OrphanBytes, 7.0),
            (Metric::TotalBackups, 4.0),
            (Metric::StoredBytes, 15.0),
        ];
        assert_eq!(first(BackupType::Content), content);
        let uncounted = Measured {
            stored: Stored {
                object_bytes: None,
                ..stored(4)
            },
            growth_percent: None,
        };
        let told: Vec<_> = super::stored(&uncounted).collect();
        assert_eq!(
            told,
            [(Metric::TotalBackups, 4.0)],
            "half of it would look like a loss"
        );
    }

    #[test]
    fn what_no_run_lived_to_tell_counts_as_failed_of_its_type() {
        let id = |text: &str| text.parse().unwrap();
        let report = SweepReport {
            stalled: vec![id("db_1_a")],
            not_started: vec![id("db_2_a"), id("db_3_a"), id("content_1_a")],
            ..SweepReport::default()
        };
        let database = values(&report, BackupType::Database);
        assert!(database.contains(&(Metric::BackupStalled, 1.0)));
        assert!(database.contains(&(Metric::BackupFailure, 3.0)));
        assert!(values(&report, BackupType::Content).contains(&(Metric::BackupFailure, 1.0)));
    }

    #[tokio::test]
    async fn only_what_is_for_it_is_done() {
        let function = function(&[], aws_config_at("http://127.0.0.1:9"));
        for refused in [
            event("manual-database"),
            event("handed-on-finalize"),
            json!({}),
        ] {
            assert!(handle(&function, &refused, Timestamp::MAX).await.is_err());
        }
        for name in ["schedule-sweep", "schedule-retention", "manual-cleanup"] {
            let error = handle(&function, &event(name), Timestamp::MAX)
                .await
                .unwrap_err()
                .to_string();
            assert!(error.contains("BACKUP_STORE"), "{name}: {error}");
        }
    }

    #[tokio::test]
    async fn a_deployment_that_has_backed_up_nothing_is_overdue() {
        let store = TestStore::new().await;
        let location = format!("s3://{}/{}", store.bucket, store.prefix);
        let database = unique("retention");
        let catalog = parts().mongodb_uri.replace("/?", &format!("/{database}?"));
        let variables = [
            ("MONGODB_URI", parts().mongodb_uri.as_str()),
            ("BACKUP_CATALOG_URI", catalog.as_str()),
            ("BACKUP_STORE", location.as_str()),
            ("BACKUP_DATABASE_INTERVAL_HOURS", "6"),
            (
                "BACKUP_CONTENT_QUEUE",
                "http://127.0.0.1:4566/000000000000/none",
            ),
        ];
        let answer = handle(
            &function(&variables, aws_config()),
            &event("schedule-sweep"),
            Timestamp::MAX,
        )
        .await
        .unwrap();
        assert_eq!(answer["databaseHoursOverdue"], 6.0, "{answer}");
        assert_eq!(answer["problems"], json!([]));
        let uri = Secret::new(&parts().mongodb_uri);
        let server = Connection::open(&uri, ReadPreference::Primary, "tests")
            .await
            .unwrap();
        server.drop_database(&database).await.unwrap();
        store.remove().await;
    }
}
