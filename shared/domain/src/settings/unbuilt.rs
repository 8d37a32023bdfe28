//! Variables of the platform's guide whose capability this version does not have, and names nobody knows.

/// Known names that govern nothing yet.
const UNBUILT: [&str; 27] = [
    "BACKUP_BREAK_GLASS_RECIPIENT",
    "BACKUP_CLOUD_ACCESS_KEY",
    "BACKUP_CLOUD_BUCKET",
    "BACKUP_CLOUD_ENABLED",
    "BACKUP_CLOUD_ENDPOINT",
    "BACKUP_CLOUD_PROVIDER",
    "BACKUP_CLOUD_REGION",
    "BACKUP_CLOUD_SECRET_KEY",
    "BACKUP_CONTENT_ALLOWED_ORIGINS",
    "BACKUP_CONTENT_ARCHIVE",
    "BACKUP_CONTENT_COLLECTION",
    "BACKUP_CONTENT_COMPRESSION",
    "BACKUP_CONTENT_CONCURRENCY",
    "BACKUP_CONTENT_DIR",
    "BACKUP_CONTENT_ENABLED",
    "BACKUP_CONTENT_ENCRYPTION",
    "BACKUP_CONTENT_INTERVAL_HOURS",
    "BACKUP_CONTENT_MAX_FAILURE_PERCENT",
    "BACKUP_CONTENT_RETENTION_DAYS",
    "BACKUP_CONTENT_RETRY_ATTEMPTS",
    "BACKUP_CONTENT_TIMEOUT_MS",
    "BACKUP_DATABASE_DIR",
    "BACKUP_DATABASE_RETENTION_DAYS",
    "BACKUP_DRILL_INTERVAL_HOURS",
    "BACKUP_DRILL_URI",
    "BACKUP_IPFS_GATEWAYS",
    "BACKUP_MAX_FILE_SIZE",
];

/// What is wrong with setting this variable, which nothing has asked for. `false` to what is not built is the truth.
pub(super) fn problem(name: &str, value: &str) -> Option<String> {
    let switch = matches!(name, "BACKUP_CLOUD_ENABLED" | "BACKUP_CONTENT_ENABLED");
    if switch && value.eq_ignore_ascii_case("false") {
        return None;
    }
    if UNBUILT.contains(&name) {
        return Some("is set, and this version does not have what it governs: unset it".to_owned());
    }
    Some("is not a setting of Holdfast: unset it, or correct its name".to_owned())
}
