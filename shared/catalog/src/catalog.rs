//! The catalogue itself: its location, its connection and its indexes.

use std::{collections::BTreeSet, future::IntoFuture, sync::Arc, time::Duration};

use bson::{Document, doc};
use holdfast_domain::{ConnectionString, Secret, Timestamp, settings::Settings};
use mongodb::{
    Client, Collection, Database, IndexModel,
    options::{
        Acknowledgment, ClientOptions, CollectionOptions, IndexOptions, ReadConcern,
        ReadPreference, SelectionCriteria, WriteConcern,
    },
};

use crate::{CatalogError, clock::ServerClock, error::duplicates};

/// The catalogue's database, unless `BACKUP_CATALOG_URI` names one.
const DEFAULT_DATABASE: &str = "holdfast";

/// Every collection of Holdfast.
pub const COLLECTIONS: [&str; 8] = [
    JOBS,
    ITEMS,
    POLICIES,
    VERIFICATIONS,
    LEASES,
    READERS,
    OBJECTS,
    COLLECTING,
];

pub(crate) const JOBS: &str = "backup_jobs";
pub(crate) const VERIFICATIONS: &str = "backup_verifications";
pub(crate) const LEASES: &str = "backup_leases";
pub(crate) const READERS: &str = "backup_readers";
pub(crate) const ITEMS: &str = "backup_items";
pub(crate) const OBJECTS: &str = "content_objects";
pub(crate) const COLLECTING: &str = "backup_collecting";
pub(crate) const POLICIES: &str = "backup_retention_policies";

/// Time limit of finding a server.
const SELECTION_TIMEOUT: Duration = Duration::from_secs(5);
/// Time limit of the acknowledgement of a write by a majority.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// Time limit of one call, so that a hanging server does not block a run.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);

/// The location of the catalogue's collections. A dump omits them, and a restore never changes
/// them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogLocation {
    /// The database of [`COLLECTIONS`].
    pub database: String,
}

impl Default for CatalogLocation {
    fn default() -> Self {
        Self {
            database: DEFAULT_DATABASE.to_owned(),
        }
    }
}

impl CatalogLocation {
    /// The names of the catalogue's collections.
    #[must_use]
    pub fn collections(&self) -> Vec<String> {
        COLLECTIONS.map(str::to_owned).to_vec()
    }
}

/// Jobs, leases and verifications. Cheap to clone: all clones share one client.
#[derive(Debug, Clone)]
pub struct Catalog {
    database: Database,
    pub(crate) clock: Arc<ServerClock>,
}

impl Catalog {
    /// The catalogue in this database of the server at `uri`. Nothing is sent yet.
    ///
    /// # Errors
    /// [`CatalogError::Invalid`] if the connection string is invalid. [`CatalogError::Unavailable`]
    /// if the name in a `mongodb+srv` string does not resolve.
    pub async fn connect(uri: &Secret, database: &str) -> Result<Self, CatalogError> {
        Ok(Self::new(
            client(uri, "the catalogue's connection string")
                .await?
                .database(database),
        ))
    }

    /// The catalogue of the settings: the default database of `BACKUP_CATALOG_URI`, or `holdfast`
    /// there, or `holdfast` on the server of `MONGODB_URI`.
    ///
    /// # Errors
    /// Those of [`Catalog::connect`]. The message names the variable.
    pub async fn from_settings(settings: &Settings) -> Result<Self, CatalogError> {
        let Some(uri) = &settings.catalog_uri else {
            return Ok(Self::new(
                client(&settings.mongodb_uri, "MONGODB_URI")
                    .await?
                    .database(DEFAULT_DATABASE),
            ));
        };
        let client = client(uri, "BACKUP_CATALOG_URI").await?;
        Ok(Self::new(
            client
                .default_database()
                .unwrap_or_else(|| client.database(DEFAULT_DATABASE)),
        ))
    }

    /// The catalogue in this database.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self {
            database,
            clock: Arc::default(),
        }
    }

    /// Its location.
    #[must_use]
    pub fn location(&self) -> CatalogLocation {
        CatalogLocation {
            database: self.database.name().to_owned(),
        }
    }

    /// The time of the server, if it reports it.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn server_time(&self) -> Result<Option<Timestamp>, CatalogError> {
        let hello = self.database.run_command(doc! { "hello": 1 });
        let answer = call("read the time", hello).await?;
        let time = answer.get_datetime("localTime").ok();
        Ok(time.and_then(|time| Timestamp::from_millisecond(time.timestamp_millis()).ok()))
    }

    /// Creates the missing indexes.
    ///
    /// # Errors
    /// [`CatalogError::Unavailable`], [`CatalogError::Denied`] or [`CatalogError::Refused`].
    pub async fn ensure_indexes(&self) -> Result<(), CatalogError> {
        for (collection, keys) in indexes() {
            let indexes = keys
                .into_iter()
                .map(|keys| IndexModel::builder().keys(keys).build());
            call(
                "create indexes",
                self.collection(collection).create_indexes(indexes),
            )
            .await?;
        }
        let of_parent = IndexModel::builder()
            .keys(doc! { "parentId": 1 })
            .options(IndexOptions::builder().sparse(true).build())
            .build();
        call(
            "create indexes",
            self.collection(JOBS).create_index(of_parent),
        )
        .await?;
        Ok(())
    }

    /// Inserts the rows with a free `_id`. Returns the positions of the others.
    pub(crate) async fn insert_new(
        &self,
        collection: &str,
        doing: &'static str,
        rows: &[Document],
    ) -> Result<BTreeSet<usize>, CatalogError> {
        if rows.is_empty() {
            return Ok(BTreeSet::new());
        }
        match attempt(
            doing,
            self.collection(collection).insert_many(rows).ordered(false),
        )
        .await?
        {
            Ok(_) => Ok(BTreeSet::new()),
            Err(error) => {
                duplicates(&error).ok_or_else(|| CatalogError::from_driver(doing, &error))
            }
        }
    }

    /// One of the catalogue's collections, with fixed concerns instead of those in the connection
    /// string. Reads go to the primary, and writes wait for a majority, so that no change of
    /// state is rolled back.
    pub(crate) fn collection(&self, name: &str) -> Collection<Document> {
        let write = WriteConcern::builder()
            .w(Acknowledgment::Majority)
            .w_timeout(WRITE_TIMEOUT)
            .build();
        let options = CollectionOptions::builder()
            .selection_criteria(SelectionCriteria::ReadPreference(ReadPreference::Primary))
            .read_concern(ReadConcern::local())
            .write_concern(write)
            .build();
        self.database.collection_with_options(name, options)
    }
}

/// Every index except the sparse one. The indexes of items end with `_id`, so that a page begins
/// after the previous one.
fn indexes() -> [(&'static str, Vec<Document>); 4] {
    [
        (
            JOBS,
            vec![
                doc! { "createdAt": -1 },
                doc! { "type": 1, "createdAt": -1 },
                doc! { "status": 1, "createdAt": -1 },
                doc! { "type": 1, "status": 1, "createdAt": -1 },
            ],
        ),
        (VERIFICATIONS, vec![doc! { "backupId": 1, "at": -1 }]),
        (
            ITEMS,
            vec![
                doc! { "backupId": 1, "status": 1, "_id": 1 },
                doc! { "backupId": 1, "file.object.key": 1, "_id": 1 },
                doc! { "backupId": 1, "file.dag.key": 1, "_id": 1 },
            ],
        ),
        (
            OBJECTS,
            vec![
                doc! { "address": 1 },
                doc! { "file.object.key": 1 },
                doc! { "file.dag.key": 1 },
            ],
        ),
    ]
}

async fn client(uri: &Secret, name: &str) -> Result<Client, CatalogError> {
    let unusable = |error: mongodb::error::Error| {
        match CatalogError::from_driver("look up its server", &error) {
        error @ CatalogError::Unavailable { .. } => error,
        _ => CatalogError::Invalid {
            what: name.to_owned(),
            problem:
                "is not a valid connection string: check its form, its options, and the percent-encoding of user and \
                      password"
                    .to_owned(),
        },
    }
    };
    let read = ConnectionString::read(uri.expose()).map_err(|problem| CatalogError::Invalid {
        what: name.to_owned(),
        problem,
    })?;
    let mut options = ClientOptions::parse(&read.usable).await.map_err(unusable)?;
    options
        .app_name
        .get_or_insert_with(|| "holdfast".to_owned());
    options
        .server_selection_timeout
        .get_or_insert(SELECTION_TIMEOUT);
    options.connect_timeout.get_or_insert(SELECTION_TIMEOUT);
    Client::with_options(options).map_err(unusable)
}

/// One call of the driver within the time limit, with a translated error.
pub(crate) async fn call<T>(
    doing: &'static str,
    action: impl IntoFuture<Output = mongodb::error::Result<T>>,
) -> Result<T, CatalogError> {
    attempt(doing, action)
        .await?
        .map_err(|error| CatalogError::from_driver(doing, &error))
}

/// One call of the driver within the time limit. The caller inspects its error first.
pub(crate) async fn attempt<T>(
    doing: &'static str,
    action: impl IntoFuture<Output = mongodb::error::Result<T>>,
) -> Result<mongodb::error::Result<T>, CatalogError> {
    tokio::time::timeout(CALL_TIMEOUT, action.into_future())
        .await
        .map_err(|_| CatalogError::Unavailable {
            doing,
            reason: format!("no answer within {} seconds", CALL_TIMEOUT.as_secs()),
        })
}
