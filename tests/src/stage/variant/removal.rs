//! The end of a scenario: nothing that was written or said holds a secret, and then nothing of it is left.

use std::time::Duration;

use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use futures_util::TryStreamExt as _;
use holdfast_testing::s3_client;
use mongodb::bson::{Document, doc};
use serde_json::json;

use super::{CLOUDFORMATION, Variant, described};
use crate::stage::{Process, aws::element, until};

impl Variant {
    /// Looks for secrets in everything that is to be read of this stack, and removes it. That the search saw the log
    /// and the answers is proved by what they must tell of: the backup with this id.
    pub(crate) async fn finish(self, evidence: &str) {
        let log = until("the worker's log of it", Duration::from_secs(20), || async {
            let log = self.log("database-backup").await;
            log.iter().any(|line| line.contains(evidence)).then_some(log)
        });
        let (told, said) = (self.api.heard(), self.said.lock().unwrap().clone());
        let heard = told.iter().chain(&said).any(|answer| answer.contains(evidence));
        assert!(heard && !told.is_empty(), "nobody told anything of {evidence}: {told:?} {said:?}");
        for (place, texts) in [
            ("the worker's log", log.await),
            ("the API's log", self.log("api").await),
            ("the sweep's log", self.log("retention").await),
            ("the log of accesses", self.aws.log(&format!("/aws/vendedlogs/{}-access", self.name)).await),
            ("the API's answers", told),
            ("the functions' processes", self.said_of_processes()),
            ("what the operator was told", said),
            ("the store", self.readable_objects().await),
            ("the catalogue", self.catalogued().await),
        ] {
            for text in texts {
                self.secrets.assert_absent(place, &text);
            }
        }
        self.remove().await;
    }

    /// Environment and arguments of every function's process.
    fn said_of_processes(&self) -> Vec<String> {
        let processes = self.processes();
        let texts: Vec<String> =
            processes.iter().flat_map(|one| [one.environment(), one.arguments()].concat()).collect();
        assert!(texts.iter().any(|text| text.starts_with("BACKUP_STORE=")), "no process was seen: {texts:?}");
        texts
    }

    fn processes(&self) -> Vec<Process> {
        let functions = ["api", "database-backup", "retention"].map(|function| self.function(function));
        functions.iter().flat_map(|function| Process::all_of(function)).collect()
    }

    /// Manifests and guides; a dump holds what the database holds.
    async fn readable_objects(&self) -> Vec<String> {
        let mut texts = Vec::new();
        for key in self.keys().await.iter().filter(|key| !key.contains("/dump.")) {
            texts.push(String::from_utf8(self.object(key).await).unwrap());
        }
        texts
    }

    async fn catalogued(&self) -> Vec<String> {
        let mut rows = Vec::new();
        for collection in ["backup_jobs", "backup_leases"] {
            let found: Vec<Document> = self.rows(collection).find(doc! {}).await.unwrap().try_collect().await.unwrap();
            rows.extend(found.iter().map(ToString::to_string));
        }
        rows
    }

    async fn remove(&self) {
        let named = [("StackName", self.id.as_str())];
        self.aws.query("cloudformation", CLOUDFORMATION, "DeleteStack", &named).await;
        until("the stack's end", Duration::from_mins(1), || async {
            let status = element(&described(&self.aws, &self.id).await, "StackStatus");
            assert_ne!(status, "DELETE_FAILED");
            (status == "DELETE_COMPLETE").then_some(())
        })
        .await;
        // The local AWS would keep them for the next call.
        self.processes().iter().for_each(Process::kill);
        self.remove_bucket().await;
        let key = self.environment.contains_key("BACKUP_ENCRYPTION_KEY").then_some("EncryptionKeySecretArn");
        for parameter in ["MongoUriSecretArn", "CatalogUriSecretArn"].into_iter().chain(key) {
            let input = json!({ "SecretId": format!("{}/{parameter}", self.name), "ForceDeleteWithoutRecovery": true });
            self.aws.json("secretsmanager", "secretsmanager.DeleteSecret", &input).await;
        }
        self.server.drop(&[&self.source, &self.catalog]).await;
    }

    /// The bucket outlives its stack, with all versions.
    async fn remove_bucket(&self) {
        let s3 = s3_client();
        let listed = s3.list_object_versions().bucket(&self.bucket).send().await.unwrap();
        let versions = listed.versions().iter().map(|version| (version.key(), version.version_id()));
        let markers = listed.delete_markers().iter().map(|marker| (marker.key(), marker.version_id()));
        for (key, version) in versions.chain(markers) {
            let object = ObjectIdentifier::builder().key(key.unwrap()).set_version_id(version.map(str::to_owned));
            let delete = Delete::builder().objects(object.build().unwrap()).build().unwrap();
            s3.delete_objects().bucket(&self.bucket).delete(delete).send().await.unwrap();
        }
        s3.delete_bucket().bucket(&self.bucket).send().await.unwrap();
    }
}
