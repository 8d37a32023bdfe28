//! The MongoDB server: users with passwords, databases to back up, and their contents.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::TryStreamExt as _;
use holdfast_database::{
    CollectionContent, Connection, NamespaceMap, RestoreOptions, TtlIndexes, content_hash_of,
    restore,
};
use holdfast_domain::{Secret, settings::ReadPreference};
use mongodb::{
    Client, Database, IndexModel,
    bson::{Binary, Document, doc, spec::BinarySubtype},
    options::IndexOptions,
};

/// Decades: no row may vanish while it is compared.
const EXPIRES_LATE: std::time::Duration = std::time::Duration::from_secs(2_000_000_000);

/// The server, as its administrator sees it.
pub(crate) struct Server {
    pub(crate) client: Client,
}

impl Server {
    pub(crate) async fn connect() -> Self {
        Self {
            client: Client::with_uri_str(&holdfast_testing::parts().mongodb_uri)
                .await
                .unwrap(),
        }
    }

    /// Creates a user with write access to these databases. The first one is its authentication
    /// database.
    pub(crate) async fn add_user(&self, user: &str, password: &str, databases: [&str; 2]) {
        let roles = databases.map(|database| doc! { "role": "readWrite", "db": database });
        let command = doc! { "createUser": user, "pwd": password, "roles": roles.to_vec() };
        self.client
            .database(databases[0])
            .run_command(command)
            .await
            .unwrap();
    }

    /// Drops databases, and the users known in them.
    pub(crate) async fn drop(&self, databases: &[&str]) {
        for name in databases {
            let database = self.client.database(name);
            database
                .run_command(doc! { "dropAllUsersFromDatabase": 1 })
                .await
                .unwrap();
            database.drop().await.unwrap();
        }
    }

    async fn connection() -> Connection {
        let uri = Secret::new(&holdfast_testing::parts().mongodb_uri);
        Connection::open(&uri, ReadPreference::Primary, "tests")
            .await
            .unwrap()
    }
}

/// The server's connection string for a user with the authentication database `home`, and this
/// database.
pub(crate) fn uri_of(user: &str, password: &str, home: &str, database: &str) -> String {
    let uri = &holdfast_testing::parts().mongodb_uri;
    let (scheme, rest) = uri.split_once("://").unwrap();
    let (before, options) = rest.split_once('?').unwrap_or((rest, ""));
    let hosts = before
        .split('/')
        .next()
        .unwrap_or_default()
        .rsplit('@')
        .next()
        .unwrap_or_default();
    let options = options
        .split('&')
        .filter(|option| !option.is_empty() && !option.starts_with("authSource="));
    let home = format!("authSource={home}");
    let options: Vec<&str> = options.chain([home.as_str()]).collect();
    format!(
        "{scheme}://{user}:{password}@{hosts}/{database}?{}",
        options.join("&")
    )
}

/// Every kind of collection, and the platform's own collections, from the real mongodump.
pub(crate) async fn fill_from_golden(database: &str) {
    for (archive, from) in [("shapes", "shapes.*"), ("platform", "web3platform.*")] {
        let map = NamespaceMap::parse(&[from.to_owned()], &[format!("{database}.*")]).unwrap();
        let options = RestoreOptions {
            map,
            ttl_indexes: TtlIndexes::Omit,
            ..RestoreOptions::default()
        };
        let bytes = std::io::Cursor::new(holdfast_testing::golden(archive));
        let report = restore(&Server::connection().await, bytes, &options, None, &|_| {})
            .await
            .unwrap();
        assert!(report.is_faithful(), "{report:?}");
    }
    let late = IndexOptions::builder().expire_after(EXPIRES_LATE).build();
    let index = IndexModel::builder()
        .keys(doc! { "createdAt": 1 })
        .options(late)
        .build();
    let server = Server::connect().await;
    server
        .client
        .database(database)
        .collection::<Document>("contents")
        .create_index(index)
        .await
        .unwrap();
}

/// Incompressible data of this number of megabytes.
pub(crate) async fn fill_with_noise(server: &Server, database: &str, mebibytes: i32) {
    let collection = server.client.database(database).collection("noise");
    for batch in 0..mebibytes / 8 {
        let documents = (0..32).map(|number| {
            let mut bytes = vec![0; 256 * 1024];
            getrandom::fill(&mut bytes).unwrap();
            doc! { "_id": batch * 32 + number, "noise": Binary { subtype: BinarySubtype::Generic, bytes } }
        });
        collection.insert_many(documents).await.unwrap();
    }
}

/// The comparable properties of a collection.
#[derive(Debug, PartialEq)]
pub(crate) struct Collection {
    kind: String,
    options: Document,
    indexes: BTreeSet<String>,
    /// None for a view, because its options are its content. Buckets are internal to the server
    /// and may be rebuilt, so a time series is compared by its measurements.
    content: Option<CollectionContent>,
}

/// All collections of a database, read again from the server.
pub(crate) async fn collections_of(
    server: &Server,
    database: &str,
) -> BTreeMap<String, Collection> {
    let connection = Server::connection().await;
    let database = server.client.database(database);
    let listed = database
        .run_cursor_command(doc! { "listCollections": 1 })
        .await
        .unwrap();
    let listed: Vec<Document> = listed.try_collect().await.unwrap();
    let mut collections = BTreeMap::new();
    // View definitions name their database, and are in the views' options.
    for entry in listed
        .iter()
        .filter(|entry| entry.get_str("name").unwrap() != "system.views")
    {
        let name = entry.get_str("name").unwrap().to_owned();
        collections.insert(
            name.clone(),
            collection(&connection, &database, &name, entry).await,
        );
    }
    collections
}

async fn collection(
    connection: &Connection,
    database: &Database,
    name: &str,
    entry: &Document,
) -> Collection {
    let kind = entry.get_str("type").unwrap().to_owned();
    let options = entry.get_document("options").cloned().unwrap_or_default();
    let indexes = if kind == "view" {
        BTreeSet::new()
    } else {
        indexes(database, name).await
    };
    let content = if kind == "view" || name.starts_with("system.buckets.") {
        None
    } else {
        Some(
            content_hash_of(connection, database.name(), name)
                .await
                .unwrap(),
        )
    };
    Collection {
        kind,
        options,
        indexes,
        content,
    }
}

async fn indexes(database: &Database, name: &str) -> BTreeSet<String> {
    let listed = database
        .run_cursor_command(doc! { "listIndexes": name })
        .await
        .unwrap();
    listed
        .map_ok(without_namespace)
        .try_collect()
        .await
        .unwrap()
}

/// Older servers include the namespace in the index, and it differs here.
fn without_namespace(mut index: Document) -> String {
    index.remove("ns");
    index.to_string()
}
