//! The settings of stores: directories, and the second store.

use super::*;

#[test]
fn directories_replace_parts_of_a_directory_only() {
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
