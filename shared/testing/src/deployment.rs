//! The databases and the store of one test, and the variables that name them.

use mongodb::{Client, bson::Document};

use crate::{TestStore, database_uri, parts, unique};

/// A platform's database, a catalogue and a store, empty at first.
pub struct TestDeployment {
    /// The store.
    pub store: TestStore,
    /// A client of the MongoDB server.
    pub client: Client,
    /// The database to back up.
    pub platform: String,
    /// The database of the catalogue.
    pub catalog: String,
}

impl TestDeployment {
    /// An empty one.
    ///
    /// # Panics
    /// If MongoDB or S3 is not running.
    pub async fn new() -> Self {
        let client = Client::with_uri_str(&parts().mongodb_uri).await;
        Self {
            store: TestStore::new().await,
            client: client.unwrap_or_else(|error| panic!("the MongoDB server: {error}")),
            platform: unique("platform"),
            catalog: unique("catalog"),
        }
    }

    /// The variables of a function, with these in addition. They replace the defaults.
    #[must_use]
    pub fn variables(&self, more: &[(&str, &str)]) -> Vec<(String, String)> {
        let mut variables = vec![
            ("MONGODB_URI".to_owned(), database_uri(&self.platform)),
            ("BACKUP_CATALOG_URI".to_owned(), database_uri(&self.catalog)),
            ("BACKUP_STORE".to_owned(), self.store.location().to_string()),
        ];
        for (name, value) in more {
            variables.retain(|(set, _)| set != name);
            variables.push(((*name).to_owned(), (*value).to_owned()));
        }
        variables
    }

    /// Inserts documents into a collection of the platform.
    ///
    /// # Panics
    /// If the server refuses them.
    pub async fn insert(&self, collection: &str, documents: impl IntoIterator<Item = Document>) {
        let documents: Vec<Document> = documents.into_iter().collect();
        let inserted = self
            .client
            .database(&self.platform)
            .collection(collection)
            .insert_many(documents)
            .await;
        inserted.unwrap_or_else(|error| panic!("documents in {collection}: {error}"));
    }

    /// Removes the databases and the store.
    ///
    /// # Panics
    /// If that fails.
    pub async fn remove(self) {
        for name in [&self.platform, &self.catalog] {
            let dropped = self.client.database(name).drop().await;
            dropped.unwrap_or_else(|error| panic!("removing {name}: {error}"));
        }
        self.store.remove().await;
    }
}
