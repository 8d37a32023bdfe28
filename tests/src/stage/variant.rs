//! A stack deployed next to the others from the same packaged template, with its own parameters.
//! Its source, catalogue, user and secrets are private to it.

mod content;
mod downloads;
mod removal;

use std::{collections::BTreeMap, sync::Mutex, time::Duration};

pub(crate) use content::restored_items;
use holdfast_testing::{s3_client, stack, unique};
use mongodb::{
    Collection,
    bson::{DateTime, Document, doc},
};
use serde_json::{Value, json};

use super::{
    Api, Aws, Invocation, Mongodump, Secrets, Server,
    aws::{element, elements},
    database::uri_of,
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

/// The deployment's parameters.
pub(crate) struct Deployment {
    name: String,
    parameters: BTreeMap<String, String>,
    key: Option<String>,
    kms: bool,
    drills: bool,
    source_uri: Option<String>,
    catalog_uri: Option<String>,
    mongodump: Option<Mongodump>,
}

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

impl Deployment {
    pub(crate) fn named(name: &str) -> Self {
        let mut parameters = stack().parameters.clone();
        parameters.remove("CatalogUriSecretArn");
        Self {
            name: unique(name),
            parameters,
            key: None,
            kms: false,
            drills: false,
            source_uri: None,
            catalog_uri: None,
            mongodump: None,
        }
    }

    pub(crate) fn with(mut self, parameter: &str, value: &str) -> Self {
        self.parameters
            .insert(parameter.to_owned(), value.to_owned());
        self
    }

    /// Encrypts under the contents of this secret, valid or not.
    pub(crate) fn encrypted_under(mut self, key: &str) -> Self {
        self.key = Some(key.to_owned());
        self.with("DatabaseEncryption", "true")
    }

    /// Has a secret with this key, whether or not anything is encrypted.
    pub(crate) fn with_key(mut self, key: &str) -> Self {
        self.key = Some(key.to_owned());
        self
    }

    /// Encrypts under a KMS key.
    pub(crate) fn encrypted_by_kms(mut self) -> Self {
        self.kms = true;
        self.with("DatabaseEncryption", "true")
    }

    /// Runs restore drills, on the server of everything else.
    pub(crate) fn drilled(mut self) -> Self {
        self.drills = true;
        self
    }

    /// Logs at the most detailed level, still without secrets.
    pub(crate) fn talkative(self) -> Self {
        self.with("LogLevel", "trace")
    }

    /// Backs up another source than its own.
    pub(crate) fn source_uri(mut self, uri: &str) -> Self {
        self.source_uri = Some(uri.to_owned());
        self
    }

    /// Has this text in the secret of the catalogue's connection string.
    pub(crate) fn catalog_uri(mut self, uri: &str) -> Self {
        self.catalog_uri = Some(uri.to_owned());
        self
    }

    /// Is dumped by the official tool, the real one if there is one.
    pub(crate) fn dumped_by_mongodump(self) -> Self {
        let mongodump = Mongodump::at_hand(&self.name);
        self.dumped_by(mongodump)
    }

    /// Dumps only by this tool.
    pub(crate) fn dumped_by(mut self, mongodump: Mongodump) -> Self {
        let path = mongodump.path();
        self.mongodump = Some(mongodump);
        self.with("DumpEngine", "mongodump")
            .with("MongodumpPath", path.to_str().unwrap())
    }

    pub(crate) async fn deploy(mut self) -> Variant {
        let (aws, server) = (Aws::new(), Server::connect().await);
        let (source, catalog) = (unique("source"), unique("catalog"));
        let (user, password) = ("ada", hex::encode(random()));
        server.add_user(user, &password, [&source, &catalog]).await;
        let own_uri = uri_of(user, &password, &source, &source);
        let source_uri = self.source_uri.take().unwrap_or(own_uri);
        let catalog_uri = uri_of(user, &password, &source, &catalog);
        let mut secrets = secrets(&password, &source_uri, self.key.as_deref());

        let mut environment = stack().env.clone();
        environment.insert(
            "MONGODB_URI".to_owned(),
            holdfast_testing::parts().mongodb_uri.clone(),
        );
        environment.insert("BACKUP_CATALOG_URI".to_owned(), catalog_uri.clone());
        environment.extend(self.content_settings());
        self.keep_secret(&aws, "MongoUriSecretArn", &source_uri)
            .await;
        let deployed = self.catalog_uri.take();
        let deployed = deployed.as_deref().unwrap_or(&catalog_uri);
        self.keep_secret(&aws, "CatalogUriSecretArn", deployed)
            .await;
        if let Some(key) = self.key.take() {
            self.keep_secret(&aws, "EncryptionKeySecretArn", &key).await;
            environment.insert("BACKUP_ENCRYPTION_KEY".to_owned(), key);
        }
        if self.drills {
            let server = holdfast_testing::parts().mongodb_uri.clone();
            self.keep_secret(&aws, "DrillUriSecretArn", &server).await;
            environment.insert("BACKUP_DRILL_URI".to_owned(), server);
        }
        if self.kms {
            let key = aws.json("kms", "TrentService.CreateKey", &json!({})).await;
            let arn = key["KeyMetadata"]["Arn"].as_str().unwrap();
            self.parameters
                .insert("KmsKeyArn".to_owned(), arn.to_owned());
            environment.insert("BACKUP_KMS_KEY_ID".to_owned(), arn.to_owned());
        }
        let (id, outputs) = self.create(&aws).await;
        let bucket = outputs["BucketName"].clone();
        environment.insert("BACKUP_STORE".to_owned(), format!("s3://{bucket}"));
        environment.insert(
            "BACKUP_EVENT_BUS".to_owned(),
            outputs["EventBusName"].clone(),
        );
        for token in [
            &stack().tokens.admin,
            &stack().tokens.creator,
            &stack().tokens.none,
        ] {
            secrets.add("a token's signature", token.rsplit('.').next().unwrap());
        }
        let api = Api::new(&outputs["ApiUrl"]);
        let said = Mutex::default();
        Variant {
            name: self.name,
            api,
            aws,
            server,
            bucket,
            source,
            environment,
            outputs,
            mongodump: self.mongodump,
            source_uri,
            catalog,
            id,
            parameters: self.parameters,
            secrets,
            said,
        }
    }

    async fn keep_secret(&mut self, aws: &Aws, parameter: &str, value: &str) {
        let name = format!("{}/{parameter}", self.name);
        let input = json!({ "Name": name, "SecretString": value, "ClientRequestToken": unique("secret-of-the-tests") });
        let secret = aws
            .json("secretsmanager", "secretsmanager.CreateSecret", &input)
            .await;
        self.parameters.insert(
            parameter.to_owned(),
            secret["ARN"].as_str().unwrap().to_owned(),
        );
    }

    async fn create(&self, aws: &Aws) -> (String, BTreeMap<String, String>) {
        let created = stack_call(aws, "CreateStack", &self.name, &self.parameters).await;
        let id = element(&created, "StackId");
        let outputs = until("the stack", Duration::from_mins(1), || async {
            let told = described(aws, &id).await;
            let status = element(&told, "StackStatus");
            assert!(status.starts_with("CREATE_"), "{told}");
            (status == "CREATE_COMPLETE").then(|| {
                elements(&told, "OutputKey")
                    .into_iter()
                    .zip(elements(&told, "OutputValue"))
                    .collect()
            })
        });
        let outputs = outputs.await;
        (id, outputs)
    }
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
        let told: Value =
            serde_json::from_str(&self.operator(&words).await.expect(0).text()).unwrap();
        assert_eq!(told["faithful"], true, "{told}");
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

/// Creates or updates a stack with these parameters.
async fn stack_call(
    aws: &Aws,
    action: &str,
    name: &str,
    parameters: &BTreeMap<String, String>,
) -> String {
    let mut fields = vec![
        ("StackName".to_owned(), name.to_owned()),
        ("TemplateURL".to_owned(), stack().template.clone()),
        (
            "Capabilities.member.1".to_owned(),
            "CAPABILITY_IAM".to_owned(),
        ),
        (
            "Capabilities.member.2".to_owned(),
            "CAPABILITY_AUTO_EXPAND".to_owned(),
        ),
    ];
    for (number, (name, value)) in (1..).zip(parameters) {
        fields.push((
            format!("Parameters.member.{number}.ParameterKey"),
            name.clone(),
        ));
        fields.push((
            format!("Parameters.member.{number}.ParameterValue"),
            value.clone(),
        ));
    }
    let fields: Vec<_> = fields
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    aws.query("cloudformation", CLOUDFORMATION, action, &fields)
        .await
}

async fn described(aws: &Aws, id: &str) -> String {
    aws.query(
        "cloudformation",
        CLOUDFORMATION,
        "DescribeStacks",
        &[("StackName", id)],
    )
    .await
}

fn secrets(password: &str, source_uri: &str, key: Option<&str>) -> Secrets {
    let mut secrets = Secrets::default();
    secrets.add("the password", password);
    let authority = source_uri.rsplit_once('@').unwrap().0;
    secrets.add(
        "the source's password",
        authority.rsplit(':').next().unwrap(),
    );
    if let Some(key) = key {
        secrets.add("the encryption key", key.trim_start_matches("passphrase:"));
    }
    secrets
}

fn random() -> [u8; 12] {
    let mut bytes = [0; 12];
    getrandom::fill(&mut bytes).unwrap();
    bytes
}
