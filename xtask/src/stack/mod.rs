//! The stack on this machine: a MongoDB server, an IPFS gateway and Gaia origin, the local AWS, and
//! `template.yaml` deployed to it with the functions built by cargo. It lives as long as its
//! supervisor.

mod announced;
mod aws;
mod deployment;
mod description;
mod functions;
mod ipfs;
mod local_alarms;
mod mongodb;
mod others;
mod tokens;

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, Result, bail};
pub(crate) use description::Description;
pub(crate) use functions::build;
pub(crate) use mongodb::Databases;

use self::{
    aws::LocalAws,
    ipfs::IpfsNode,
    mongodb::Mongo,
    others::{AZURE_ACCOUNT, AZURE_KEY, CONTAINER, LocalAzure, OtherS3},
    tokens::Issuer,
};
use crate::{files::Build, process::Supervisor, progress::Step, tools::Tools};

/// Name of the deployed stack.
const STACK: &str = "holdfast";
const AUDIENCE: &str = "holdfast";

/// Whether backups are copied to a second store.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Copies {
    /// To the container of the local Azure.
    InAzure,
    /// No second store. Tests of copies deploy their own stack.
    None,
}

/// A deployed stack. Dropping it stops everything.
pub(crate) struct Stack {
    // The order of drops. Before them, `clean_up` removes our databases from an external server.
    description: Description,
    parts: Parts,
    supervisor: Supervisor,
}

/// The parts under the stack.
struct Parts {
    mongo: Mongo,
    aws: LocalAws,
    ipfs_node: IpfsNode,
    azure: LocalAzure,
    other_s3: OtherS3,
}

impl Parts {
    async fn start(tools: &Tools, supervisor: &Supervisor) -> Result<Self> {
        let (mongo, ipfs_node, azure, other_s3, aws) = tokio::try_join!(
            Mongo::start(tools, supervisor),
            IpfsNode::start(tools, supervisor),
            LocalAzure::start(tools, supervisor),
            OtherS3::start(tools, supervisor),
            LocalAws::start(tools, supervisor)
        )?;
        Ok(Self {
            mongo,
            aws,
            ipfs_node,
            azure,
            other_s3,
        })
    }
}

impl Stack {
    /// Starts the parts and deploys. The functions have been built.
    pub(crate) async fn start(
        tools: &Tools,
        supervisor: Supervisor,
        build: Build,
        copies: Copies,
    ) -> Result<Self> {
        let step = Step::begin("Starting the local MongoDB, IPFS, AWS and Azure");
        let parts = Parts::start(tools, &supervisor).await?;
        step.done(format!(
            "MongoDB is {} at {}",
            parts.mongo.product(),
            parts.mongo.address()
        ));

        let step = Step::begin("Deploying template.yaml");
        let aws = &parts.aws;
        let issuer = Issuer::publish(aws, AUDIENCE).await?;
        let template = functions::package(aws, tools, &supervisor, build).await?;
        let description = deploy(&parts, &issuer, template, copies).await?;
        answers(&description).await?;
        step.done(format!(
            "the stack {STACK} is complete, and its API answers"
        ));
        Ok(Self {
            description,
            parts,
            supervisor,
        })
    }

    /// Its description for scripts and tests.
    pub(crate) fn description(&self) -> &Description {
        &self.description
    }

    /// The databases it works on.
    pub(crate) fn databases(&self) -> &Databases {
        self.parts.mongo.databases()
    }

    /// The address of the MongoDB server, without a database.
    pub(crate) fn mongodb_server_uri(&self) -> String {
        self.parts.mongo.server_uri()
    }

    /// The supervisor of its processes.
    pub(crate) fn supervisor(&self) -> &Supervisor {
        &self.supervisor
    }

    /// Removes our data from an external MongoDB server.
    pub(crate) async fn clean_up(&self) -> Result<()> {
        self.parts.mongo.clean_up().await
    }
}

/// Keeps the secrets, then creates the stack.
async fn deploy(
    parts: &Parts,
    issuer: &Issuer,
    template: String,
    copies: Copies,
) -> Result<Description> {
    let Parts {
        mongo,
        aws,
        ipfs_node,
        azure,
        ..
    } = parts;
    let mut parameters = BTreeMap::from([
        ("AwsEndpointUrl".to_owned(), aws.endpoint().to_owned()),
        (
            "ContentAllowedOrigins".to_owned(),
            ipfs_node.address().to_owned(),
        ),
        ("IpfsGateways".to_owned(), ipfs_node.address().to_owned()),
        ("JwtIssuer".to_owned(), issuer.url().to_owned()),
        ("JwtAudience".to_owned(), AUDIENCE.to_owned()),
        (
            "MongoUriSecretArn".to_owned(),
            aws.create_secret("holdfast/mongodb-uri", &mongo.source_uri())
                .await?,
        ),
        (
            "CatalogUriSecretArn".to_owned(),
            aws.create_secret("holdfast/catalog-uri", &mongo.catalog_uri())
                .await?,
        ),
        ("CreatorAccess".to_owned(), "full".to_owned()),
    ]);
    if copies == Copies::InAzure {
        parameters.extend(second_store(aws, azure).await?);
    }
    let outputs = deployment::create(aws, STACK, &template, &parameters).await?;
    description::describe(parts, issuer, template, parameters, &outputs, copies)
}

/// The parameters of the local Azure's container as the second store, with its keys.
async fn second_store(aws: &LocalAws, azure: &LocalAzure) -> Result<[(String, String); 6]> {
    let account = aws
        .create_secret("holdfast/cloud-access-key", AZURE_ACCOUNT)
        .await?;
    let key = aws
        .create_secret("holdfast/cloud-secret-key", AZURE_KEY)
        .await?;
    let parameters = [
        ("CloudEnabled", "true"),
        ("CloudProvider", "azure"),
        ("CloudBucket", CONTAINER),
        ("CloudAccessKeySecretArn", &account),
        ("CloudSecretKeySecretArn", &key),
        ("CloudEndpoint", azure.endpoint()),
    ];
    Ok(parameters.map(|(name, value)| (name.to_owned(), value.to_owned())))
}

/// Waits for the first response of the API, after a cold start.
async fn answers(description: &Description) -> Result<()> {
    let url = format!("{}/api/backups/status", description.api);
    let mut said = String::new();
    for _ in 0..20 {
        let request = reqwest::Client::new()
            .get(&url)
            .bearer_auth(&description.tokens.admin);
        let response = request
            .timeout(Duration::from_secs(35))
            .send()
            .await
            .context("the API does not answer")?;
        let status = response.status();
        said = format!("{status} {}", response.text().await.unwrap_or_default());
        if status.is_success() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    bail!("the deployed API does not work: GET {url} answered {said}")
}
