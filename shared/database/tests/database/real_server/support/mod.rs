//! Common parts of this crate's tests: a connection to the running server, additional servers and
//! proxies, archives in memory.

mod archive;
mod proxy;

use std::{future::pending, io::Cursor};

use bson::{Document, RawDocumentBuf};
use futures_util::TryStreamExt;
use holdfast_archive::{Summary, Visitor, Walker};
use holdfast_database::{
    Connection, DumpError, DumpReport, DumpSelection, NamespaceMap, RestoreError, RestoreOptions,
    RestoreReport, dump, plan, restore,
};
use holdfast_domain::{
    Secret,
    settings::{CollectionFilter, ReadPreference},
};
use sha2::{Digest, Sha256};

pub(crate) use holdfast_testing::MongoServer as Server;

pub(crate) use self::{
    archive::{Namespace, archive_of},
    proxy::Proxy,
};

pub(crate) async fn connect(uri: &str) -> Connection {
    Connection::open(&Secret::new(uri), ReadPreference::Primary, "holdfast-tests")
        .await
        .expect("the server answers")
}

pub(crate) async fn connection() -> Connection {
    connect(&holdfast_testing::parts().mongodb_uri).await
}

/// The running server, with a database for this test as the default.
pub(crate) struct Scratch {
    pub(crate) connection: Connection,
    pub(crate) database: String,
}

impl Scratch {
    pub(crate) async fn new() -> Self {
        let database = holdfast_testing::unique("dbtest");
        Self {
            connection: connect(&with_database(
                &holdfast_testing::parts().mongodb_uri,
                &database,
            ))
            .await,
            database,
        }
    }

    pub(crate) fn collection(&self, name: &str) -> mongodb::Collection<Document> {
        self.connection
            .client()
            .database(&self.database)
            .collection(name)
    }

    pub(crate) fn handle(&self) -> mongodb::Database {
        self.connection.client().database(&self.database)
    }

    /// Everything of `from` is restored to this database.
    pub(crate) fn map_from(&self, from: &str) -> NamespaceMap {
        NamespaceMap::parse(&[format!("{from}.*")], &[format!("{}.*", self.database)])
            .expect("a map")
    }

    pub(crate) async fn drop(self) {
        self.connection
            .drop_database(&self.database)
            .await
            .expect("the database is dropped");
    }
}

/// `mongodb://host/?options` with a database in it.
pub(crate) fn with_database(uri: &str, database: &str) -> String {
    let (scheme, rest) = uri.split_once("://").expect("a scheme");
    let (hosts, options) = rest
        .split_once('?')
        .map_or((rest, ""), |(hosts, options)| (hosts, options));
    let hosts = hosts.split('/').next().expect("hosts");
    format!("{scheme}://{hosts}/{database}?{options}")
}

pub(crate) fn everything() -> DumpSelection {
    DumpSelection {
        collections: CollectionFilter::All,
        exclude: Vec::new(),
    }
}

/// A complete dump of the connection's database.
pub(crate) async fn dumped(connection: &Connection) -> (Vec<u8>, DumpReport) {
    dump_of(connection, &everything())
        .await
        .expect("a whole dump")
}

pub(crate) async fn dump_of(
    connection: &Connection,
    selection: &DumpSelection,
) -> Result<(Vec<u8>, DumpReport), DumpError> {
    let plan = plan(connection, selection, 4).await?;
    dump(connection, plan, 4, Vec::new(), pending()).await
}

/// The ids of a collection's documents, in their order.
pub(crate) async fn ids(scratch: &Scratch, collection: &str) -> Vec<i32> {
    let mut cursor = scratch
        .collection(collection)
        .find(bson::doc! {})
        .sort(bson::doc! { "_id": 1 })
        .await
        .unwrap();
    let mut ids = Vec::new();
    while cursor.advance().await.unwrap() {
        ids.push(
            cursor
                .deserialize_current()
                .unwrap()
                .get_i32("_id")
                .unwrap(),
        );
    }
    ids
}

pub(crate) async fn restored(
    connection: &Connection,
    archive: Vec<u8>,
    options: &RestoreOptions,
) -> Result<RestoreReport, RestoreError> {
    restore(connection, Cursor::new(archive), options, None, &|_| ()).await
}

pub(crate) fn summary_of(archive: &[u8]) -> Summary {
    let mut walker = Walker::new(());
    walker.feed(archive).expect("a sound archive");
    walker.finish().expect("a whole archive").0
}

/// The documents of one namespace, in the archive's order.
pub(crate) fn documents_of(archive: &[u8], collection: &str) -> Vec<Document> {
    struct Collector {
        wanted: Option<usize>,
        collection: String,
        documents: Vec<Document>,
    }
    impl Visitor for Collector {
        fn prelude(
            &mut self,
            prelude: &holdfast_archive::Prelude,
        ) -> Result<(), holdfast_archive::VisitError> {
            self.wanted = prelude
                .namespaces
                .iter()
                .position(|namespace| namespace.collection == self.collection);
            Ok(())
        }

        fn document(
            &mut self,
            namespace: usize,
            document: &[u8],
        ) -> Result<(), holdfast_archive::VisitError> {
            if Some(namespace) == self.wanted {
                self.documents.push(Document::from_reader(document)?);
            }
            Ok(())
        }
    }
    let mut walker = Walker::new(Collector {
        wanted: None,
        collection: collection.to_owned(),
        documents: Vec::new(),
    });
    walker.feed(archive).expect("a sound archive");
    walker.finish().expect("a whole archive").1.documents
}

/// SHA-256 over the sorted SHA-256 of a collection's documents, as in `expected.json`.
pub(crate) async fn sorted_hash(database: &mongodb::Database, collection: &str) -> (u64, String) {
    let cursor = database
        .collection::<RawDocumentBuf>(collection)
        .find(Document::new())
        .await
        .expect("a cursor");
    let documents: Vec<RawDocumentBuf> = cursor.try_collect().await.expect("all documents");
    let mut hashes: Vec<_> = documents
        .iter()
        .map(|document| Sha256::digest(document.as_bytes()))
        .collect();
    hashes.sort_unstable();
    let mut all = Sha256::new();
    for hash in hashes {
        all.update(hash);
    }
    (documents.len() as u64, hex::encode(all.finalize()))
}
