//! The end of a scenario: no stored or logged data contain a secret, and then everything is
//! removed.

use std::time::Duration;

use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use futures_util::TryStreamExt as _;
use holdfast_testing::s3_client;
use mongodb::bson::{Document, doc};
use serde_json::json;

use super::{CLOUDFORMATION, Variant, described};
use crate::stage::{Mongodump, Process, aws::element, until};

impl Variant {
    /// Searches all readable data of this stack for secrets, and removes the stack. The id of this
    /// backup proves that the search read the log and the responses.
    pub(crate) async fn finish(self, evidence: &str) {
        let worker = if evidence.starts_with("db_") {
            "database-backup"
        } else {
            "content-backup"
        };
        let log = until(
            "the worker's log of it",
            Duration::from_secs(20),
            || async {
                let log = self.log(worker).await;
                log.iter()
                    .any(|line| line.contains(evidence))
                    .then_some(log)
            },
        );
        let (told, said) = (self.api.heard(), self.said.lock().unwrap().clone());
        let heard = told
            .iter()
            .chain(&said)
            .any(|answer| answer.contains(evidence));
        assert!(
            heard && !told.is_empty(),
            "nobody told anything of {evidence}: {told:?} {said:?}"
        );
        log.await;
        for function in self.functions() {
            self.assert_no_secret_in(&format!("the log of {function}"), &self.log(function).await);
        }
        for (place, texts) in [
            (
                "the log of accesses",
                self.aws
                    .log(&format!("/aws/vendedlogs/{}-access", self.name))
                    .await,
            ),
            ("the API's answers", told),
            ("the functions' processes", self.said_of_processes()),
            (
                "what mongodump was given",
                self.mongodump
                    .as_ref()
                    .map(Mongodump::found)
                    .unwrap_or_default(),
            ),
            ("what the operator was told", said),
            ("the store", self.readable_objects().await),
            ("the catalogue", self.catalogued().await),
        ] {
            self.assert_no_secret_in(place, &texts);
        }
        self.remove().await;
    }

    /// Environment and arguments of every function's process.
    fn said_of_processes(&self) -> Vec<String> {
        let processes = self.processes();
        let texts: Vec<String> = processes
            .iter()
            .flat_map(|one| [one.environment(), one.arguments()].concat())
            .collect();
        assert!(
            texts.iter().any(|text| text.starts_with("BACKUP_STORE=")),
            "no process was seen: {texts:?}"
        );
        texts
    }

    fn processes(&self) -> Vec<Process> {
        let functions: Vec<String> = self
            .functions()
            .into_iter()
            .map(|function| self.function(function))
            .collect();
        functions
            .iter()
            .flat_map(|function| Process::all_of(function))
            .collect()
    }

    /// Manifests and guides. All other objects contain data of the database or the files.
    async fn readable_objects(&self) -> Vec<String> {
        let mut texts = Vec::new();
        let is_readable = |key: &&String| {
            let extension = key.rsplit('.').next().unwrap_or_default();
            ["json", "md"].contains(&extension)
        };
        for key in self.keys().await.iter().filter(is_readable) {
            texts.push(String::from_utf8(self.object(key).await).unwrap());
        }
        texts
    }

    async fn catalogued(&self) -> Vec<String> {
        let mut rows = Vec::new();
        for collection in [
            "backup_jobs",
            "backup_leases",
            "backup_items",
            "backup_verifications",
            "content_objects",
        ] {
            let found: Vec<Document> = self
                .rows(collection)
                .find(doc! {})
                .await
                .unwrap()
                .try_collect()
                .await
                .unwrap();
            rows.extend(found.iter().map(ToString::to_string));
        }
        rows
    }

    /// Removes the stack, its data and its secrets.
    pub(crate) async fn remove(&self) {
        let named = [("StackName", self.id.as_str())];
        self.aws
            .query("cloudformation", CLOUDFORMATION, "DeleteStack", &named)
            .await;
        until("the stack's end", Duration::from_mins(1), || async {
            let status = element(&described(&self.aws, &self.id).await, "StackStatus");
            assert_ne!(status, "DELETE_FAILED");
            (status == "DELETE_COMPLETE").then_some(())
        })
        .await;
        // The local AWS would keep them for the next call.
        self.processes().iter().for_each(Process::kill);
        self.remove_bucket().await;
        let key = self
            .environment
            .contains_key("BACKUP_ENCRYPTION_KEY")
            .then_some("EncryptionKeySecretArn");
        let drills = self
            .environment
            .contains_key("BACKUP_DRILL_URI")
            .then_some("DrillUriSecretArn");
        for parameter in ["MongoUriSecretArn", "CatalogUriSecretArn"]
            .into_iter()
            .chain(key)
            .chain(drills)
        {
            let input = json!({ "SecretId": format!("{}/{parameter}", self.name), "ForceDeleteWithoutRecovery": true });
            self.aws
                .json("secretsmanager", "secretsmanager.DeleteSecret", &input)
                .await;
        }
        self.server.drop(&[&self.source, &self.catalog]).await;
    }

    /// The bucket outlives its stack, with all versions.
    async fn remove_bucket(&self) {
        let s3 = s3_client();
        loop {
            let listed = s3
                .list_object_versions()
                .bucket(&self.bucket)
                .send()
                .await
                .unwrap();
            let versions = listed
                .versions()
                .iter()
                .map(|version| (version.key(), version.version_id()));
            let markers = listed
                .delete_markers()
                .iter()
                .map(|marker| (marker.key(), marker.version_id()));
            let all = versions.chain(markers).map(|(key, version)| {
                let object = ObjectIdentifier::builder()
                    .key(key.unwrap())
                    .set_version_id(version.map(str::to_owned));
                object.build().unwrap()
            });
            let all: Vec<ObjectIdentifier> = all.collect();
            if all.is_empty() {
                break;
            }
            let delete = Delete::builder()
                .set_objects(Some(all))
                .quiet(true)
                .build()
                .unwrap();
            s3.delete_objects()
                .bucket(&self.bucket)
                .delete(delete)
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
}
