//! The bucket, database and catalogue of one test, and the binary with their settings.

use std::{
    collections::BTreeMap,
    io::Write,
    process::{Child, Command, Stdio},
};

use bson::{Document, doc};
use holdfast_catalog::Catalog;
use holdfast_database::{CollectionContent, Connection, content_hash_of};
use holdfast_domain::{Secret, settings::ReadPreference};
use mongodb::{Client, IndexModel, options::IndexOptions};
use serde_json::Value;

pub(crate) struct Place {
    pub(crate) bucket: String,
    /// The database to back up.
    pub(crate) database: String,
    pub(crate) client: Client,
    /// The server's connection string.
    server: String,
    catalog: String,
    pub(crate) env: BTreeMap<&'static str, String>,
}

/// The end of a run of the binary.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Place {
    /// An empty bucket, and a database with three collections, a view and indexes.
    pub(crate) async fn new() -> Self {
        Self::on(&holdfast_testing::parts().mongodb_uri).await
    }

    /// The same on this server.
    pub(crate) async fn on(server: &str) -> Self {
        let bucket = holdfast_testing::fresh_bucket().await;
        let mut place = Self::without_aws(server, &format!("s3://{bucket}/repository")).await;
        place.bucket = bucket;
        place.env.extend([
            ("AWS_ACCESS_KEY_ID", "test".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
            (
                "AWS_ENDPOINT_URL",
                holdfast_testing::parts().aws_endpoint.clone(),
            ),
        ]);
        place
    }

    /// The same in this store, with nothing of AWS in the environment, and no bucket.
    pub(crate) async fn without_aws(server: &str, store: &str) -> Self {
        let (database, catalog) = (
            holdfast_testing::unique("source"),
            holdfast_testing::unique("catalog"),
        );
        let client = Client::with_uri_str(server).await.unwrap();
        let env = BTreeMap::from([
            ("BACKUP_STORE", store.to_owned()),
            ("BACKUP_CATALOG_URI", uri_at(server, &catalog)),
            ("BACKUP_TIMEZONE", "Europe/Zurich".to_owned()),
            ("MONGODB_URI", uri_at(server, &database)),
            ("USER", "ada".to_owned()),
        ]);
        let (bucket, server) = (String::new(), server.to_owned());
        let place = Self {
            bucket,
            database,
            client,
            server,
            catalog,
            env,
        };
        place.fill().await;
        place
    }

    /// The same, with a repository.
    pub(crate) async fn initialised() -> Self {
        let place = Self::new().await;
        place.holdfast(&["init"]).expect(0);
        place
    }

    pub(crate) async fn fill(&self) {
        let database = self.client.database(&self.database);
        let users: Vec<Document> = (0..500)
            .map(|n| doc! { "_id": n, "name": format!("user {n}") })
            .collect();
        database
            .collection("users")
            .insert_many(users)
            .await
            .unwrap();
        let padding = "x".repeat(1000);
        let contents: Vec<Document> = (0..300)
            .map(|n| doc! { "contentId": n, "title": &padding })
            .collect();
        database
            .collection("contents")
            .insert_many(contents)
            .await
            .unwrap();
        database.create_collection("empty").await.unwrap();
        database
            .create_collection("names")
            .view_on("users".to_owned())
            .pipeline([doc! { "$project": { "name": 1 } }])
            .await
            .unwrap();
        let unique = IndexOptions::builder().unique(true).build();
        let index = IndexModel::builder()
            .keys(doc! { "name": 1 })
            .options(unique)
            .build();
        database
            .collection::<Document>("users")
            .create_index(index)
            .await
            .unwrap();
    }

    /// The binary, with only the listed variables of this process's environment.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_holdfast"));
        command
            .args(words)
            .env_clear()
            .envs(&self.env)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub(crate) fn holdfast(&self, words: &[&str]) -> Ended {
        end_of(self.command(words).spawn().unwrap())
    }

    /// The same, with these bytes on stdin.
    pub(crate) fn holdfast_reading(&self, words: &[&str], stdin: &[u8]) -> Ended {
        let mut child = self.command(words).stdin(Stdio::piped()).spawn().unwrap();
        let mut pipe = child.stdin.take().unwrap();
        std::thread::scope(|scope| {
            // A run that refuses its input closes the pipe early.
            scope.spawn(move || pipe.write_all(stdin).ok());
            end_of(child)
        })
    }

    /// The same, answering in JSON: the lines of stdout.
    pub(crate) fn json(&self, words: &[&str]) -> Vec<Value> {
        let words: Vec<&str> = words.iter().copied().chain(["--json"]).collect();
        self.holdfast(&words)
            .expect(0)
            .text()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Backs up the database and returns the backup's id.
    pub(crate) fn back_up(&self) -> String {
        self.back_up_kind("database")
    }

    /// The same of this kind.
    pub(crate) fn back_up_kind(&self, kind: &str) -> String {
        let job = self.json(&["run", kind]).remove(0);
        assert_eq!(job["status"], "completed", "{job}");
        job["backupId"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn catalog(&self) -> Catalog {
        let uri = Secret::new(&self.env["BACKUP_CATALOG_URI"]);
        Catalog::connect(&uri, &self.catalog).await.unwrap()
    }

    /// Simulates the loss of the server.
    pub(crate) async fn lose_the_catalogue(&self) {
        self.client.database(&self.catalog).drop().await.unwrap();
    }

    /// Sets the last heartbeat of every run far into the past.
    pub(crate) async fn let_time_pass(&self) {
        let leases = self
            .client
            .database(&self.catalog)
            .collection::<Document>("backup_leases");
        let long_ago =
            bson::DateTime::from_millis(bson::DateTime::now().timestamp_millis() - 10 * 60 * 1000);
        let update = doc! { "$set": { "beatAt": long_ago, "takenAt": long_ago } };
        leases
            .update_many(doc! { "beatAt": { "$exists": true } }, update)
            .await
            .unwrap();
    }

    /// Keys of the bucket, without the repository's prefix.
    pub(crate) async fn keys(&self) -> Vec<String> {
        let listed = holdfast_testing::s3_client()
            .list_objects_v2()
            .bucket(&self.bucket)
            .send()
            .await
            .unwrap();
        let key = |object: &aws_sdk_s3::types::Object| {
            object
                .key()
                .unwrap()
                .trim_start_matches("repository/")
                .to_owned()
        };
        listed.contents().iter().map(key).collect()
    }

    pub(crate) async fn object(&self, key: &str) -> Vec<u8> {
        let request = holdfast_testing::s3_client()
            .get_object()
            .bucket(&self.bucket)
            .key(format!("repository/{key}"));
        request
            .send()
            .await
            .unwrap()
            .body
            .collect()
            .await
            .unwrap()
            .to_vec()
    }

    pub(crate) async fn put_object(&self, key: &str, bytes: Vec<u8>) {
        let request = holdfast_testing::s3_client()
            .put_object()
            .bucket(&self.bucket)
            .key(format!("repository/{key}"));
        request.body(bytes.into()).send().await.unwrap();
    }

    /// The documents of a database, by collection.
    pub(crate) async fn content(&self, database: &str) -> BTreeMap<String, CollectionContent> {
        let uri = Secret::new(uri_at(&self.server, database));
        let connection = Connection::open(&uri, ReadPreference::Primary, "tests")
            .await
            .unwrap();
        let mut content = BTreeMap::new();
        for name in self
            .client
            .database(database)
            .list_collection_names()
            .await
            .unwrap()
        {
            if name != "names" && !name.starts_with("system.") {
                content.insert(
                    name.clone(),
                    content_hash_of(&connection, database, &name).await.unwrap(),
                );
            }
        }
        content
    }

    /// Asserts that the copy equals the source: documents, indexes, view.
    pub(crate) async fn assert_same_in(&self, copy: &str) {
        let (source, restored) = (self.content(&self.database).await, self.content(copy).await);
        assert_eq!(
            source.keys().collect::<Vec<_>>(),
            ["contents", "empty", "users"]
        );
        assert_eq!(source, restored);
        let database = self.client.database(copy);
        let indexes = database
            .collection::<Document>("users")
            .list_index_names()
            .await
            .unwrap();
        assert!(indexes.contains(&"name_1".to_owned()), "{indexes:?}");
        assert_eq!(
            database
                .collection::<Document>("names")
                .count_documents(doc! {})
                .await
                .unwrap(),
            500
        );
        database.drop().await.unwrap();
    }

    /// Removes everything that the test created.
    pub(crate) async fn remove(self) {
        if !self.bucket.is_empty() {
            let s3 = holdfast_testing::s3_client();
            for key in self.keys().await {
                let key = format!("repository/{key}");
                s3.delete_object()
                    .bucket(&self.bucket)
                    .key(key)
                    .send()
                    .await
                    .unwrap();
            }
            s3.delete_bucket()
                .bucket(&self.bucket)
                .send()
                .await
                .unwrap();
        }
        self.client.database(&self.database).drop().await.unwrap();
        self.client.database(&self.catalog).drop().await.unwrap();
    }
}

impl Ended {
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            code,
            "stdout: {}\nstderr: {}",
            self.text(),
            self.stderr
        );
        self
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Asserts that stderr contains each of these.
    #[track_caller]
    pub(crate) fn saying(self, expected: &[&str]) -> Self {
        for expected in expected {
            assert!(
                self.stderr.contains(expected),
                "{expected:?} is not in: {}",
                self.stderr
            );
        }
        self
    }
}

pub(crate) fn end_of(child: Child) -> Ended {
    let output = child.wait_with_output().unwrap();
    Ended {
        code: output.status.code().unwrap_or(-1),
        stdout: output.stdout,
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// The test server's connection string, for this database.
pub(crate) fn uri_of(database: &str) -> String {
    uri_at(&holdfast_testing::parts().mongodb_uri, database)
}

/// This server's connection string, for this database.
fn uri_at(uri: &str, database: &str) -> String {
    let (server, options) = uri.split_once('?').unwrap_or((uri, ""));
    format!("{}/{database}?{options}", server.trim_end_matches('/'))
}

/// A connection string with a password, to a port without a listener.
pub(crate) const UNREACHABLE: &str = "mongodb://ada:hunter2@127.0.0.1:9/db?directConnection=true";
