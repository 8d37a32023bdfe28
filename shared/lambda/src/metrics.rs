//! Metrics in CloudWatch's embedded format: a line of JSON on stdout, which CloudWatch turns into values.
//!
//! Format: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>.
//! Every metric has the one dimension `type`. What alarms read must stand in [`Metric::ALL`].

use holdfast_domain::{BackupType, Timestamp};
use serde_json::{Map, Value, json};

macro_rules! metrics {
    ($($(#[$doc:meta])* $name:ident: $unit:literal),+ $(,)?) => {
        /// Everything that is measured.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Metric { $($(#[$doc])* $name),+ }

        impl Metric {
            /// Every metric that a function emits.
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
    /// Backups failed, and runs that could not even record it.
    BackupFailure: "Count",
    /// Bytes stored by a backup.
    BackupBytes: "Bytes",
    /// Bytes of a backup before compression and encryption.
    BackupOriginalBytes: "Bytes",
    /// From a backup's start to its end.
    BackupDurationMs: "Milliseconds",
    /// Documents in a database backup, files in a content backup.
    BackupItems: "Count",
    /// Seconds that the member of the replica set which a database backup read was behind when the dump began.
    SourceLagSeconds: "Seconds",
    /// Content backups completed without some of their items.
    BackupPartial: "Count",
    /// Warnings of a completed backup: an old source, a new or suddenly empty one, missing collections.
    BackupWarnings: "Count",
    /// Items of a content backup whose file could not be had.
    ItemsFailed: "Count",
    /// Items that no download settled, and that were given up.
    ItemsUndelivered: "Count",
    /// Items that the sweep queued again.
    ItemsResent: "Count",
    /// Backups by the native engine because the mongodump that is there does not run.
    DumpEngineFallback: "Count",
    /// Hours past due of the next backup; 0 where none is overdue.
    HoursOverdue: "None",
    /// Backups that are there, by the catalogue.
    TotalBackups: "Count",
    /// Bytes that they store, by the catalogue; of content with the objects that they share.
    StoredBytes: "Bytes",
    /// By how many percent the newest backup is larger than those of the week before it; not told before there are enough.
    StorageGrowthPercent: "Percent",
    /// Bytes of objects that belong to no backup, as a sweep removed them and a run of retention found them.
    OrphanBytes: "Bytes",
    /// Backups that the sweep settled as stalled.
    BackupStalled: "Count",
    /// Leases that the sweep freed.
    LeasesFreed: "Count",
    /// Unfinished uploads that the sweep aborted.
    UploadsAborted: "Count",
    /// Objects without a manifest that the sweep removed.
    OrphansRemoved: "Count",
    /// Verifications that found everything as it should be.
    VerificationPassed: "Count",
    /// Verifications that found something wrong, in the backup or in the repository's files, and backups that no key or
    /// repository file at hand opens.
    VerificationFailed: "Count",
    /// Verifications that found the repository's files faulty.
    RepositoryFaults: "Count",
    /// Hours since the last restore drill.
    HoursSinceDrill: "None",
    /// Hours past due of the next restore drill; 0 where none is overdue.
    DrillHoursOverdue: "None",
    /// Bytes that a copy sent to the second store.
    CopyBytes: "Bytes",
    /// Copies that failed, and runs of retention in the second store that could not do all that was to be done.
    CopyFailed: "Count",
    /// Completed backups that have had no copy in the second store for a day.
    CopiesOverdue: "Count",
    /// Backups that a run of retention deleted.
    BackupsDeleted: "Count",
    /// Backups that are there after a run of retention.
    BackupsRetained: "Count",
    /// Backups, and content objects, that had to go and are under a retention period or a legal hold.
    RetentionBlocked: "Count",
    /// Bytes of what a run of retention deleted, content objects too.
    BytesFreed: "Bytes",
    /// Content objects that no backup referred to, and that were deleted.
    ObjectsCollected: "Count",
    /// Backups past their limits and there all the same, missing good ones, and lost ones, after a run of retention.
    RetentionViolated: "Count",
}

/// Where metrics go.
#[derive(Debug, Clone)]
pub struct Metrics {
    namespace: String,
}

impl Metrics {
    /// Metrics in this CloudWatch namespace.
    #[must_use]
    pub fn new(namespace: impl Into<String>) -> Self {
        Self { namespace: namespace.into() }
    }

    /// Tells these values, now, of backups of this type.
    #[expect(clippy::print_stdout, reason = "stdout is where CloudWatch takes metrics from")]
    pub fn emit(&self, kind: BackupType, values: &[(Metric, f64)]) {
        println!("{}", self.line(kind, values, Timestamp::now()));
    }

    /// The line that [`Metrics::emit`] writes.
    #[must_use]
    pub fn line(&self, kind: BackupType, values: &[(Metric, f64)], at: Timestamp) -> String {
        let definitions: Vec<Value> =
            values.iter().map(|(metric, _)| json!({ "Name": metric.name(), "Unit": metric.unit() })).collect();
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
    fn every_alarm_reads_what_is_emitted() {
        let template = include_str!("../../../template.yaml");
        let lines: Vec<&str> = template.lines().map(str::trim).collect();
        let own = lines.windows(2).filter(|pair| pair[0].starts_with("Namespace: !Sub Holdfast/"));
        let read: Vec<&str> = own.filter_map(|pair| pair[1].strip_prefix("MetricName: ")).collect();
        assert!(read.len() >= 2, "the alarms of template.yaml were not found: {read:?}");
        for name in read {
            assert!(Metric::ALL.iter().any(|metric| metric.name() == name), "nobody emits {name}");
        }
    }

    #[test]
    fn the_guide_for_operators_has_every_alarm_and_every_metric() {
        let guide = include_str!("../../../docs/operations.md");
        let lines: Vec<&str> = include_str!("../../../template.yaml").lines().collect();
        let alarms = lines.windows(2).filter(|pair| pair[1].trim() == "Type: AWS::CloudWatch::Alarm");
        let alarms: Vec<&str> = alarms.map(|pair| pair[0].trim().trim_end_matches(':')).collect();
        assert!(alarms.len() >= 15, "{alarms:?}");
        for name in alarms.into_iter().chain(Metric::ALL.iter().map(|metric| metric.name())) {
            assert!(guide.contains(&format!("`{name}`")), "docs/operations.md does not say what {name} is");
        }
    }
}
