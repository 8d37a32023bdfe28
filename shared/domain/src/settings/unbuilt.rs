//! Variables of the platform's guide whose capability this version does not have, and names nobody knows.

/// Known names that govern nothing yet.
const UNBUILT: [&str; 9] = [
    "BACKUP_CLOUD_ACCESS_KEY",
    "BACKUP_CLOUD_BUCKET",
    "BACKUP_CLOUD_ENABLED",
    "BACKUP_CLOUD_ENDPOINT",
    "BACKUP_CLOUD_PROVIDER",
    "BACKUP_CLOUD_REGION",
    "BACKUP_CLOUD_SECRET_KEY",
    "BACKUP_CONTENT_DIR",
    "BACKUP_DATABASE_DIR",
];

/// What is wrong with setting this variable, which nothing has asked for. `false` to what is not built is the truth.
pub(super) fn problem(name: &str, value: &str) -> Option<String> {
    if name == "BACKUP_CLOUD_ENABLED" && value.eq_ignore_ascii_case("false") {
        return None;
    }
    if UNBUILT.contains(&name) {
        return Some("is set, and this version does not have what it governs: unset it".to_owned());
    }
    Some("is not a setting of Holdfast: unset it, or correct its name".to_owned())
}
