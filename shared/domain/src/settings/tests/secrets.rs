//! Shown settings contain no secret.

use super::*;

#[test]
fn secrets_are_shown_as_stars_even_where_settings_are_wrong() {
    let reading = read_pairs(&[
        ("MONGODB_URI", "mongodb://u:hunter2@h/db"),
        ("BACKUP_ENCRYPTION_KEY", "hunter2"),
        ("BACKUP_MAX_CONCURRENT", "none"),
    ]);
    assert!(reading.settings.is_err());
    assert!(reading.shown.contains(&("MONGODB_URI", "***".to_owned())));
    assert!(!format!("{reading:?}").contains("hunter2"));
}

#[test]
fn a_break_glass_recipient_is_shown_and_an_identity_in_its_place_is_not() {
    let reading = read_pairs(&[("BACKUP_BREAK_GLASS_RECIPIENT", "age1recipient")]);
    assert!(
        reading
            .shown
            .contains(&("BACKUP_BREAK_GLASS_RECIPIENT", "age1recipient".to_owned()))
    );
    assert_eq!(
        reading.settings.unwrap().break_glass_recipient.as_deref(),
        Some("age1recipient")
    );
    for identity in ["AGE-SECRET-KEY-1HUNTER2", "# mine\nage-secret-key-1hunter2"] {
        let reading = read_pairs(&[("BACKUP_BREAK_GLASS_RECIPIENT", identity)]);
        assert!(reading.settings.is_err());
        assert!(
            !format!("{reading:?}")
                .to_ascii_lowercase()
                .contains("hunter2"),
            "{reading:?}"
        );
    }
}

#[test]
fn a_previous_key_is_a_secret_and_not_enough_to_encrypt_with() {
    let reading = read_pairs(&[
        ("BACKUP_ENCRYPTION_KEY_PREVIOUS", "hunter2"),
        ("BACKUP_DATABASE_ENCRYPTION", "true"),
    ]);
    assert!(reading.settings.is_err());
    assert!(!format!("{reading:?}").contains("hunter2"), "{reading:?}");
}

#[test]
fn no_setting_shows_a_secret_that_was_put_into_it_whether_its_value_is_valid_or_not() {
    const SECRETS: [&str; 3] = [
        "hunter2",
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "AKIAIOSFODNN7EXAMPLE",
    ];
    let embedded = [
        "https://ada:hunter2@gateway.example",
        "https://hunter2@gateway.example",
        "ada:hunter2@gateway.example",
        "s3://AKIAIOSFODNN7EXAMPLE:wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY@bucket",
        "s3://bucket/wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "s3://bucket/AKIAIOSFODNN7EXAMPLE",
        "s3://bucket/prefix?X-Amz-Security-Token=hunter2",
        "/srv/backups?password=hunter2",
        "file:///srv/wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "https://gateway.example,https://ada:hunter2@gateway.example",
        "users,mongodb://ada:hunter2@h/db",
        "mongodb://ada:hunter2@h/db",
        "AKIAIOSFODNN7EXAMPLE",
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "passphrase:hunter2",
        "Europe/Zurich;token=hunter2",
    ];
    for name in names() {
        for value in embedded {
            let reading = read_pairs(&[(&name, value)]);
            let shown = format!("{reading:?}");
            for secret in SECRETS {
                assert!(!shown.contains(secret), "{name}={value}: {shown}");
            }
            if !SECRET_VARIABLES.contains(&name.as_str()) {
                let faults = reading.settings.unwrap_err().0;
                assert!(
                    faults.iter().any(|fault| fault.name == name),
                    "{name}={value}: {faults:?}"
                );
                assert!(
                    reading
                        .shown
                        .iter()
                        .any(|(shown, value)| *shown == name && value == "***"),
                    "{name}={value}"
                );
            }
        }
    }
}

#[test]
fn the_name_of_an_unknown_setting_shows_no_secret_and_is_cut() {
    let faults = faults(&[
        ("BACKUP_STORE=s3://ada:hunter2@bucket", "1"),
        (&format!("BACKUP_{}", "X".repeat(5000)), "1"),
    ]);
    assert_eq!(faults.len(), 2);
    assert!(
        !faults.concat().contains("hunter2") && faults.concat().len() < 600,
        "{faults:?}"
    );
}

#[test]
fn a_rejected_value_is_shown_as_far_as_a_job_row_has_room_for_it() {
    let faults = faults(&[("BACKUP_LOG_LEVEL", &"x".repeat(100_000))]);
    assert!(
        faults[0].len() < 1000 && faults[0].contains("expected one of error, warn"),
        "{}",
        faults[0]
    );
}
