//! A broken read resumes at its position. If that is impossible, the dump fails soon.

use std::{
    future::pending,
    time::{Duration, Instant},
};

use bson::{Bson, DateTime, Document, Timestamp, doc, oid::ObjectId, spec::BinarySubtype};
use holdfast_archive::ContentHash;
use holdfast_database::{DatabaseError, DumpError, dump, plan};

use super::support::{Proxy, Scratch, Server, connect, dumped, everything, summary_of};

/// An `_id` of every possible BSON type, and strings with another order in a collation than in
/// bytes.
pub(crate) fn ids() -> Vec<Bson> {
    let binary = |byte: u8| {
        Bson::Binary(bson::Binary {
            subtype: BinarySubtype::Generic,
            bytes: vec![byte],
        })
    };
    let mut ids = vec![
        Bson::MinKey,
        Bson::Null,
        Bson::MaxKey,
        Bson::Boolean(false),
        Bson::Boolean(true),
    ];
    for number in 0..40_i32 {
        ids.push(Bson::Int32(number));
        ids.push(Bson::Double(f64::from(number) + 0.5));
        ids.push(Bson::Int64(i64::from(number) + 1000));
        ids.push(Bson::Document(doc! { "a": number }));
        ids.push(binary(u8::try_from(number).unwrap()));
        ids.push(Bson::ObjectId(ObjectId::new()));
        ids.push(Bson::DateTime(DateTime::from_millis(i64::from(number))));
        ids.push(Bson::Timestamp(Timestamp {
            time: 1,
            increment: number.unsigned_abs(),
        }));
        ids.push(Bson::String(format!(
            "{}{number}",
            if number % 2 == 0 { "b" } else { "B" }
        )));
        ids.push(Bson::String(format!("$a{number}")));
    }
    ids.reverse();
    ids
}

fn documents() -> Vec<Document> {
    // Large enough for many batches.
    ids()
        .into_iter()
        .map(|id| doc! { "_id": id, "text": "x".repeat(40_000) })
        .collect()
}

fn content_hash(documents: &[Document]) -> ContentHash {
    let mut hash = ContentHash::default();
    for document in documents {
        hash.add_document(&document.to_vec().unwrap());
    }
    hash
}

#[tokio::test]
async fn a_broken_read_resumes_across_types_and_collations() {
    let scratch = Scratch::new().await;
    let collated = doc! { "create": "collated", "collation": { "locale": "fr", "strength": 2 } };
    scratch.handle().run_command(collated).await.unwrap();
    let clustered =
        doc! { "create": "clustered", "clusteredIndex": { "key": { "_id": 1 }, "unique": true } };
    scratch.handle().run_command(clustered).await.unwrap();
    for name in ["plain", "collated", "clustered"] {
        scratch
            .collection(name)
            .insert_many(documents())
            .await
            .unwrap();
    }
    let proxy = Proxy::start(&holdfast_testing::parts().mongodb_uri).await;
    let connection = connect(&proxy.uri(&scratch.database)).await;
    proxy.cut(6, 2_500_000);
    let (archive, report) = dumped(&connection).await;
    assert_eq!(proxy.cuts_left(), 0, "not every cut was made");
    assert!(report.resumed > 3, "{report:?}");
    for namespace in summary_of(&archive).namespaces {
        assert_eq!(
            namespace.documents,
            documents().len() as u64,
            "{}",
            namespace.collection
        );
    }
    let plain = &summary_of(&archive).namespaces[2];
    let wanted: Vec<_> = super::support::documents_of(&archive, "plain");
    assert_eq!(content_hash(&wanted), plain.content_hash);
    let distinct: std::collections::HashSet<_> = wanted
        .iter()
        .map(|found| found.get("_id").unwrap().to_string())
        .collect();
    assert_eq!(distinct.len(), documents().len());
    scratch.drop().await;
}

#[tokio::test]
async fn a_server_that_comes_back_is_waited_for() {
    let mut server = Server::start(&[]).await;
    let connection = connect(&server.uri("", "shop")).await;
    let shop = connection
        .client()
        .database("shop")
        .collection::<Document>("things");
    let documents: Vec<Document> = (0..20_000)
        .map(|number| doc! { "_id": number, "text": "x".repeat(1000) })
        .collect();
    for chunk in documents.chunks(5000) {
        shop.insert_many(chunk).await.unwrap();
    }
    // A killed server must have all documents on disk.
    let mut server = {
        server.stop();
        server.start_again().await;
        server
    };
    let planned = plan(&connection, &everything(), 1).await.unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    let dumping = tokio::spawn({
        let connection = connection.clone();
        async move {
            dump(&connection, planned, 1, writer, pending())
                .await
                .map(|(_, report)| report)
        }
    });
    // The dump pauses in the middle, until the server was killed and has returned.
    tokio::time::sleep(Duration::from_millis(300)).await;
    server.kill();
    server.start_again().await;
    let reading = tokio::task::spawn_blocking(move || {
        let (mut reader, mut archive) = (reader, Vec::new());
        std::io::Read::read_to_end(&mut reader, &mut archive).map(|_| archive)
    });
    let report = dumping.await.unwrap().unwrap();
    assert!(report.resumed > 0);
    let archive = reading.await.unwrap().unwrap();
    let held = &summary_of(&archive).namespaces[0];
    assert_eq!(
        (held.documents, held.content_hash),
        (20_000, content_hash(&documents))
    );
}

#[tokio::test]
async fn a_server_that_is_gone_for_good_fails_the_dump_in_bounded_time() {
    let scratch = Scratch::new().await;
    for name in ["a", "b"] {
        scratch
            .collection(name)
            .insert_many(documents())
            .await
            .unwrap();
    }
    let proxy = Proxy::start(&holdfast_testing::parts().mongodb_uri).await;
    let connection = connect(&proxy.uri(&scratch.database)).await;
    let planned = plan(&connection, &everything(), 2).await.unwrap();
    proxy.die();
    let begun = Instant::now();
    let error = dump(&connection, planned, 2, Vec::new(), pending())
        .await
        .err()
        .unwrap();
    assert!(
        matches!(&error, DumpError::Database(DatabaseError::Lost(text)) if text.contains("failed after")),
        "{error:?}"
    );
    assert!(
        begun.elapsed() < Duration::from_secs(40),
        "{:?}",
        begun.elapsed()
    );
    scratch.drop().await;
}

#[tokio::test]
async fn a_broken_read_of_a_capped_collection_fails_the_dump() {
    let scratch = Scratch::new().await;
    scratch
        .handle()
        .create_collection("capped")
        .capped(true)
        .size(100_000_000)
        .await
        .unwrap();
    scratch
        .collection("capped")
        .insert_many(documents())
        .await
        .unwrap();
    let proxy = Proxy::start(&holdfast_testing::parts().mongodb_uri).await;
    let connection = connect(&proxy.uri(&scratch.database)).await;
    let planned = plan(&connection, &everything(), 2).await.unwrap();
    proxy.cut(1, 3_500_000);
    let error = dump(&connection, planned, 2, Vec::new(), pending())
        .await
        .err()
        .unwrap();
    assert!(
        matches!(&error, DumpError::Database(DatabaseError::Lost(text)) if text.contains("capped")),
        "{error:?}"
    );
    scratch.drop().await;
}
