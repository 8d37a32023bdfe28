//! Shapes for the contract alone, of what other crates serialize: they know nothing of OpenAPI.
//!
//! Nothing is built of these. A test holds each against what is really serialized.

#![expect(dead_code, reason = "only their schemas are used")]

pub(crate) mod copy;
pub(crate) mod export;
pub(crate) mod retention;
pub(crate) mod statistics;
pub(crate) mod verification;

use utoipa::ToSchema;

/// A call that did not do what was asked.
#[derive(ToSchema)]
pub(crate) struct Failure {
    /// Always `false`.
    success: bool,
    /// What failed, and what to do.
    error: String,
    /// What a program tells failures apart by.
    code: String,
    /// What helps a program: `field`, `backupId`, `running`.
    #[schema(required = false)]
    data: Option<FailureData>,
}

/// What helps a program to act on a failure.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct FailureData {
    /// The value that is out of form.
    field: Option<String>,
    /// The backup that runs already.
    backup_id: Option<String>,
    /// The backups that run already.
    running: Option<Vec<String>>,
}

/// What API Gateway answers by itself.
#[derive(ToSchema)]
pub(crate) struct GatewayFailure {
    /// What failed.
    message: String,
}

/// An object without fields.
#[derive(ToSchema)]
#[schema(max_properties = 0)]
pub(crate) struct NoFields {}

/// What a backup holds.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(crate) enum BackupType {
    Database,
    Content,
    Full,
}

/// Where a job stands.
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
    /// The backup's id.
    #[schema(pattern = "^(db|content|full)_[0-9]+_[0-9a-z]+$")]
    backup_id: String,
    /// What it holds.
    r#type: BackupType,
    /// Where it stands.
    status: JobStatus,
    /// Why it was begun.
    trigger: Trigger,
    /// The `full` backup it is part of.
    parent_id: Option<String>,
    /// Fencing number of the run that holds, or held, the lease: 0 before the first.
    fence: u64,
    /// What wrote the dump.
    engine: Option<Engine>,
    /// At which moment its documents stand.
    consistency: Option<Consistency>,
    /// When it was triggered.
    #[schema(format = DateTime)]
    created_at: String,
    /// When a run first took it over.
    #[schema(format = DateTime)]
    started_at: Option<String>,
    /// When it was settled, well or badly.
    #[schema(format = DateTime)]
    completed_at: Option<String>,
    /// From `startedAt` to `completedAt`.
    duration_ms: Option<u64>,
    /// Bytes before compression and encryption.
    original_size: Option<u64>,
    /// Bytes stored.
    size: Option<u64>,
    /// Whether it is compressed.
    compressed: bool,
    /// Whether it is encrypted.
    encrypted: bool,
    /// SHA-256 of the artifact as stored.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    checksum: Option<String>,
    /// Where the artifact is in the store.
    key: Option<String>,
    /// What is inside a database backup: at most 1,000 namespaces, those with the most documents. A list of jobs leaves
    /// them out; `GET /jobs/{backupId}/namespaces` has all.
    namespaces: Option<Vec<NamespaceCount>>,
    /// How many namespaces a database backup holds.
    namespace_count: Option<u64>,
    /// How many documents a database backup holds.
    document_count: Option<u64>,
    /// The last write that the member read had applied when the dump began, if the server reports it.
    #[schema(format = DateTime)]
    last_write_at: Option<String>,
    /// Seconds that this member was behind at that moment: 0 for a primary.
    lag_seconds: Option<u64>,
    /// The items of a content backup.
    items: Option<ItemCounts>,
    /// How far a running backup is.
    progress: Option<Progress>,
    /// Its newest verification.
    verification: Option<JobVerification>,
    /// Its copy in the second store. It never changes `status`.
    copy: Option<copy::JobCopy>,
    /// Why it failed, or that it is lost.
    error: Option<JobFailure>,
    /// When retention found that its manifest is missing.
    #[schema(format = DateTime)]
    lost_at: Option<String>,
    /// The decision to delete it. A `deleted` job with the error `store-corrupt` and without this is lost.
    deletion: Option<JobDeletion>,
    /// Said where nothing was wrong and something is worth knowing.
    message: Option<String>,
    /// What a person must look at though the backup is complete. `message` says it too.
    warnings: Option<Vec<String>>,
}

/// Why a backup was begun.
#[derive(ToSchema)]
pub(crate) struct Trigger {
    /// By the clock or by a person.
    kind: TriggerKind,
    /// Who: a token's subject, an operator's login, a schedule's name.
    by: Option<String>,
}

/// By the clock or by a person.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(crate) enum TriggerKind {
    Schedule,
    Manual,
}

/// What wrote a dump.
#[derive(ToSchema)]
pub(crate) struct Engine {
    /// Its name.
    name: String,
    /// Its version.
    version: String,
}

/// At which moment the documents of a dump stand.
#[derive(ToSchema)]
#[schema(rename_all = "kebab-case")]
pub(crate) enum Consistency {
    PerCollection,
}

/// How many documents a collection has.
#[derive(ToSchema)]
pub(crate) struct NamespaceCount {
    /// `database.collection`.
    namespace: String,
    /// Documents.
    documents: u64,
}

/// How many items a content backup has, and how far they are.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct ItemCounts {
    /// Items found.
    expected: u64,
    /// Items whose file was fetched.
    done: u64,
    /// Items whose file was held already.
    unchanged: u64,
    /// Items whose file could not be had.
    failed: u64,
    /// Bytes of the files that are held.
    bytes: u64,
    /// Items settled a minute since the backup began, while it runs.
    per_minute: Option<u64>,
}

/// How far a running backup is.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the names are the API's")]
pub(crate) struct Progress {
    /// Bytes read from the database.
    bytes_read: u64,
    /// The server's own estimate of what there is to read.
    bytes_expected: u64,
    /// Bytes handed to the store.
    bytes_stored: u64,
}

/// The newest verification of a job.
#[derive(ToSchema)]
pub(crate) struct JobVerification {
    /// How deep it went.
    level: VerificationLevel,
    /// What it found.
    status: VerificationStatus,
    /// When.
    #[schema(format = DateTime)]
    at: String,
}

/// How deep a verification went.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(crate) enum VerificationLevel {
    Exists,
    Checksum,
    Structure,
    Drill,
}

/// What a verification found.
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
    /// What to do about it.
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
}

/// How things stand.
#[derive(ToSchema)]
pub(crate) struct Status {
    /// What runs, and what ran last.
    status: StatusOverview,
    /// Sums over all jobs, and how each type did over time.
    statistics: statistics::Statistics,
}

/// What runs, and what ran last.
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
    /// Whether schedules do anything.
    running: bool,
    /// The backups that run.
    active_backups: Vec<String>,
    /// How many may run at a time.
    max_concurrent: u32,
}

/// The backups of one source.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct SourceStatus {
    /// Whether it is backed up at all.
    enabled: bool,
    /// The newest completed job.
    last_backup: Option<Job>,
    /// Jobs whose backups retention has not deleted.
    total_backups: u64,
    /// Jobs that failed.
    failed_backups: u64,
    /// Backups whose manifest is missing though no deletion was decided.
    lost_backups: u64,
    /// Hours since a backup was due; 0 where none is.
    hours_overdue: f64,
}
