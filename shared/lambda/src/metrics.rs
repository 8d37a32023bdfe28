//! Metrics in CloudWatch's embedded format: a line of JSON on stdout for each set of values.
//!
//! Format:
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>.
//! Every metric has the one dimension `type`. Every metric of an alarm must be in [`Metric::ALL`].

use holdfast_domain::{BackupType, Timestamp};
use serde_json::{Map, Value, json};

macro_rules! metrics {
    ($($(#[$doc:meta])* $name:ident: $unit:literal),+ $(,)?) => {
        /// All metrics.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Metric { $($(#[$doc])* $name),+ }

        impl Metric {
            /// Every metric of the functions.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// Its name in CloudWatch.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name)),+ }
            }

            const fn unit(self) -> &'static str {
                match self { $(Self::$name => $unit),+ }
            }
        }
    };
}

metrics! {
    /// Backups completed.
    BackupSuccess: "Count",
    /// Failed backups, and runs that could not even record the failure.
    BackupFailure: "Count",
    /// Ticks of a schedule during a running backup of the same type.
    BackupSkipped: "Count",
    /// Bytes stored by a backup.
    BackupBytes: "Bytes",
    /// Bytes of a backup before compression and encryption.
    BackupOriginalBytes: "Bytes",
    /// From a backup's start to its end.
    BackupDurationMs: "Milliseconds",
    /// Documents in a database backup, files in a content backup.
    BackupItems: "Count",
    /// Replication lag in seconds of the source member of a database backup, at the start of the
    /// dump.
    SourceLagSeconds: "Seconds",
    /// Content backups completed without some of their items.
    BackupPartial: "Count",
    /// Warnings of a completed backup: an old, new or suddenly empty source, or missing
    /// collections.
    BackupWarnings: "Count",
    /// Items of a content backup without an available file.
    ItemsFailed: "Count",
    /// Abandoned items, without a result of a download.
    ItemsUndelivered: "Count",
    /// Items sent again by the sweep.
    ItemsResent: "Count",
    /// Backups by the native engine because the installed mongodump does not run.
    DumpEngineFallback: "Count",
    /// Hours past due of the next backup. 0 if none is overdue.
    HoursOverdue: "None",
    /// Existing backups, according to the catalogue.
    TotalBackups: "Count",
    /// Their stored bytes, according to the catalogue. For content with its shared objects.
    StoredBytes: "Bytes",
    /// Growth in percent of the newest backup over those of the week before. Absent if there are
    /// too few.
    StorageGrowthPercent: "Percent",
    /// Bytes of objects without a backup, as removed by a sweep or found by a run of retention.
    OrphanBytes: "Bytes",
    /// Backups settled by the sweep as stalled.
    BackupStalled: "Count",
    /// Leases released by the sweep.
    LeasesFreed: "Count",
    /// Unfinished uploads aborted by the sweep.
    UploadsAborted: "Count",
    /// Objects without a manifest removed by the sweep.
    OrphansRemoved: "Count",
    /// Verifications without a fault.
    VerificationPassed: "Count",
    /// Verifications with a fault in the backup or the repository's files. Also backups without an
    /// available key or repository file.
    VerificationFailed: "Count",
    /// Verifications with a fault in the repository's files.
    RepositoryFaults: "Count",
    /// Hours since the last restore drill.
    HoursSinceDrill: "None",
    /// Hours past due of the next restore drill. 0 if none is overdue.
    DrillHoursOverdue: "None",
    /// Bytes sent to the second store by a copy.
    CopyBytes: "Bytes",
    /// Failed copies, and incomplete runs of retention in the second store.
    CopyFailed: "Count",
    /// Completed backups without a copy in the second store after a day.
    CopiesOverdue: "Count",
    /// Backups deleted by a run of retention.
    BackupsDeleted: "Count",
    /// Backups that remain after a run of retention.
    BackupsRetained: "Count",
    /// Expired backups and content objects under a retention period or a legal hold.
    RetentionBlocked: "Count",
    /// Bytes deleted by a run of retention, including content objects.
    BytesFreed: "Bytes",
    /// Deleted content objects without a backup.
    ObjectsCollected: "Count",
    /// Violations after a run of retention: expired backups still present, missing good backups,
    /// and lost backups.
    RetentionViolated: "Count",
}

/// The target of metrics.
#[derive(Debug, Clone)]
pub struct Metrics {
    namespace: String,
}

impl Metrics {
    /// Metrics in this CloudWatch namespace.
    #[must_use]
    pub fn new(namespace: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
        }
    }

    /// Emits these values for backups of this type, at the present time.
    #[expect(clippy::print_stdout, reason = "CloudWatch reads metrics from stdout")]
    pub fn emit(&self, kind: BackupType, values: &[(Metric, f64)]) {
        println!("{}", self.line(kind, values, Timestamp::now()));
    }

    /// The line written by [`Metrics::emit`].
    #[must_use]
    pub fn line(&self, kind: BackupType, values: &[(Metric, f64)], at: Timestamp) -> String {
        let definitions: Vec<Value> = values
            .iter()
            .map(|(metric, _)| json!({ "Name": metric.name(), "Unit": metric.unit() }))
            .collect();
        let mut line = Map::new();
        line.insert(
            "_aws".to_owned(),
            json!({
                "Timestamp": at.as_millisecond(),
                "CloudWatchMetrics":
                    [{ "Namespace": self.namespace, "Dimensions": [["type"]], "Metrics": definitions }],
            }),
        );
        line.insert("type".to_owned(), json!(kind));
        for (metric, value) in values {
            line.insert(metric.name().to_owned(), json!(value));
        }
        Value::Object(line).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_what_cloudwatch_reads() {
        let line = Metrics::new("Holdfast/prod").line(
            BackupType::Database,
            &[(Metric::BackupSuccess, 1.0), (Metric::BackupBytes, 2_048.0)],
            Timestamp::from_millisecond(1_700_000_000_000).unwrap(),
        );
        assert_eq!(
            line,
            r#"{"_aws":{"Timestamp":1700000000000,"CloudWatchMetrics":[{"Namespace":"Holdfast/prod","Dimensions":[["type"]],"Metrics":[{"Name":"BackupSuccess","Unit":"Count"},{"Name":"BackupBytes","Unit":"Bytes"}]}]},"type":"database","BackupSuccess":1.0,"BackupBytes":2048.0}"#
        );
    }

    #[test]
    fn the_guide_for_operators_has_every_metric() {
        let guide = include_str!("../../../docs/operations.md");
        for name in Metric::ALL.iter().map(|metric| metric.name()) {
            assert!(
                guide.contains(&format!("`{name}`")),
                "docs/operations.md does not say what {name} is"
            );
        }
    }
}
