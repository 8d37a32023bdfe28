//! Settings, read from variables.

mod secrets;
mod stores;

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
fn a_fault_names_the_given_value_and_the_allowed_ones() {
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
fn the_official_tool_is_expected_in_its_layer_by_default() {
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
fn gateways_are_used_in_their_order_and_plain_ones_are_marked() {
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

/// The names in the table of `docs/settings.md`.
fn names() -> Vec<String> {
    let page = include_str!("../../../../../docs/settings.md");
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
