//! A stack deployed next to the others from the same packaged template, with its own parameters.
//! Its source, catalogue, user and secrets are private to it.

mod content;
mod deployment;
mod downloads;
mod removal;

use std::{collections::BTreeMap, sync::Mutex, time::Duration};

pub(crate) use content::restored_items;
pub(crate) use deployment::Deployment;
use deployment::{described, stack_call};
use holdfast_testing::{s3_client, unique};
use mongodb::{
    Collection,
    bson::{DateTime, Document, doc},
};
use serde_json::{Value, json};

use super::{
    Api, Aws, Invocation, Mongodump, Secrets, Server,
    aws::element,
    operator::{Ended, operator},
    until,
};

const CLOUDFORMATION: &str = "2010-05-15";

/// Every function of each stack.
pub(crate) const FUNCTIONS: [&str; 7] = [
    "api",
    "content-backup",
    "content-download",
    "content-finalize",
    "database-backup",
    "retention",
    "verification",
];

/// A deployed stack.
pub(crate) struct Variant {
    pub(crate) name: String,
    pub(crate) api: Api,
    pub(crate) aws: Aws,
    pub(crate) server: Server,
    pub(crate) bucket: String,
    /// The database to back up.
    pub(crate) source: String,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) outputs: BTreeMap<String, String>,
    /// The tool that dumps, unless the engine is the native one.
    pub(crate) mongodump: Option<Mongodump>,
    source_uri: String,
    catalog: String,
    id: String,
    parameters: BTreeMap<String, String>,
    secrets: Secrets,
    /// All output for the operator and the invoker.
    said: Mutex<Vec<String>>,
}

impl Variant {
    /// The deployed name of one of its functions.
    pub(crate) fn function(&self, function: &str) -> String {
        format!("{}-{function}", self.name)
    }

    /// Every function of this stack.
    pub(crate) fn functions(&self) -> Vec<&'static str> {
        let replication = self
            .outputs
            .contains_key("ReplicationFunctionName")
            .then_some("replication");
        FUNCTIONS.into_iter().chain(replication).collect()
    }

    /// Updates the stack with these parameters in addition to its present ones. `None` sets a
    /// parameter back to its default.
    pub(crate) async fn update(&mut self, changes: &[(&str, Option<&str>)]) {
        for (name, value) in changes {
            match value {
                Some(value) => self
                    .parameters
                    .insert((*name).to_owned(), (*value).to_owned()),
                None => self.parameters.remove(*name),
            };
        }
        stack_call(&self.aws, "UpdateStack", &self.name, &self.parameters).await;
        until("the update", Duration::from_mins(1), || async {
            let told = described(&self.aws, &self.id).await;
            let status = element(&told, "StackStatus");
            assert!(
                status.starts_with("UPDATE_") && !status.contains("ROLLBACK"),
                "{told}"
            );
            (status == "UPDATE_COMPLETE").then_some(())
        })
        .await;
    }

    /// The value of a parameter of the stack.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }

    /// Call this after a change of the source: a stand-in for mongodump then replays the new state.
    pub(crate) async fn mongodump_sees_the_source(&self) {
        if let Some(mongodump) = &self.mongodump {
            mongodump.sees(&self.source_uri).await;
        }
    }

    pub(crate) async fn invoke(&self, function: &str, event: &Value) -> Invocation {
        let invocation = self.aws.invoke(&self.function(function), event).await;
        self.said
            .lock()
            .unwrap()
            .push(invocation.payload.to_string());
        invocation
    }

    /// Runs the hourly sweep now, and returns its report.
    pub(crate) async fn sweep(&self) -> Value {
        let Invocation { failed, payload } = self
            .invoke("retention", &super::event("schedule-sweep"))
            .await;
        assert!(!failed && payload["problems"] == json!([]), "{payload}");
        payload
    }

    pub(crate) async fn log(&self, function: &str) -> Vec<String> {
        self.aws
            .log(&format!("/aws/lambda/{}", self.function(function)))
            .await
    }

    /// `holdfast`, with the settings of this stack's functions.
    pub(crate) async fn operator(&self, words: &[&str]) -> Ended {
        let ended = operator(&self.environment, words).await;
        self.said
            .lock()
            .unwrap()
            .extend([ended.text(), ended.stderr.clone()]);
        ended
    }

    /// Restores the backup named by `words` under another database name, and returns that.
    pub(crate) async fn restored(&self, words: &[&str]) -> String {
        let to = unique("restored");
        let (from_all, to_all) = (format!("{}.*", self.source), format!("{to}.*"));
        let renamed = [
            "--ns-from",
            &from_all,
            "--ns-to",
            &to_all,
            "--yes",
            "--json",
        ];
        let words: Vec<&str> = ["restore"]
            .iter()
            .chain(words)
            .chain(&renamed)
            .copied()
            .collect();
        let reported: Value =
            serde_json::from_str(&self.operator(&words).await.expect(0).text()).unwrap();
        assert_eq!(reported["faithful"], true, "{reported}");
        to
    }

    pub(crate) fn rows(&self, collection: &str) -> Collection<Document> {
        self.server
            .client
            .database(&self.catalog)
            .collection(collection)
    }

    /// Another secret for the final search.
    pub(crate) fn also_secret(&mut self, what: &'static str, secret: &str) {
        self.secrets.add(what, secret);
    }

    #[track_caller]
    pub(crate) fn assert_no_secret_in(&self, place: &str, texts: &[String]) {
        for text in texts {
            self.secrets.assert_absent(place, text);
        }
    }

    /// Number of held leases.
    pub(crate) async fn leases(&self) -> u64 {
        self.rows("backup_leases")
            .count_documents(doc! {})
            .await
            .unwrap()
    }

    /// Sets the lease's last heartbeat two minutes into the past.
    pub(crate) async fn age_lease(&self) {
        let then = DateTime::from_millis(DateTime::now().timestamp_millis() - 120_000);
        let leases = self.rows("backup_leases");
        let aged = leases
            .update_one(
                doc! { "_id": "database" },
                doc! { "$set": { "beatAt": then } },
            )
            .await
            .unwrap();
        assert_eq!(aged.matched_count, 1);
    }

    pub(crate) async fn keys(&self) -> Vec<String> {
        let mut pages = s3_client()
            .list_objects_v2()
            .bucket(&self.bucket)
            .into_paginator()
            .send();
        let mut keys = Vec::new();
        while let Some(page) = pages.next().await {
            keys.extend(
                page.unwrap()
                    .contents()
                    .iter()
                    .map(|object| object.key().unwrap().to_owned()),
            );
        }
        keys
    }

    pub(crate) async fn object(&self, key: &str) -> Vec<u8> {
        let got = s3_client()
            .get_object()
            .bucket(&self.bucket)
            .key(key)
            .send()
            .await
            .unwrap();
        got.body.collect().await.unwrap().to_vec()
    }

    /// Number of stored parts of each unfinished upload.
    pub(crate) async fn unfinished_uploads(&self) -> Vec<usize> {
        let s3 = s3_client();
        let listed = s3
            .list_multipart_uploads()
            .bucket(&self.bucket)
            .send()
            .await
            .unwrap();
        let mut parts = Vec::new();
        for upload in listed.uploads() {
            let listed = s3
                .list_parts()
                .bucket(&self.bucket)
                .key(upload.key().unwrap());
            // It may be finished meanwhile.
            let listed = listed.upload_id(upload.upload_id().unwrap()).send().await;
            parts.push(listed.map_or(0, |listed| listed.parts().len()));
        }
        parts
    }
}

fn random() -> [u8; 12] {
    let mut bytes = [0; 12];
    getrandom::fill(&mut bytes).unwrap();
    bytes
}
