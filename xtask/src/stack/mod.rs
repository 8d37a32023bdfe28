//! The stack on this machine: a MongoDB server, an IPFS gateway that is a Gaia origin too, the local AWS, and
//! `template.yaml` deployed to it with the functions that cargo built. It lives as long as its supervisor.

mod announced;
mod aws;
mod deployment;
mod description;
mod functions;
mod ipfs;
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
    others::{LocalAzure, OtherS3},
    tokens::Issuer,
};
use crate::{files::Build, process::Supervisor, progress::Step, tools::Tools};

/// The name under which it is deployed.
const STACK: &str = "holdfast";
const AUDIENCE: &str = "holdfast";

/// A deployed stack. Dropping it stops everything.
pub(crate) struct Stack {
    // In this order they are dropped: a server that was given gets its databases cleaned by `clean_up`, before.
    description: Description,
    parts: Parts,
    supervisor: Supervisor,
}

/// What it runs on.
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
        Ok(Self { mongo, aws, ipfs_node, azure, other_s3 })
    }
}

impl Stack {
    /// Starts the parts and deploys. The functions have been built.
    pub(crate) async fn start(tools: &Tools, supervisor: Supervisor, build: Build) -> Result<Self> {
        let step = Step::begin("Starting MongoDB, the IPFS node, the local AWS and Azure, an S3 of another make");
        let parts = Parts::start(tools, &supervisor).await?;
        let Parts { mongo, aws, ipfs_node, azure, other_s3 } = &parts;
        let (product, hosts, ipfs, aws) = (mongo.product(), mongo.address(), ipfs_node.address(), aws.endpoint());
        let (azure, other) = (azure.endpoint(), other_s3.endpoint());
        step.done(format!(
            "{product} at {hosts}, IPFS at {ipfs}, AWS at {aws}, Azure at {azure}, the other S3 at {other}"
        ));

        let step = Step::begin("Deploying template.yaml");
        let description = deploy(&parts, tools, &supervisor, build).await?;
        answers(&description).await?;
        step.done(format!("stack {STACK}, API at {}", description.api));
        Ok(Self { description, parts, supervisor })
    }

    /// What scripts and tests are told of it.
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

    /// What watches over its processes.
    pub(crate) fn supervisor(&self) -> &Supervisor {
        &self.supervisor
    }

    /// Removes what was made on a MongoDB server that goes on running.
    pub(crate) async fn clean_up(&self) -> Result<()> {
        self.parts.mongo.clean_up().await
    }
}

/// Publishes keys, secrets and functions, then creates the stack.
async fn deploy(parts: &Parts, tools: &Tools, supervisor: &Supervisor, build: Build) -> Result<Description> {
    let Parts { mongo, aws, ipfs_node, .. } = parts;
    let issuer = Issuer::publish(aws, AUDIENCE).await?;
    let template = functions::package(aws, tools, supervisor, build).await?;
    let mut parameters = BTreeMap::from([
        ("AwsEndpointUrl".to_owned(), aws.endpoint().to_owned()),
        ("ContentAllowedOrigins".to_owned(), ipfs_node.address().to_owned()),
        ("IpfsGateways".to_owned(), ipfs_node.address().to_owned()),
        ("JwtIssuer".to_owned(), issuer.url().to_owned()),
        ("JwtAudience".to_owned(), AUDIENCE.to_owned()),
        ("MongoUriSecretArn".to_owned(), aws.create_secret("holdfast/mongodb-uri", &mongo.source_uri()).await?),
    ]);
    if let Some(catalog) = mongo.catalog_uri() {
        let secret = aws.create_secret("holdfast/catalog-uri", &catalog).await?;
        parameters.insert("CatalogUriSecretArn".to_owned(), secret);
    }
    let outputs = deployment::create(aws, STACK, &template, &parameters).await?;
    description::describe(parts, &issuer, template, parameters, &outputs)
}

/// Waits until the API answers, which takes a cold start.
async fn answers(description: &Description) -> Result<()> {
    let url = format!("{}/api/backups/status", description.api);
    let mut said = String::new();
    for _ in 0..20 {
        let request = reqwest::Client::new().get(&url).bearer_auth(&description.tokens.admin);
        let response = request.timeout(Duration::from_secs(35)).send().await.context("the API does not answer")?;
        let status = response.status();
        said = format!("{status} {}", response.text().await.unwrap_or_default());
        if status.is_success() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    bail!("the deployed API does not work: GET {url} answered {said}")
}
