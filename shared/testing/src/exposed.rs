//! Secrets in the wrong place: in public settings.

/// Public settings, each with a plausible value that contains a secret of [`EXPOSED_SECRETS`]. All
/// are refused.
pub const EXPOSING_SETTINGS: [(&str, &str); 12] = [
    ("BACKUP_STORE", "s3://AKIAIOSFODNN7EXAMPLE:hunter2@backups"),
    (
        "BACKUP_IPFS_GATEWAYS",
        "https://ada:hunter2@gateway.example",
    ),
    (
        "BACKUP_CONTENT_ALLOWED_ORIGINS",
        "https://hub.example,https://ada:hunter2@hub.example",
    ),
    ("BACKUP_CLOUD_BUCKET", "copies/AKIAIOSFODNN7EXAMPLE"),
    (
        "BACKUP_CLOUD_ENDPOINT",
        "https://ada:hunter2@storage.example",
    ),
    (
        "BACKUP_CLOUD_QUEUE",
        "https://sqs.example/1/q?X-Amz-Security-Token=hunter2",
    ),
    (
        "BACKUP_CONTENT_QUEUE",
        "https://ada:hunter2@sqs.example/1/q",
    ),
    ("BACKUP_EVENT_BUS", "AKIAIOSFODNN7EXAMPLE"),
    ("BACKUP_METRICS_NAMESPACE", "Holdfast/AKIAIOSFODNN7EXAMPLE"),
    ("BACKUP_TIMEZONE", "mongodb://ada:hunter2@db.example/"),
    ("BACKUP_MAX_CONCURRENT", "passphrase:hunter2"),
    ("MONGODUMP", "/opt/bin/mongodump?password=hunter2"),
];

/// The secrets in [`EXPOSING_SETTINGS`].
pub const EXPOSED_SECRETS: [&str; 2] = ["hunter2", "AKIAIOSFODNN7EXAMPLE"];
