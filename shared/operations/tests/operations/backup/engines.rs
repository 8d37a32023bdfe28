//! The choice of the engine, and the official tool from end to end. Without the real tool on this
//! machine, a stand-in replays an archive. Each end-to-end test prints its choice.

use std::{
    future::pending,
    io::Cursor,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use holdfast_database::{Connection, DumpSelection, NamespaceMap, RestoreOptions, dump, plan};
use holdfast_domain::{
    BackupType, FailureCode, Job, JobFailure, Secret, Timestamp, VerificationLevel,
    VerificationStatus,
    settings::{CollectionFilter, DumpEngine},
};
use holdfast_operations::{BackupRequest, Holdfast, RunLimits, back_up_database, trigger};
use holdfast_recovery::{RestoreTarget, restore_archive, verify};
use holdfast_testing::{StandIn, golden, golden_stderr, installed_mongodump, parts};
use jiff::SignedDuration;

use crate::support::database::{Fixture, KEY, completed, failed, run, uri_of};

/// A dump of the real tool, restored into this test's database.
async fn fill_from_golden(f: &Fixture, name: &str, database: &str) {
    let map =
        NamespaceMap::parse(&[format!("{database}.*")], &[format!("{}.*", f.database)]).unwrap();
    let options = RestoreOptions {
        map,
        ..RestoreOptions::default()
    };
    let target = RestoreTarget {
        uri: Secret::new(&parts().mongodb_uri),
        options,
    };
    restore_archive(Box::new(Cursor::new(golden(name))), &target, &|_| {})
        .await
        .unwrap();
}

/// An archive of the present content of the database.
async fn archived(f: &Fixture) -> Vec<u8> {
    let h = &f.holdfast;
    let connection = Connection::open(
        &h.settings.mongodb_uri,
        h.settings.database.read_preference,
        "tests",
    )
    .await;
    let connection = connection.unwrap();
    let selection = DumpSelection {
        collections: CollectionFilter::All,
        exclude: Vec::new(),
    };
    let plan = plan(&connection, &selection, 4).await.unwrap();
    dump(&connection, plan, 4, Vec::new(), pending())
        .await
        .unwrap()
        .0
}

/// Only this engine, with the tool at this path.
fn with_engine(f: &Fixture, engine: DumpEngine, tool: &Path) -> Holdfast {
    f.with(|settings| {
        settings.database.engine = engine;
        settings.database.mongodump = tool.to_path_buf();
    })
}

async fn backed_up(h: &Holdfast) -> Job {
    let job = trigger(h, BackupType::Database, None, Timestamp::now())
        .await
        .unwrap();
    completed(run(h, job.backup_id).await)
}

async fn failure(f: &Fixture, h: &Holdfast) -> JobFailure {
    let job = trigger(h, BackupType::Database, None, Timestamp::now())
        .await
        .unwrap();
    let job = failed(run(h, job.backup_id).await);
    nothing_is_left(f).await;
    assert_eq!(f.leases().await, 0);
    job.error.unwrap()
}

async fn nothing_is_left(f: &Fixture) {
    let left: Vec<String> = f
        .keys()
        .await
        .into_iter()
        .filter(|key| key.starts_with("database/"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(f.store.unfinished_uploads().await, 0);
}

fn engine_of(job: &Job) -> &str {
    &job.engine.as_ref().unwrap().name
}

/// The real tool if it is installed. Keep the stand-in while its path is in use.
async fn official(f: &Fixture) -> (PathBuf, Option<StandIn>) {
    if let Some(path) = installed_mongodump() {
        println!("by the real mongodump at {}", path.display());
        return (path, None);
    }
    println!(
        "by a stand-in for mongodump, which replays an archive: neither MONGODUMP nor the PATH names a real one"
    );
    let stand_in = StandIn::replaying(&archived(f).await, "", 0);
    (stand_in.path(), Some(stand_in))
}

async fn comes_back_as_it_was(golden: &str, database: &str, settings: &[(&str, &str)]) {
    let f = Fixture::new(settings).await;
    fill_from_golden(&f, golden, database).await;
    let (tool, stand_in) = official(&f).await;
    for engine in [DumpEngine::Mongodump, DumpEngine::Auto] {
        let h = with_engine(&f, engine, &tool);
        let job = backed_up(&h).await;
        assert_eq!(
            (engine_of(&job), job.message.as_deref()),
            ("mongodump", None),
            "{engine}"
        );
        let manifest = f
            .holdfast
            .repository
            .manifest(&job.backup_id)
            .await
            .unwrap();
        assert_eq!(manifest.engine, job.engine);
        assert!(
            manifest
                .namespaces
                .iter()
                .any(|namespace| namespace.indexes.contains(&"_id_".to_owned()))
        );
        let level = VerificationLevel::Structure;
        let verified = verify(
            &h.repository,
            &job.backup_id,
            level,
            job.created_at,
            |_, _| {},
        )
        .await
        .unwrap();
        assert_eq!(
            (verified.status, verified.problems),
            (VerificationStatus::Passed, vec![])
        );
        let restored = f.restored(&job.backup_id).await;
        assert_eq!(f.contents(&restored).await, f.contents(&f.database).await);
        f.client.database(&restored).drop().await.unwrap();
    }
    if let Some(stand_in) = stand_in {
        assert!(
            stand_in
                .arguments()
                .contains(&format!("--db={}", f.database))
        );
        assert!(stand_in.note("options").starts_with("uri: \"mongodb://"));
    }
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_mongodump_dumped_comes_back_as_it_was() {
    comes_back_as_it_was("platform", "web3platform", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_mongodump_dumped_comes_back_from_behind_encryption() {
    let settings = [
        ("BACKUP_DATABASE_ENCRYPTION", "true"),
        ("BACKUP_ENCRYPTION_KEY", KEY),
    ];
    comes_back_as_it_was("platform", "web3platform", &settings).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_catalogue_is_left_out_by_mongodump_too() {
    let f = Fixture::new(&[("BACKUP_DATABASE_EXCLUDE_COLLECTIONS", "contents,empty")]).await;
    f.fill(10).await;
    let users = f.with(|settings| {
        settings.database.collections = CollectionFilter::Only(vec!["users".to_owned()]);
    });
    let connection = &users.settings.mongodb_uri;
    let connection = Connection::open(connection, users.settings.database.read_preference, "tests")
        .await
        .unwrap();
    let selection = DumpSelection {
        collections: users.settings.database.collections.clone(),
        exclude: Vec::new(),
    };
    let only_users = plan(&connection, &selection, 1).await.unwrap();
    let (archive, _) = dump(&connection, only_users, 1, Vec::new(), pending())
        .await
        .unwrap();
    let stand_in = StandIn::replaying(&archive, "", 0);
    let h = with_engine(
        &f,
        DumpEngine::Mongodump,
        &installed_mongodump().unwrap_or(stand_in.path()),
    );
    let settings = holdfast_domain::settings::Settings {
        catalog_uri: Some(Secret::new(uri_of(&f.database))),
        ..(*h.settings).clone()
    };
    let catalog = holdfast_catalog::Catalog::from_settings(&settings)
        .await
        .unwrap();
    let h = Holdfast {
        settings: settings.into(),
        catalog,
        ..h
    };
    let names: Vec<_> = backed_up(&h)
        .await
        .namespaces
        .unwrap()
        .into_iter()
        .map(|count| count.namespace)
        .collect();
    assert_eq!(names, [format!("{}.users", f.database)]);
    if installed_mongodump().is_none() {
        let excluded: Vec<String> = stand_in
            .arguments()
            .into_iter()
            .filter(|a| a.starts_with("--exclude"))
            .collect();
        let scratch = "--excludeCollectionsWithPrefix=holdfast_restore_".to_owned();
        assert!(excluded.contains(&scratch), "{excluded:?}");
        assert_eq!(
            excluded.len(),
            3 + holdfast_catalog::COLLECTIONS.len(),
            "{excluded:?}"
        );
    }
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_mongodump_the_native_engine_dumps_and_nothing_is_amiss() {
    let f = Fixture::new(&[]).await;
    f.fill(10).await;
    let h = with_engine(&f, DumpEngine::Auto, Path::new("/nowhere/bin/mongodump"));
    assert!(h.engine_fallback().is_none());
    let job = backed_up(&h).await;
    assert_eq!((engine_of(&job), job.message.as_deref()), ("native", None));
    assert!(h.engine_fallback().is_none());
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mongodump_that_does_not_run_is_reported_and_the_native_engine_dumps() {
    let f = Fixture::new(&[]).await;
    f.fill(10).await;
    let broken = StandIn::being(
        b"#!/bin/sh\necho asked >> ${0%/*}/asked; echo no >&2; exit 3\n",
        0o755,
    );
    let h = with_engine(&f, DumpEngine::Auto, &broken.path());
    for _ in 0..2 {
        let job = backed_up(&h).await;
        assert_eq!(engine_of(&job), "native");
        let message = job.message.unwrap();
        assert!(
            message.contains(broken.path().to_str().unwrap()) && message.contains("native engine"),
            "{message}"
        );
    }
    assert_eq!(broken.times_asked(), 1);
    assert!(
        h.engine_fallback()
            .unwrap()
            .to_string()
            .contains("does not run")
    );
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_mongodump_is_insisted_on_one_that_does_not_run_is_a_failed_job_that_says_why() {
    let f = Fixture::new(&[]).await;
    f.fill(10).await;
    let loader = b"#!/bin/sh
echo \"$0: error while loading shared libraries: libgssapi_krb5.so.2: cannot open shared object file\" >&2
exit 127
";
    let unlinked = StandIn::being(loader, 0o755);
    let locked = StandIn::being(loader, 0o644);
    for (tool, word) in [
        (
            PathBuf::from("/nowhere/bin/mongodump"),
            "no mongodump found at /nowhere/bin/mongodump",
        ),
        (unlinked.path(), "libgssapi_krb5.so.2"),
        (locked.path(), "is not executable"),
    ] {
        let h = with_engine(&f, DumpEngine::Mongodump, &tool);
        let error = failure(&f, &h).await;
        assert_eq!(error.code, FailureCode::ConfigInvalid);
        assert!(
            error.message.contains(word) && error.hint.unwrap().contains("BACKUP_DUMP_ENGINE"),
            "{}",
            error.message
        );
        assert!(h.engine_fallback().is_none());
    }
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_mongodump_cannot_do_is_done_by_the_native_engine_or_refused() {
    let f = Fixture::new(&[]).await;
    f.fill(10).await;
    let stand_in = StandIn::replaying(b"", "", 0);
    let several = |h: Holdfast| {
        let mut settings = (*h.settings).clone();
        settings.database.collections =
            CollectionFilter::Only(vec!["users".to_owned(), "contents".to_owned()]);
        Holdfast {
            settings: settings.into(),
            ..h
        }
    };
    let error = failure(
        &f,
        &several(with_engine(&f, DumpEngine::Mongodump, &stand_in.path())),
    )
    .await;
    assert_eq!(error.code, FailureCode::ConfigInvalid);
    assert!(
        error.message.contains("BACKUP_DATABASE_COLLECTIONS"),
        "{}",
        error.message
    );

    let everything = |h: Holdfast| {
        let mut settings = (*h.settings).clone();
        settings.mongodb_uri = Secret::new(&parts().mongodb_uri);
        Holdfast {
            settings: settings.into(),
            ..h
        }
    };
    let error = failure(
        &f,
        &everything(with_engine(&f, DumpEngine::Mongodump, &stand_in.path())),
    )
    .await;
    assert_eq!(error.code, FailureCode::ConfigInvalid);
    assert!(error.message.contains("one database"), "{}", error.message);

    let job = backed_up(&several(with_engine(
        &f,
        DumpEngine::Auto,
        &stand_in.path(),
    )))
    .await;
    assert_eq!(
        (engine_of(&job), job.namespaces.as_ref().unwrap().len()),
        ("native", 2)
    );
    assert!(job.message.unwrap().contains("BACKUP_DATABASE_COLLECTIONS"));
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_mongodump_that_failed_is_a_failed_job_in_its_words_and_leaves_nothing() {
    let f = Fixture::new(&[]).await;
    f.fill(10).await;
    for (name, exit_code, code, word) in [
        (
            "cut-700k",
            1,
            FailureCode::SourceLost,
            "Failed: archive writer",
        ),
        (
            "cut-1500k",
            2,
            FailureCode::DumpRefused,
            "panic: send on closed channel",
        ),
        (
            "cut-but-whole",
            1,
            FailureCode::SourceLost,
            "Failed: error writing data",
        ),
        (
            "cut-but-whole",
            0,
            FailureCode::SourceLost,
            "exited with code 0 but reported a failure",
        ),
        (
            "oplog-overflow",
            1,
            FailureCode::DumpRefused,
            "oplog overflow",
        ),
    ] {
        let stand_in = StandIn::replaying(&golden(name), &golden_stderr(name), exit_code);
        let error = failure(
            &f,
            &with_engine(&f, DumpEngine::Mongodump, &stand_in.path()),
        )
        .await;
        assert_eq!(error.code, code, "{name}: {}", error.message);
        assert!(error.message.contains(word), "{name}: {}", error.message);
    }
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_of_other_content_is_refused_despite_a_successful_tool() {
    let f = Fixture::new(&[]).await;
    f.fill(10).await;
    let before = archived(&f).await;
    let dumped = |archive: &[u8]| StandIn::replaying(archive, "", 0);
    let refused = async |stand_in: StandIn, word: &str| {
        let error = failure(
            &f,
            &with_engine(&f, DumpEngine::Mongodump, &stand_in.path()),
        )
        .await;
        assert_eq!(error.code, FailureCode::DumpRefused);
        assert!(error.message.contains(word), "{}", error.message);
    };
    refused(
        dumped(&golden("platform")),
        "outside its selection: web3platform.",
    )
    .await;
    refused(dumped(&before[..before.len() - 1]), "incomplete").await;
    refused(dumped(b""), "incomplete").await;
    // A later collection would be in a dump, but is not in the archive.
    f.client
        .database(&f.database)
        .create_collection("late")
        .await
        .unwrap();
    refused(
        dumped(&before),
        &format!("lacks collections of its selection: {}.late", f.database),
    )
    .await;
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mongodump_that_stalls_is_stopped_at_the_deadline() {
    let f = Fixture::new(&[]).await;
    f.fill(10).await;
    let archive = archived(&f).await;
    let stand_in = StandIn::doing(
        &archive,
        "",
        "head -c 1000 \"$here/archive\"; exec sleep 600",
    );
    let h = with_engine(&f, DumpEngine::Mongodump, &stand_in.path());
    let id = trigger(&h, BackupType::Database, None, Timestamp::now())
        .await
        .unwrap()
        .backup_id;
    let limits = RunLimits {
        deadline: Some(Timestamp::now() + SignedDuration::from_secs(23)),
    };
    let begun = Instant::now();
    let outcome = back_up_database(&h, BackupRequest::Triggered { backup_id: id }, limits)
        .await
        .unwrap();
    assert!(
        begun.elapsed() < Duration::from_secs(15),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(failed(outcome).error.unwrap().code, FailureCode::Deadline);
    let process = PathBuf::from(format!("/proc/{}", stand_in.process().unwrap()));
    let gone = async {
        while process.exists() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), gone)
        .await
        .unwrap();
    nothing_is_left(&f).await;
    f.remove().await;
}
