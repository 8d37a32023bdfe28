//! The content of a dump, its omissions, and the remains of a failed dump.

use std::{
    future::pending,
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bson::{Bson, Document, doc};
use holdfast_archive::NamespaceKind;
use holdfast_database::{
    Connection, DatabaseError, DumpError, DumpSelection, Exclusion, content_hash_of, dump, plan,
};
use holdfast_domain::settings::CollectionFilter;

use super::support::{Scratch, connect, dump_of, dumped, everything, summary_of, with_database};

async fn names(connection: &Connection, selection: &DumpSelection) -> Vec<String> {
    let plan = plan(connection, selection, 1).await.unwrap();
    plan.prelude()
        .namespaces
        .iter()
        .map(|namespace| namespace.collection.clone())
        .collect()
}

fn refusal(error: DumpError) -> String {
    match error {
        DumpError::Database(DatabaseError::Refused(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn included_and_excluded_collections_are_taken_at_their_word() {
    let scratch = Scratch::new().await;
    for name in ["a", "b", "backup_jobs"] {
        scratch
            .collection(name)
            .insert_one(doc! { "_id": 1 })
            .await
            .unwrap();
    }
    let own = || Exclusion {
        database: scratch.database.clone(),
        collections: vec!["backup_jobs".to_owned()],
    };
    let only = |names: &[&str]| DumpSelection {
        collections: CollectionFilter::Only(names.iter().map(ToString::to_string).collect()),
        exclude: vec![own()],
    };
    let except = DumpSelection {
        collections: CollectionFilter::Except(vec!["a".to_owned()]),
        ..everything()
    };
    assert_eq!(names(&scratch.connection, &only(&["b"])).await, ["b"]);
    assert_eq!(
        names(&scratch.connection, &except).await,
        ["b", "backup_jobs"]
    );
    let without_own = DumpSelection {
        exclude: vec![own()],
        ..everything()
    };
    assert_eq!(names(&scratch.connection, &without_own).await, ["a", "b"]);
    for missing in ["no-such", "backup_jobs"] {
        let text = refusal(
            dump_of(&scratch.connection, &only(&["a", missing]))
                .await
                .unwrap_err(),
        );
        assert!(text.contains(missing), "{text}");
    }
    scratch.drop().await;
}

#[tokio::test]
async fn the_servers_own_databases_are_never_the_source() {
    let uri = &holdfast_testing::parts().mongodb_uri;
    let admin = connect(&with_database(uri, "admin")).await;
    assert!(
        refusal(dump_of(&admin, &everything()).await.unwrap_err()).contains("authSource=admin")
    );
}

#[tokio::test]
async fn without_a_database_in_the_connection_string_all_are_dumped_but_the_servers_own() {
    let scratch = Scratch::new().await;
    scratch
        .collection("a")
        .insert_one(doc! { "_id": 1 })
        .await
        .unwrap();
    let databases = super::support::connection()
        .await
        .databases()
        .await
        .unwrap();
    assert!(databases.contains(&scratch.database));
    assert!(
        !databases
            .iter()
            .any(|name| ["admin", "local", "config"].contains(&name.as_str()))
    );
    scratch.drop().await;
}

#[tokio::test]
async fn a_dump_reports_its_content() {
    let scratch = Scratch::new().await;
    let documents: Vec<Document> = (0..5000)
        .map(|number| doc! { "_id": number, "text": "x".repeat(700) })
        .collect();
    scratch
        .collection("many")
        .insert_many(documents)
        .await
        .unwrap();
    scratch
        .collection("many")
        .create_index(
            mongodb::IndexModel::builder()
                .keys(doc! { "text": 1 })
                .build(),
        )
        .await
        .unwrap();
    scratch
        .handle()
        .create_collection("seen")
        .view_on("many")
        .await
        .unwrap();
    let planned = plan(&scratch.connection, &everything(), 4).await.unwrap();
    assert_eq!(planned.estimated_documents(), 5000);
    assert!(planned.estimated_bytes() > 3_000_000);
    let (archive, report) = dumped(&scratch.connection).await;
    let (many, seen) = (&report.namespaces[0], &report.namespaces[1]);
    assert_eq!(
        (many.documents, many.indexes.clone()),
        (5000, vec!["_id_".to_owned(), "text_1".to_owned()])
    );
    assert_eq!((seen.kind, seen.documents), (NamespaceKind::View, 0));
    let content = content_hash_of(&scratch.connection, &scratch.database, "many")
        .await
        .unwrap();
    let held = &summary_of(&archive).namespaces[0];
    assert_eq!(
        (content.documents, content.bytes),
        (held.documents, held.bytes)
    );
    assert_eq!(content.content_hash, held.content_hash);
    assert_eq!(report.resumed, 0);
    scratch.drop().await;
}

#[tokio::test]
async fn documents_of_very_different_sizes_come_whole() {
    let scratch = Scratch::new().await;
    let sizes = [
        10, 10, 10, 3_000_000, 12_000_000, 5, 16_000_000, 700_000, 20, 20,
    ];
    let mut documents: Vec<Document> = (0..300).map(|number| doc! { "_id": number }).collect();
    for (number, size) in (300..).zip(sizes) {
        documents.push(doc! { "_id": number, "text": "y".repeat(size) });
    }
    for document in documents {
        scratch
            .collection("mixed")
            .insert_one(document)
            .await
            .unwrap();
    }
    for name in ["b", "c", "d"] {
        scratch
            .collection(name)
            .insert_one(doc! { "_id": 1, "text": "z".repeat(9_000_000) })
            .await
            .unwrap();
    }
    let (_, report) = dumped(&scratch.connection).await;
    let counts: Vec<_> = report
        .namespaces
        .iter()
        .map(|namespace| namespace.documents)
        .collect();
    assert_eq!(counts, [1, 1, 1, 310]);
    scratch.drop().await;
}

/// Fails after this many bytes, and reports its drop.
struct Failing {
    left: usize,
    is_dropped: Arc<AtomicBool>,
}

impl Write for Failing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.left = self
            .left
            .checked_sub(bytes.len())
            .ok_or_else(|| io::Error::other("the store is full"))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Failing {
    fn drop(&mut self) {
        self.is_dropped.store(true, Ordering::SeqCst);
    }
}

async fn filled() -> Scratch {
    let scratch = Scratch::new().await;
    let documents: Vec<Document> = (0..3000)
        .map(|number| doc! { "_id": number, "text": "x".repeat(2000) })
        .collect();
    scratch
        .collection("many")
        .insert_many(documents)
        .await
        .unwrap();
    scratch
}

#[tokio::test]
async fn a_writer_that_fails_ends_the_dump_with_its_own_error() {
    let scratch = filled().await;
    let is_dropped = Arc::new(AtomicBool::new(false));
    let writer = Failing {
        left: 2_000_000,
        is_dropped: Arc::clone(&is_dropped),
    };
    let planned = plan(&scratch.connection, &everything(), 4).await.unwrap();
    let error = dump(&scratch.connection, planned, 4, writer, pending())
        .await
        .err()
        .unwrap();
    assert!(
        matches!(&error, DumpError::Sink(error) if error.to_string() == "the store is full"),
        "{error:?}"
    );
    assert!(is_dropped.load(Ordering::SeqCst));
    scratch.drop().await;
}

/// A slow writer.
struct Slow(Failing);

impl Write for Slow {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        std::thread::sleep(Duration::from_millis(100));
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_stopped_dump_drops_its_writer_without_an_end() {
    let scratch = filled().await;
    let is_dropped = Arc::new(AtomicBool::new(false));
    let writer = Slow(Failing {
        left: usize::MAX,
        is_dropped: Arc::clone(&is_dropped),
    });
    let planned = plan(&scratch.connection, &everything(), 4).await.unwrap();
    let stop = tokio::time::sleep(Duration::from_millis(50));
    let error = dump(&scratch.connection, planned, 4, writer, stop)
        .await
        .err()
        .unwrap();
    assert!(matches!(error, DumpError::Stopped), "{error:?}");
    for _ in 0..100 {
        if is_dropped.load(Ordering::SeqCst) {
            scratch.drop().await;
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the writer is still alive");
}

#[tokio::test]
async fn a_collection_that_is_dropped_fails_the_dump_and_one_that_is_created_again_is_read() {
    let scratch = filled().await;
    let planned = plan(&scratch.connection, &everything(), 4).await.unwrap();
    scratch.collection("many").drop().await.unwrap();
    let error = dump(&scratch.connection, planned, 4, Vec::new(), pending())
        .await
        .err()
        .unwrap();
    assert!(
        matches!(&error, DumpError::Database(DatabaseError::Changed(text)) if text.contains("many")),
        "{error:?}"
    );
    scratch
        .collection("many")
        .insert_one(doc! { "_id": 1 })
        .await
        .unwrap();
    let planned = plan(&scratch.connection, &everything(), 4).await.unwrap();
    scratch.collection("many").drop().await.unwrap();
    scratch
        .collection("many")
        .insert_one(doc! { "_id": 2 })
        .await
        .unwrap();
    let (archive, _) = dump(&scratch.connection, planned, 4, Vec::new(), pending())
        .await
        .unwrap();
    assert_eq!(
        super::support::documents_of(&archive, "many"),
        [doc! { "_id": 2 }]
    );
    scratch.drop().await;
}

#[tokio::test]
async fn a_capped_collection_is_dumped_in_its_natural_order() {
    let scratch = Scratch::new().await;
    scratch
        .handle()
        .create_collection("capped")
        .capped(true)
        .size(1_000_000)
        .await
        .unwrap();
    for number in [5, 3, 9, 1] {
        scratch
            .collection("capped")
            .insert_one(doc! { "_id": number })
            .await
            .unwrap();
    }
    let (archive, _) = dumped(&scratch.connection).await;
    let ids: Vec<_> = super::support::documents_of(&archive, "capped")
        .iter()
        .map(|found| found.get("_id").cloned())
        .collect();
    assert_eq!(ids, [5, 3, 9, 1].map(|number| Some(Bson::Int32(number))));
    scratch.drop().await;
}
