//! Restore drills: into scratch databases, compared, and without remains.

use std::io::Write as _;

use holdfast_codec::{DigestWriter, SegmentHasher};
use holdfast_domain::{
    Artifact, BackupId, DrilledCollection, Manifest, ManifestFile, ObjectKey, Secret, Timestamp,
    VerificationLevel, VerificationStatus,
};
use holdfast_operations::verify_on_request;
use holdfast_recovery::{RecoveryError, Verification, drill, remove_dead_scratch, verify};
use holdfast_testing::{MongoServer, WrongClock, parts, unique};
use mongodb::{
    IndexModel,
    bson::{Document, doc},
    options::IndexOptions,
};

use super::breaking::{object, put};
use crate::support::database::Fixture;

fn server() -> Secret {
    Secret::new(&parts().mongodb_uri)
}

async fn drilled(f: &Fixture, id: &BackupId) -> Verification {
    let found = drill(
        &f.holdfast.repository,
        id,
        &server(),
        Timestamp::now(),
        std::future::pending(),
        &|_| {},
    )
    .await;
    let found = found.unwrap();
    assert_eq!(scratch_of(f, &found).await, [""; 0], "{found:?}");
    found
}

/// Scratch databases left by this drill, since its beginning.
async fn scratch_of(f: &Fixture, found: &Verification) -> Vec<String> {
    let prefix = format!("holdfast_drill_{}_", found.started_at.as_millisecond());
    let names = f.client.list_database_names().await.unwrap();
    names
        .into_iter()
        .filter(|name| name.starts_with(&prefix))
        .collect()
}

fn of<'v>(found: &'v Verification, collection: &str) -> &'v DrilledCollection {
    found
        .collections
        .iter()
        .find(|one| one.namespace.ends_with(&format!(".{collection}")))
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_backup_comes_back_collection_by_collection_and_nothing_expires() {
    let f = Fixture::new(super::database::ENCRYPTED).await;
    f.fill(30).await;
    let platform = f.client.database(&f.database);
    let long_ago = mongodb::bson::DateTime::from_millis(0);
    platform
        .collection("sessions")
        .insert_one(doc! { "at": long_ago })
        .await
        .unwrap();
    let ttl = IndexOptions::builder()
        .expire_after(std::time::Duration::from_hours(24))
        .build();
    let index = IndexModel::builder()
        .keys(doc! { "at": 1 })
        .options(ttl)
        .build();
    let sessions = platform.collection::<Document>("sessions");
    // The server deletes expired documents in the background. The backup is made before its next
    // pass.
    sessions.create_index(index).await.unwrap();
    let adults = doc! { "create": "named", "viewOn": "users", "pipeline": [{ "$match": { "name": "user 1" } }] };
    platform.run_command(adults).await.unwrap();
    let series =
        doc! { "create": "measured", "timeseries": { "timeField": "t", "metaField": "m" } };
    platform.run_command(series).await.unwrap();
    let measured = (0..20)
        .map(|n| doc! { "t": mongodb::bson::DateTime::from_millis(n * 1000), "m": "a", "v": n });
    platform
        .collection("measured")
        .insert_many(measured)
        .await
        .unwrap();
    let id = f.back_up().await.backup_id;
    let found = drilled(&f, &id).await;
    assert_eq!(
        (found.status, found.level),
        (VerificationStatus::Passed, VerificationLevel::Drill),
        "{found:?}"
    );
    assert_eq!(found.collections.len(), found.namespaces.len(), "{found:?}");
    let users = of(&found, "users");
    assert_eq!(
        (users.expected, users.restored, users.same_content),
        (30, 30, Some(true))
    );
    assert_eq!(
        (&users.indexes, &users.indexes_left_out),
        (&vec!["name_1".to_owned()], &Vec::new())
    );
    let sessions = of(&found, "sessions");
    assert_eq!(
        (&sessions.indexes, &sessions.indexes_left_out),
        (&Vec::new(), &vec!["at_1".to_owned()])
    );
    assert_eq!(
        of(&found, "named").same_content,
        None,
        "a view holds nothing"
    );
    assert_eq!(of(&found, "measured").same_content, Some(true), "{found:?}");
    f.remove().await;
}

/// Puts another archive in a backup's place, and adapts the manifest to its bytes.
async fn forge(f: &Fixture, id: &BackupId, from: &BackupId) {
    let store = f.holdfast.repository.store();
    let other = f.holdfast.repository.manifest(from).await.unwrap();
    let bytes = object(store, &other.artifacts[0].key).await;
    let mut manifest: Manifest = f.holdfast.repository.manifest(id).await.unwrap();
    let key = manifest.artifacts[0].key.clone();
    let mut digest = DigestWriter::new(Vec::new(), SegmentHasher::plain());
    digest.write_all(&bytes).unwrap();
    let digest = digest.finish().unwrap().1;
    manifest.artifacts[0] = Artifact {
        key: key.clone(),
        size: digest.size_bytes,
        sha256: digest.sha256,
        segments: digest.segments,
        ..manifest.artifacts[0].clone()
    };
    put(store, &key, bytes).await;
    put(
        store,
        &ObjectKey::manifest(id),
        ManifestFile::seal(&manifest, |_| None).unwrap(),
    )
    .await;
    let checked = verify(
        &f.holdfast.repository,
        id,
        VerificationLevel::Checksum,
        Timestamp::now(),
        |_, _| {},
    )
    .await;
    assert_eq!(
        checked.unwrap().problems,
        [""; 0],
        "only the content shows it"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_of_a_backup_whose_archive_holds_fewer_or_other_documents_than_its_manifest_says_fails_and_says_which_collection()
 {
    let f = Fixture::new(&[]).await;
    f.fill(30).await;
    let users = f
        .client
        .database(&f.database)
        .collection::<Document>("users");
    let namespace = format!("{}.users", f.database);

    let whole = f.back_up().await.backup_id;
    users.delete_one(doc! { "_id": 7_i64 }).await.unwrap();
    let fewer = f.back_up().await.backup_id;
    forge(&f, &whole, &fewer).await;
    let found = drilled(&f, &whole).await;
    assert_eq!(found.status, VerificationStatus::Failed);
    assert_eq!(
        found.problems,
        [format!(
            "{namespace}: the archive has 29 documents, its manifest 30"
        )]
    );
    let told = of(&found, "users");
    assert_eq!(
        (told.expected, told.restored, told.same_content),
        (30, 29, Some(false))
    );
    assert_eq!(of(&found, "contents").same_content, Some(true));

    let whole = f.back_up().await.backup_id;
    users
        .update_one(doc! { "_id": 8_i64 }, doc! { "$set": { "bio": "another" } })
        .await
        .unwrap();
    let other = f.back_up().await.backup_id;
    forge(&f, &whole, &other).await;
    let found = drilled(&f, &whole).await;
    assert_eq!(
        found.problems,
        [format!(
            "{namespace}: the archive has other documents than its manifest"
        )]
    );

    let whole = f.back_up().await.backup_id;
    users.drop().await.unwrap();
    let none = f.back_up().await.backup_id;
    forge(&f, &whole, &none).await;
    let found = drilled(&f, &whole).await;
    assert_eq!(found.status, VerificationStatus::Failed);
    assert!(
        found.problems[0].contains(&format!("the manifest lists {namespace}")),
        "{:?}",
        found.problems
    );
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_backup_fails_its_drill_before_anything_is_restored() {
    let f = Fixture::new(&[]).await;
    f.fill(30).await;
    let job = f.back_up().await;
    let (store, key) = (f.holdfast.repository.store(), job.key.unwrap());
    let mut bytes = object(store, &key).await;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    put(store, &key, bytes).await;
    let found = drilled(&f, &job.backup_id).await;
    assert_eq!(found.status, VerificationStatus::Failed);
    assert!(
        found.collections.is_empty() && found.problems[0].contains("segment"),
        "{found:?}"
    );
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_that_is_stopped_has_no_result_and_leaves_nothing() {
    let f = Fixture::new(&[]).await;
    f.fill_with_noise(16).await;
    let id = f.back_up().await.backup_id;
    let (now, repository) = (Timestamp::now(), &f.holdfast.repository);
    let (begun, is_begun) = tokio::sync::oneshot::channel::<()>();
    let begun = std::sync::Mutex::new(Some(begun));
    let progress = |progress: &holdfast_database::RestoreProgress| {
        if progress.documents > 0
            && let Some(begun) = begun.lock().unwrap().take()
        {
            begun.send(()).unwrap();
        }
    };
    let stop = async { is_begun.await.unwrap() };
    let error = drill(repository, &id, &server(), now, stop, &progress)
        .await
        .unwrap_err();
    assert!(matches!(error, RecoveryError::Unfinished(_)), "{error}");
    let prefix = format!("holdfast_drill_{}_", now.as_millisecond());
    let left = f.client.list_database_names().await.unwrap();
    assert!(
        !left.iter().any(|name| name.starts_with(&prefix)),
        "{left:?}"
    );
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_drill_left_is_dropped_by_the_next_and_a_living_ones_is_not() {
    let f = Fixture::new(&[]).await;
    let now = Timestamp::now();
    let name = |minutes: i64, which: &str| {
        let begun = now - jiff::SignedDuration::from_mins(minutes);
        format!(
            "holdfast_drill_{}_{:08x}_{which}",
            begun.as_millisecond(),
            std::process::id()
        )
    };
    let beat = |minutes: i64| {
        let at = now - jiff::SignedDuration::from_mins(minutes);
        doc! { "_id": "beat", "at": mongodb::bson::DateTime::from_millis(at.as_millisecond()) }
    };
    let mine = unique("holdfast_drill_of_mine");
    let some = |name: &str| f.client.database(name).collection::<Document>("beat");
    // One began long ago and beats, one began and never beat, one was killed.
    some(&name(120, "0")).insert_one(doc! {}).await.unwrap();
    some(&name(120, "beat")).insert_one(beat(1)).await.unwrap();
    some(&name(2, "0")).insert_one(doc! {}).await.unwrap();
    some(&name(60, "0")).insert_one(doc! {}).await.unwrap();
    some(&name(60, "beat")).insert_one(beat(40)).await.unwrap();
    some(&name(61, "1")).insert_one(doc! {}).await.unwrap();
    some(&mine).insert_one(doc! {}).await.unwrap();
    let removed = remove_dead_scratch(&server()).await.unwrap();
    let names = f.client.list_database_names().await.unwrap();
    for (dead, name) in [
        (false, name(120, "0")),
        (false, name(120, "beat")),
        (false, name(2, "0")),
        (true, name(60, "0")),
        (true, name(60, "beat")),
        (true, name(61, "1")),
        (false, mine.clone()),
    ] {
        assert_eq!(
            (names.contains(&name), removed.contains(&name)),
            (!dead, dead),
            "{name}"
        );
    }
    for left in [name(120, "0"), name(120, "beat"), name(2, "0"), mine] {
        f.client.database(&left).drop().await.unwrap();
    }
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn drills_are_judged_by_the_clock_of_their_server() {
    let f = Fixture::new(&[]).await;
    f.fill(10).await;
    let id = f.back_up().await.backup_id;
    // A server of its own: no other test's drill is judged here.
    let own = MongoServer::start(&[]).await;
    let uri = own.uri("", "");
    let client = mongodb::Client::with_uri_str(&uri).await.unwrap();
    let host = uri
        .trim_start_matches("mongodb://")
        .split('/')
        .next()
        .unwrap();
    for ahead_seconds in [3600, -3600] {
        let relay = WrongClock::before(host, ahead_seconds).await;
        let there = Secret::new(uri.replace(host, relay.address()));
        let now = Timestamp::now() + jiff::SignedDuration::from_secs(ahead_seconds);
        // A living drill of a machine whose clock is right, and one that died.
        let [living, dead] = [1, 11].map(|minutes| {
            let begun = now - jiff::SignedDuration::from_mins(minutes + 5);
            (
                minutes,
                format!(
                    "holdfast_drill_{}_{:08x}_beat",
                    begun.as_millisecond(),
                    std::process::id()
                ),
            )
        });
        for (minutes, name) in [&living, &dead] {
            let at = now - jiff::SignedDuration::from_mins(*minutes);
            let beat = doc! { "_id": "beat", "at": mongodb::bson::DateTime::from_millis(at.as_millisecond()) };
            client
                .database(name)
                .collection::<Document>("beat")
                .insert_one(beat)
                .await
                .unwrap();
        }
        let stop = std::future::pending();
        let found = drill(
            &f.holdfast.repository,
            &id,
            &there,
            Timestamp::now(),
            stop,
            &|_| {},
        )
        .await
        .unwrap();
        assert_eq!(
            found.status,
            VerificationStatus::Passed,
            "{ahead_seconds}: {found:?}"
        );
        let names = client.list_database_names().await.unwrap();
        assert!(
            names.contains(&living.1) && !names.contains(&dead.1),
            "{ahead_seconds}: {names:?}"
        );
        client.database(&living.1).drop().await.unwrap();
    }
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_is_no_failed_drill() {
    let f = Fixture::new(&[]).await;
    f.fill(10).await;
    let id = f.back_up().await.backup_id;
    let nowhere = Secret::new("mongodb://ada:hunter2@127.0.0.1:9/?serverSelectionTimeoutMS=200");
    let drill = drill(
        &f.holdfast.repository,
        &id,
        &nowhere,
        Timestamp::now(),
        std::future::pending(),
        &|_| {},
    );
    let error = drill.await.unwrap_err();
    assert!(
        matches!(
            error,
            RecoveryError::Drill {
                is_transient: true,
                ..
            }
        ),
        "{error}"
    );
    assert!(!error.to_string().contains("hunter2"), "{error}");
    let limits = holdfast_operations::RunLimits::none();
    let level = VerificationLevel::Drill;
    let error = verify_on_request(&f.holdfast, &id, level, limits, Timestamp::now())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("BACKUP_DRILL_URI"), "{error}");
    f.remove().await;
}
