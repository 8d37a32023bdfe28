use super::*;

fn read_pairs(pairs: &[(&str, &str)]) -> Reading {
    read(
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
    )
}

fn faults(pairs: &[(&str, &str)]) -> Vec<String> {
    read_pairs(pairs)
        .settings
        .unwrap_err()
        .0
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn nothing_set_is_the_guides_defaults() {
    let settings = read_pairs(&[("PATH", "/bin"), ("BACKUP_STORE", "")])
        .settings
        .unwrap();
    assert!(settings.enabled && settings.database.enabled && settings.database.compression);
    assert!(!settings.database.encryption);
    assert_eq!(settings.database.interval_hours, 24);
    assert_eq!(settings.max_concurrent, 2);
    assert_eq!(
        settings.mongodb_uri.expose(),
        "mongodb://localhost:27017/web3platform"
    );
    assert_eq!(settings.store, None);
}

#[test]
fn every_fault_is_named_at_once() {
    let faults = faults(&[
        ("BACKUP_SYSTEM_ENABLED", "yes"),
        ("BACKUP_TIMEZONE", "Mars/Olympus"),
        ("BACKUP_MAX_CONCURRENT", "0"),
        ("BACKUP_COMPRESSION_LEVEL", "10"),
        ("BACKUP_DUMP_ENGINE", "pg_dump"),
        ("MONGODUMP", "mongodump"),
        ("BACKUP_STORE", "gs://x"),
        ("BACKUP_CLOUD_ENABLED", "true"),
        ("BACKUP_CONTENT_DIR", "/content"),
        ("BACKUP_FROBNICATE", "1"),
        ("MONGODB_URI", "postgres://u:hunter2@h"),
        ("BACKUP_DATABASE_COLLECTIONS", "a,,b"),
        ("BACKUP_DATABASE_ENCRYPTION", "true"),
    ]);
    let named: Vec<&str> = faults
        .iter()
        .filter_map(|fault| fault.split(':').next())
        .collect();
    for name in [
        "BACKUP_SYSTEM_ENABLED",
        "BACKUP_TIMEZONE",
        "BACKUP_MAX_CONCURRENT",
        "BACKUP_COMPRESSION_LEVEL",
        "BACKUP_DUMP_ENGINE",
        "MONGODUMP",
        "BACKUP_STORE",
        "BACKUP_CLOUD_BUCKET",
        "BACKUP_CONTENT_DIR",
        "BACKUP_FROBNICATE",
        "MONGODB_URI",
        "BACKUP_DATABASE_COLLECTIONS",
        "BACKUP_ENCRYPTION_KEY",
    ] {
        assert!(named.contains(&name), "{name} is not in {faults:?}");
    }
    assert_eq!(faults.len(), 13);
    assert!(!format!("{faults:?}").contains("hunter2"));
}

#[test]
fn a_fault_says_what_was_given_and_what_is_allowed() {
    assert_eq!(
        faults(&[("BACKUP_DATABASE_INTERVAL_HOURS", "soon")]),
        [
            "BACKUP_DATABASE_INTERVAL_HOURS: invalid value \"soon\": expected a whole number from 1 to 8760"
        ]
    );
}

#[test]
fn booleans_are_taken_in_any_case() {
    let settings = read_pairs(&[
        ("BACKUP_DATABASE_COMPRESSION", "FALSE"),
        ("BACKUP_CLOUD_ENABLED", "False"),
    ]);
    assert!(!settings.settings.unwrap().database.compression);
}

#[test]
fn including_and_excluding_together_is_refused() {
    assert_eq!(
        faults(&[
            ("BACKUP_DATABASE_COLLECTIONS", "a"),
            ("BACKUP_DATABASE_EXCLUDE_COLLECTIONS", "b")
        ])
        .len(),
        1
    );
}

#[test]
fn the_official_tool_is_looked_for_where_a_layer_puts_it_unless_said_otherwise() {
    let settings = read_pairs(&[]).settings.unwrap();
    assert_eq!(settings.database.engine, DumpEngine::Auto);
    assert_eq!(
        settings.database.mongodump.to_str(),
        Some("/opt/bin/mongodump")
    );
    let reading = read_pairs(&[
        ("MONGODUMP", "/usr/bin/mongodump"),
        ("BACKUP_DUMP_ENGINE", "mongodump"),
    ]);
    assert!(
        reading
            .shown
            .contains(&("MONGODUMP", "/usr/bin/mongodump".to_owned()))
    );
    assert_eq!(
        reading.settings.unwrap().database.engine,
        DumpEngine::Mongodump
    );
    let refused = read_pairs(&[("MONGODUMP", "bin/mongodump")]);
    assert_eq!(
        refused
            .shown
            .iter()
            .filter(|(name, _)| *name == "MONGODUMP")
            .count(),
        1
    );
}

#[test]
fn mongodump_takes_one_collection_by_name_or_none() {
    let engine = |names| {
        [
            ("BACKUP_DUMP_ENGINE", "mongodump"),
            ("BACKUP_DATABASE_COLLECTIONS", names),
        ]
    };
    assert!(faults(&engine("a,b"))[0].starts_with("BACKUP_DATABASE_COLLECTIONS: "));
    assert!(read_pairs(&engine("a")).settings.is_ok());
    assert!(
        read_pairs(&[("BACKUP_DATABASE_COLLECTIONS", "a,b")])
            .settings
            .is_ok()
    );
}

#[test]
fn the_functions_memory_is_known_and_not_a_setting() {
    let reading = read_pairs(&[("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1769")]);
    assert!(
        reading
            .shown
            .iter()
            .all(|(name, _)| !name.starts_with("AWS_"))
    );
    assert_eq!(reading.settings.unwrap().function_memory_mib, Some(1769));
    assert_eq!(read_pairs(&[]).settings.unwrap().function_memory_mib, None);
}

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
fn a_drill_is_held_weekly_on_a_server_of_its_own_where_one_is_given() {
    let settings = read_pairs(&[]).settings.unwrap();
    assert!(settings.drill.uri.is_none());
    assert_eq!(settings.drill.interval_hours, 168);
    let reading = read_pairs(&[
        ("BACKUP_DRILL_URI", "mongodb://u:hunter2@scratch/"),
        ("BACKUP_DRILL_INTERVAL_HOURS", "24"),
    ]);
    assert!(
        reading
            .shown
            .contains(&("BACKUP_DRILL_URI", "***".to_owned()))
    );
    assert!(!format!("{reading:?}").contains("hunter2"));
    assert_eq!(reading.settings.unwrap().drill.interval_hours, 24);
    assert!(faults(&[("BACKUP_DRILL_URI", "hunter2")])[0].starts_with("BACKUP_DRILL_URI: "));
}

#[test]
fn directories_stand_in_for_parts_of_a_directory_alone() {
    let settings = read_pairs(&[("BACKUP_STORE", "file:///b"), ("BACKUP_DATABASE_DIR", "/d")])
        .settings
        .unwrap();
    let directories = Directories {
        root: "/b".into(),
        database: Some("/d".into()),
        content: None,
    };
    assert_eq!(settings.store, Some(StoreLocation::Directory(directories)));
    assert_eq!(
        faults(&[
            ("BACKUP_STORE", "s3://backups"),
            ("BACKUP_DATABASE_DIR", "/d")
        ]),
        ["BACKUP_DATABASE_DIR: is set, and BACKUP_STORE is not a directory (file:///…): unset it"]
    );
}

#[test]
fn a_relative_directory_is_below_the_repository() {
    let content = |given: &str| {
        let settings = read_pairs(&[
            ("BACKUP_STORE", "file:///srv/b"),
            ("BACKUP_CONTENT_DIR", given),
        ])
        .settings
        .unwrap();
        let Some(StoreLocation::Directory(directories)) = settings.store else {
            panic!("a directory")
        };
        directories.content.unwrap().display().to_string()
    };
    for (given, expected) in [
        ("./backups/content", "/srv/b/backups/content"),
        ("content", "/srv/b/content"),
        ("../c/./d", "/srv/c/d"),
        ("/mnt/c", "/mnt/c"),
    ] {
        assert_eq!(content(given), expected);
    }
    for given in [".", "./", "../b", "x/.."] {
        let fault = faults(&[
            ("BACKUP_STORE", "file:///srv/b"),
            ("BACKUP_CONTENT_DIR", given),
        ])
        .remove(0);
        assert!(
            fault.contains("a directory other than the repository's own"),
            "{fault}"
        );
    }
}

/// The environment block of the platform's guide, with a key.
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

#[test]
fn the_guides_own_block_is_valid_unchanged() {
    let with = |further: &[(&str, &str)]| {
        let block = [
            GUIDE.as_slice(),
            &[("MONGODB_URI", "mongodb://localhost:27017/web3platform")],
            further,
        ]
        .concat();
        read_pairs(&block).settings.unwrap()
    };
    let settings = with(&[("BACKUP_STORE", "file:///srv/holdfast")]);
    let directories = Directories {
        root: "/srv/holdfast".into(),
        database: Some("/srv/holdfast/backups/database".into()),
        content: Some("/srv/holdfast/backups/content".into()),
    };
    assert_eq!(settings.store, Some(StoreLocation::Directory(directories)));
    assert!(settings.warnings.is_empty(), "{:?}", settings.warnings);
    for further in [&[][..], &[("BACKUP_STORE", "s3://backups")]] {
        let warnings = with(further).warnings;
        let names: Vec<&str> = warnings
            .iter()
            .map(|warning| warning.name.as_str())
            .collect();
        assert_eq!(
            names,
            ["BACKUP_DATABASE_DIR", "BACKUP_CONTENT_DIR"],
            "{further:?}"
        );
    }
}

#[test]
fn an_unknown_option_of_a_connection_string_is_a_warning_and_a_wrong_one_a_fault() {
    let uri = "mongodb://u:hunter2@h/db?useNewUrlParser=true&compressors=zstd&";
    let reading = read_pairs(&[("MONGODB_URI", uri), ("BACKUP_DRILL_URI", uri)]);
    assert!(!format!("{reading:?}").contains("hunter2"));
    let warnings: Vec<String> = reading
        .settings
        .unwrap()
        .warnings
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(warnings.len(), 4);
    assert!(
        warnings.contains(
            &"MONGODB_URI: the option useNewUrlParser is unknown and is ignored".to_owned()
        )
    );
    for name in ["MONGODB_URI", "BACKUP_CATALOG_URI", "BACKUP_DRILL_URI"] {
        let faults = faults(&[(name, "mongodb://u:hunter2@h/db?tls=perhaps")]);
        assert_eq!(
            faults,
            [format!(
                "{name}: its option tls has an invalid value: expected true or false"
            )]
        );
    }
}

#[test]
fn a_second_store_is_named_as_its_provider_names_it() {
    let azure = [
        ("BACKUP_CLOUD_ENABLED", "true"),
        ("BACKUP_CLOUD_PROVIDER", "azure"),
        ("BACKUP_CLOUD_BUCKET", "copies/prod"),
        ("BACKUP_CLOUD_ACCESS_KEY", "account1"),
        ("BACKUP_CLOUD_SECRET_KEY", "hunter2"),
    ];
    let reading = read_pairs(&azure);
    assert!(!format!("{reading:?}").contains("hunter2"));
    let cloud = reading.settings.unwrap().cloud;
    assert!(cloud.enabled);
    assert_eq!(
        cloud.location.unwrap().to_string(),
        "az://account1/copies/prod/"
    );
    let cloud = read_pairs(&[("BACKUP_CLOUD_BUCKET", "copies")])
        .settings
        .unwrap()
        .cloud;
    assert!(!cloud.enabled);
    assert_eq!(cloud.location.unwrap().to_string(), "s3://copies/");
}

#[test]
fn a_second_store_that_cannot_be_opened_is_refused() {
    let enabled = ("BACKUP_CLOUD_ENABLED", "true");
    let gcp = ("BACKUP_CLOUD_PROVIDER", "gcp");
    for (given, name) in [
        (vec![enabled], "BACKUP_CLOUD_BUCKET"),
        (
            vec![enabled, ("BACKUP_CLOUD_BUCKET", "B")],
            "BACKUP_CLOUD_BUCKET",
        ),
        (
            vec![enabled, gcp, ("BACKUP_CLOUD_BUCKET", "copies")],
            "BACKUP_CLOUD_ACCESS_KEY",
        ),
        (
            vec![("BACKUP_CLOUD_ACCESS_KEY", "hunter2")],
            "BACKUP_CLOUD_SECRET_KEY",
        ),
        (
            vec![("BACKUP_CLOUD_SECRET_KEY", "hunter2")],
            "BACKUP_CLOUD_ACCESS_KEY",
        ),
        (
            vec![("BACKUP_CLOUD_ENDPOINT", "storage.example")],
            "BACKUP_CLOUD_ENDPOINT",
        ),
        (
            vec![
                ("BACKUP_STORE", "s3://copies"),
                enabled,
                ("BACKUP_CLOUD_BUCKET", "copies"),
            ],
            "BACKUP_CLOUD_BUCKET",
        ),
    ] {
        let faults = faults(&given);
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert!(
            faults[0].starts_with(name) && !faults[0].contains("hunter2"),
            "{faults:?}"
        );
    }
}

#[test]
fn gateways_are_asked_in_their_order_and_plain_ones_are_marked() {
    let given = "https://a.example, plain+http://127.0.0.1:8080";
    let settings = read_pairs(&[("BACKUP_IPFS_GATEWAYS", given)])
        .settings
        .unwrap();
    let gateways: Vec<_> = settings
        .content
        .gateways
        .iter()
        .map(|gateway| (gateway.url.as_str(), gateway.trustless))
        .collect();
    assert_eq!(
        gateways,
        [
            ("https://a.example/", true),
            ("http://127.0.0.1:8080/", false)
        ]
    );
    let reading = read_pairs(&[]);
    assert_eq!(reading.settings.unwrap().content.gateways.len(), 3);
    assert!(
        reading
            .shown
            .iter()
            .any(|(name, value)| *name == "BACKUP_IPFS_GATEWAYS" && value.contains("https://"))
    );
}

#[test]
fn an_origin_is_a_scheme_a_host_and_a_port() {
    for wrong in [
        "a.example",
        "ftp://a",
        "https://a/x",
        "https://u@a",
        "https://u:p@a",
        "https://a?b",
        "https://a,,",
        "",
    ] {
        let wrong = if wrong.is_empty() { "," } else { wrong };
        for name in ["BACKUP_IPFS_GATEWAYS", "BACKUP_CONTENT_ALLOWED_ORIGINS"] {
            assert!(faults(&[(name, wrong)])[0].starts_with(name), "{wrong}");
        }
    }
}

#[test]
fn encryption_of_content_needs_a_key_too() {
    let faults = faults(&[("BACKUP_CONTENT_ENCRYPTION", "true")]);
    assert_eq!(
        faults,
        [
            "BACKUP_ENCRYPTION_KEY: is not set, but BACKUP_CONTENT_ENCRYPTION is true: set it, or set BACKUP_KMS_KEY_ID"
        ]
    );
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

/// The names in the table of `docs/settings.md`.
fn names() -> Vec<String> {
    let page = include_str!("../../../../docs/settings.md");
    let is_name = |word: &&str| word.starts_with("BACKUP_") || word.starts_with("MONGOD");
    let cells = page
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    let names: Vec<String> = cells
        .flat_map(|cell| cell.split('`').filter(is_name).map(str::to_owned))
        .collect();
    assert!(names.len() > 45, "{names:?}");
    names
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
