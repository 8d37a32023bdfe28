//! OpenAPI schemas of types that other crates serialize. Those crates do not depend on OpenAPI.
//!
//! The types are never instantiated. A test compares each with the serialized value.

#![expect(dead_code, reason = "only their schemas are used")]

pub(crate) mod copy;
pub(crate) mod export;
pub(crate) mod retention;
pub(crate) mod statistics;
pub(crate) mod verification;

use utoipa::ToSchema;

/// A failed call.
#[derive(ToSchema)]
pub(crate) struct Failure {
    /// Always `false`.
    success: bool,
    /// What failed, and the remedy.
    error: String,
    /// Machine-readable code of the failure.
    code: String,
    /// Machine-readable details: `field`, `backupId`, `running`.
    #[schema(required = false)]
    data: Option<FailureData>,
}

/// Machine-readable details of a failure.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct FailureData {
    /// Name of the invalid field.
    field: Option<String>,
    /// ID of the backup that is already running.
    backup_id: Option<String>,
    /// IDs of the backups that are already running.
    running: Option<Vec<String>>,
}

/// An answer of API Gateway itself.
#[derive(ToSchema)]
pub(crate) struct GatewayFailure {
    /// What failed.
    message: String,
}

/// An object without fields.
#[derive(ToSchema)]
#[schema(max_properties = 0)]
pub(crate) struct NoFields {}

/// Type of a backup.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(crate) enum BackupType {
    Database,
    Content,
    Full,
}

/// State of a job.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(crate) enum JobStatus {
    Pending,
    Running,
    Finalizing,
    Committing,
    Completed,
    Failed,
    Cancelled,
    Deleted,
}

/// One backup's job.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct Job {
    /// ID of the backup.
    #[schema(pattern = "^(db|content|full)_[0-9]+_[0-9a-z]+$")]
    backup_id: String,
    /// Type of the backup.
    r#type: BackupType,
    /// State of the job.
    status: JobStatus,
    /// What started the backup.
    trigger: Trigger,
    /// ID of the `full` backup that contains this backup.
    parent_id: Option<String>,
    /// Fencing number of the current or last run that held the lease. 0 before the first run.
    fence: u64,
    /// The engine that wrote the dump.
    engine: Option<Engine>,
    /// Consistency of the documents in the dump.
    consistency: Option<Consistency>,
    /// When the backup was triggered.
    #[schema(format = DateTime)]
    created_at: String,
    /// When the first run of the backup started.
    #[schema(format = DateTime)]
    started_at: Option<String>,
    /// When the job reached a final state.
    #[schema(format = DateTime)]
    completed_at: Option<String>,
    /// Milliseconds from `startedAt` to `completedAt`.
    duration_ms: Option<u64>,
    /// Bytes before compression and encryption.
    original_size: Option<u64>,
    /// Bytes stored.
    size: Option<u64>,
    /// Whether the backup is compressed.
    compressed: bool,
    /// Whether the backup is encrypted.
    encrypted: bool,
    /// SHA-256 of the artifact as stored.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    checksum: Option<String>,
    /// Key of the artifact in the store.
    key: Option<String>,
    /// Namespaces of a database backup, at most the 1,000 with the most documents. Lists of jobs
    /// omit them. `GET /jobs/{backupId}/namespaces` returns all namespaces.
    namespaces: Option<Vec<NamespaceCount>>,
    /// Number of namespaces in a database backup.
    namespace_count: Option<u64>,
    /// Number of documents in a database backup.
    document_count: Option<u64>,
    /// Time of the last write that the source member had applied when the dump started, if the
    /// server reports it.
    #[schema(format = DateTime)]
    last_write_at: Option<String>,
    /// Replication lag of the source member at that time, in seconds. 0 for a primary.
    lag_seconds: Option<u64>,
    /// Item counts of a content backup.
    items: Option<ItemCounts>,
    /// Progress of a running backup.
    progress: Option<Progress>,
    /// The newest verification of the backup.
    verification: Option<JobVerification>,
    /// The copy of the backup in the second store. It never affects `status`.
    copy: Option<copy::JobCopy>,
    /// Why the job failed, or why the backup is lost.
    error: Option<JobFailure>,
    /// When retention found that the manifest is missing.
    #[schema(format = DateTime)]
    lost_at: Option<String>,
    /// The decision to delete the backup. Without it, a `deleted` job with the error
    /// `store-corrupt` is a lost backup.
    deletion: Option<JobDeletion>,
    /// Informational note on a successful job.
    message: Option<String>,
    /// What a person must look at though the backup is complete. `message` says it too.
    warnings: Option<Vec<String>>,
}

/// What started a backup.
#[derive(ToSchema)]
pub(crate) struct Trigger {
    /// A schedule or a person.
    kind: TriggerKind,
    /// The subject of the token, the login of the operator, or the name of the schedule.
    by: Option<String>,
}

/// A schedule or a person.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(crate) enum TriggerKind {
    Schedule,
    Manual,
}

/// The engine that wrote a dump.
#[derive(ToSchema)]
pub(crate) struct Engine {
    /// Name of the engine, `native` or `mongodump`.
    name: String,
    /// Version of the engine.
    version: String,
}

/// Consistency of the documents in a dump.
#[derive(ToSchema)]
#[schema(rename_all = "kebab-case")]
pub(crate) enum Consistency {
    PerCollection,
}

/// Number of documents of a collection in the backup.
#[derive(ToSchema)]
pub(crate) struct NamespaceCount {
    /// `database.collection`.
    namespace: String,
    /// Number of documents.
    documents: u64,
}

/// Item counts of a content backup.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct ItemCounts {
    /// Items that the discovery found.
    expected: u64,
    /// Items whose file was downloaded.
    done: u64,
    /// Items whose file was already stored.
    unchanged: u64,
    /// Items whose file could not be downloaded.
    failed: u64,
    /// Bytes of the stored files.
    bytes: u64,
    /// Items settled per minute since the start of a running backup.
    per_minute: Option<u64>,
}

/// Progress of a running backup.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the names are the API's")]
pub(crate) struct Progress {
    /// Bytes read from the database so far.
    bytes_read: u64,
    /// The server's own estimate of the bytes to read.
    bytes_expected: u64,
    /// Bytes sent to the store.
    bytes_stored: u64,
}

/// The newest verification of a job.
#[derive(ToSchema)]
pub(crate) struct JobVerification {
    /// Level of the verification.
    level: VerificationLevel,
    /// Result of the verification.
    status: VerificationStatus,
    /// Time of the verification.
    #[schema(format = DateTime)]
    at: String,
}

/// Level of a verification.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(crate) enum VerificationLevel {
    Exists,
    Checksum,
    Structure,
    Drill,
}

/// Result of a verification.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(crate) enum VerificationStatus {
    Passed,
    Failed,
}

/// Why a job failed.
#[derive(ToSchema)]
pub(crate) struct JobFailure {
    /// The kind of failure.
    code: String,
    /// What failed, on what, and why.
    message: String,
    /// The remedy.
    hint: Option<String>,
}

/// The decision to delete a backup.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct JobDeletion {
    /// The reason.
    cause: DeletionCause,
    /// The time of the decision.
    #[schema(format = DateTime)]
    decided_at: String,
    /// The operator, if an operator decided.
    by: Option<String>,
}

/// The reason for a deletion.
#[derive(ToSchema)]
#[schema(rename_all = "kebab-case")]
pub(crate) enum DeletionCause {
    Retention,
    AcceptedLoss,
    AcceptedDamage,
}

/// Status of the system.
#[derive(ToSchema)]
pub(crate) struct Status {
    /// Running and most recent backups.
    status: StatusOverview,
    /// Totals over all jobs, and statistics of each type over time.
    statistics: statistics::Statistics,
}

/// Running and most recent backups.
#[derive(ToSchema)]
pub(crate) struct StatusOverview {
    /// Schedules and running backups.
    scheduler: SchedulerStatus,
    /// Database backups.
    database: SourceStatus,
    /// Content backups.
    content: SourceStatus,
}

/// Schedules and running backups.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct SchedulerStatus {
    /// Whether schedules are enabled.
    running: bool,
    /// IDs of the running backups.
    active_backups: Vec<String>,
    /// Number of backups that may run at the same time.
    max_concurrent: u32,
}

/// The backups of one source.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct SourceStatus {
    /// Whether backups of this source are enabled.
    enabled: bool,
    /// The newest completed job.
    last_backup: Option<Job>,
    /// Jobs whose backups are not deleted.
    total_backups: u64,
    /// Failed jobs.
    failed_backups: u64,
    /// Backups whose manifest is missing although no deletion was decided.
    lost_backups: u64,
    /// Hours since the next backup was due. 0 if no backup is overdue.
    hours_overdue: f64,
}
