//! The parameters of a stack, and its creation.

use std::{collections::BTreeMap, sync::Mutex, time::Duration};

use holdfast_testing::{stack, unique};
use serde_json::json;

use super::{CLOUDFORMATION, Variant, random};
use crate::stage::{
    Api, Aws, Mongodump, Secrets, Server,
    aws::{element, elements},
    database::uri_of,
    until,
};

/// The deployment's parameters.
pub(crate) struct Deployment {
    name: String,
    pub(super) parameters: BTreeMap<String, String>,
    key: Option<String>,
    kms: bool,
    drills: bool,
    source_uri: Option<String>,
    catalog_uri: Option<String>,
    mongodump: Option<Mongodump>,
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
            let reported = described(aws, &id).await;
            let status = element(&reported, "StackStatus");
            assert!(status.starts_with("CREATE_"), "{reported}");
            (status == "CREATE_COMPLETE").then(|| {
                elements(&reported, "OutputKey")
                    .into_iter()
                    .zip(elements(&reported, "OutputValue"))
                    .collect()
            })
        });
        let outputs = outputs.await;
        (id, outputs)
    }
}

/// Creates or updates a stack with these parameters.
pub(super) async fn stack_call(
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

pub(super) async fn described(aws: &Aws, id: &str) -> String {
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
