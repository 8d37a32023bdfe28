//! The unchanged environment block of the platform's own guide, on one machine with a key.

use std::fs;

use super::{
    directory::{NAME, place_in, there_and_back},
    files::Files,
};

const GUIDE: [(&str, &str); 27] = [
    ("BACKUP_SYSTEM_ENABLED", "true"),
    ("BACKUP_TIMEZONE", "UTC"),
    ("BACKUP_LOG_LEVEL", "info"),
    ("BACKUP_DATABASE_ENABLED", "true"),
    ("BACKUP_DATABASE_INTERVAL_HOURS", "24"),
    ("BACKUP_DATABASE_RETENTION_DAYS", "30"),
    ("BACKUP_DATABASE_COMPRESSION", "true"),
    ("BACKUP_DATABASE_ENCRYPTION", "false"),
    (
        "BACKUP_ENCRYPTION_KEY",
        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
    ),
    ("BACKUP_DATABASE_DIR", "./backups/database"),
    ("BACKUP_CONTENT_ENABLED", "true"),
    ("BACKUP_CONTENT_INTERVAL_HOURS", "24"),
    ("BACKUP_CONTENT_RETENTION_DAYS", "30"),
    ("BACKUP_CONTENT_COMPRESSION", "true"),
    ("BACKUP_CONTENT_ENCRYPTION", "false"),
    ("BACKUP_CONTENT_DIR", "./backups/content"),
    ("BACKUP_CONTENT_CONCURRENCY", "3"),
    ("BACKUP_CONTENT_TIMEOUT_MS", "30000"),
    ("BACKUP_CONTENT_RETRY_ATTEMPTS", "3"),
    ("BACKUP_MAX_FILE_SIZE", "104857600"),
    ("BACKUP_MAX_CONCURRENT", "2"),
    ("BACKUP_CLOUD_ENABLED", "false"),
    ("BACKUP_CLOUD_PROVIDER", "aws"),
    ("BACKUP_CLOUD_BUCKET", ""),
    ("BACKUP_CLOUD_REGION", "us-east-1"),
    ("BACKUP_CLOUD_ACCESS_KEY", ""),
    ("BACKUP_CLOUD_SECRET_KEY", ""),
];

#[tokio::test(flavor = "multi_thread")]
async fn the_guides_own_block_backs_up_verifies_and_restores() {
    let folder = tempfile::tempdir().unwrap();
    let mut place = place_in(folder.path()).await;
    place
        .env
        .extend(GUIDE.map(|(name, value)| (name, value.to_owned())));
    let uri = place.env["MONGODB_URI"].clone();
    let separator = if uri.contains('?') { '&' } else { '?' };
    place.env.insert(
        "MONGODB_URI",
        format!("{uri}{separator}useNewUrlParser=true&"),
    );
    let files = Files::in_place(place).await;
    let [database, content] = there_and_back(&files, folder.path()).await;
    let parts = folder.path().join(NAME).join("backups");
    assert!(
        parts
            .join("database")
            .join(&database)
            .join("manifest.json")
            .exists()
    );
    assert!(
        parts
            .join("content")
            .join(&content)
            .join("manifest.json")
            .exists()
    );
    assert_eq!(fs::read_dir(&parts).unwrap().count(), 2);
    let doctor = files.place.holdfast(&["doctor"]).expect(0).text();
    assert!(
        doctor.contains("useNewUrlParser is unknown and is ignored"),
        "{doctor}"
    );
    files.remove().await;
}
