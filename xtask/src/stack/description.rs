//! The description of a stack for scripts and tests: the line printed by `cargo xtask demo --keep
//! --json`.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde::Serialize;

use super::{
    Copies, Parts, STACK,
    aws::{ACCESS_KEY, REGION, SECRET_KEY},
    others::{AZURE_ACCOUNT, AZURE_KEY, CONTAINER},
    tokens::Issuer,
};

/// A deployed stack.
#[derive(Serialize)]
pub(crate) struct Description {
    /// The API's address. Its calls begin with `/api/backups`.
    pub(crate) api: String,
    pub(crate) tokens: Tokens,
    /// The database to back up.
    pub(crate) mongodb_uri: String,
    pub(crate) aws_endpoint: String,
    /// The IPFS gateway (`/ipfs/…`) and Gaia origin (`/gaia/…`). `tests/ipfs-node` describes its
    /// control API.
    pub(crate) ipfs_node: String,
    /// Stores for a second copy.
    pub(crate) second: Second,
    pub(crate) region: &'static str,
    pub(crate) bucket: String,
    pub(crate) stack: &'static str,
    /// The variables of `holdfast` for this stack.
    pub(crate) env: BTreeMap<&'static str, String>,
    /// The address of the packaged template, for further stacks next to this one.
    pub(crate) template: String,
    /// The parameters of this one.
    pub(crate) parameters: BTreeMap<String, String>,
    /// All outputs of this one, by their names in the template.
    pub(crate) outputs: BTreeMap<String, String>,
}

/// The possible stores of a second copy.
#[derive(Serialize)]
pub(crate) struct Second {
    /// The only account of a local Azure, with its key and a container.
    pub(crate) azure_endpoint: String,
    pub(crate) azure_account: &'static str,
    pub(crate) azure_key: &'static str,
    pub(crate) azure_container: &'static str,
    /// Another implementation of S3. It accepts any keys.
    pub(crate) s3_endpoint: String,
}

impl Second {
    /// The container's address.
    pub(crate) fn azure_address(&self) -> String {
        format!("az://{}/{}", self.azure_account, self.azure_container)
    }

    /// Its settings.
    pub(crate) fn azure_settings(&self) -> [(&'static str, String); 5] {
        [
            ("BACKUP_CLOUD_PROVIDER", "azure".to_owned()),
            ("BACKUP_CLOUD_BUCKET", self.azure_container.to_owned()),
            ("BACKUP_CLOUD_ACCESS_KEY", self.azure_account.to_owned()),
            ("BACKUP_CLOUD_SECRET_KEY", self.azure_key.to_owned()),
            ("BACKUP_CLOUD_ENDPOINT", self.azure_endpoint.clone()),
        ]
    }
}

/// Tokens for the API, by the role in them.
#[derive(Serialize)]
pub(crate) struct Tokens {
    pub(crate) admin: String,
    pub(crate) creator: String,
    /// A valid token without a role.
    pub(crate) none: String,
}

pub(super) fn describe(
    parts: &Parts,
    issuer: &Issuer,
    template: String,
    parameters: BTreeMap<String, String>,
    outputs: &BTreeMap<String, String>,
    copies: Copies,
) -> Result<Description> {
    let Parts {
        mongo,
        aws,
        ipfs_node,
        azure,
        other_s3,
    } = parts;
    let output = |name: &str| {
        outputs
            .get(name)
            .cloned()
            .with_context(|| format!("the stack has no output {name}"))
    };
    let bucket = output("BucketName")?;
    let mut env = BTreeMap::from([
        ("MONGODB_URI", mongo.source_uri()),
        ("BACKUP_CATALOG_URI", mongo.catalog_uri()),
        ("BACKUP_STORE", format!("s3://{bucket}")),
        ("BACKUP_EVENT_BUS", output("EventBusName")?),
        ("BACKUP_IPFS_GATEWAYS", ipfs_node.address().to_owned()),
        (
            "BACKUP_CONTENT_ALLOWED_ORIGINS",
            ipfs_node.address().to_owned(),
        ),
        ("AWS_ENDPOINT_URL", aws.endpoint().to_owned()),
        ("AWS_REGION", REGION.to_owned()),
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY.to_owned()),
        ("AWS_SECRET_ACCESS_KEY", SECRET_KEY.to_owned()),
    ]);
    let second = Second {
        azure_endpoint: azure.endpoint().to_owned(),
        azure_account: AZURE_ACCOUNT,
        azure_key: AZURE_KEY,
        azure_container: CONTAINER,
        s3_endpoint: other_s3.endpoint().to_owned(),
    };
    if copies == Copies::InAzure {
        env.extend(second.azure_settings());
    }
    Ok(Description {
        api: output("ApiUrl")?,
        tokens: Tokens {
            admin: issuer.token(Some("admin"))?,
            creator: issuer.token(Some("creator"))?,
            none: issuer.token(None)?,
        },
        mongodb_uri: mongo.source_uri(),
        aws_endpoint: aws.endpoint().to_owned(),
        ipfs_node: ipfs_node.address().to_owned(),
        second,
        region: REGION,
        bucket,
        stack: STACK,
        env,
        template,
        parameters,
        outputs: outputs.clone(),
    })
}
