//! Settings of the second store: `BACKUP_CLOUD_*`.

use url::Url;

use super::{StoreLocation, reader::Reader};
use crate::Secret;

/// Settings of the second store and its access keys.
#[derive(Debug, Clone)]
pub struct CloudSettings {
    /// `BACKUP_CLOUD_ENABLED`: copy every committed backup. If `false`, the other settings still
    /// open a store named by a command.
    pub enabled: bool,
    /// `BACKUP_CLOUD_PROVIDER`.
    pub provider: CloudProvider,
    /// `BACKUP_CLOUD_BUCKET`: the second store. For Azure, the access key names the account.
    pub location: Option<StoreLocation>,
    /// `BACKUP_CLOUD_REGION`: for AWS only.
    pub region: String,
    /// `BACKUP_CLOUD_ACCESS_KEY` and `BACKUP_CLOUD_SECRET_KEY`. Without them, AWS uses the role.
    pub keys: Option<CloudKeys>,
    /// `BACKUP_CLOUD_ENDPOINT`: endpoint of the store, if it is not the provider's own.
    pub endpoint: Option<Url>,
    /// `BACKUP_CLOUD_QUEUE`: the SQS queue of copies to make.
    pub queue: Option<String>,
}

/// Access keys of a store.
#[derive(Debug, Clone)]
pub struct CloudKeys {
    /// The access key ID. For Azure, the name of the storage account.
    pub access: Secret,
    /// The secret access key. For Azure, the key of the storage account.
    pub secret: Secret,
}

choice!(
    /// Provider of the second store.
    CloudProvider {
        /// S3, or a compatible store with checksums.
        Aws = "aws",
        /// Google Cloud Storage by its S3-compatible interface, or another compatible store without
        /// checksums.
        Gcp = "gcp",
        /// Azure Blob Storage.
        Azure = "azure",
    }
);

pub(super) fn read(reader: &mut Reader) -> CloudSettings {
    let provider = reader.choice(
        "BACKUP_CLOUD_PROVIDER",
        CloudProvider::Aws,
        CloudProvider::WORDS,
    );
    let keys = keys(reader);
    let settings = CloudSettings {
        enabled: reader.boolean("BACKUP_CLOUD_ENABLED", false),
        provider,
        location: reader.optional("BACKUP_CLOUD_BUCKET", |bucket| {
            location(provider, bucket, keys.as_ref())
        }),
        region: reader.text_or("BACKUP_CLOUD_REGION", "us-east-1"),
        keys,
        endpoint: reader.optional("BACKUP_CLOUD_ENDPOINT", endpoint),
        queue: reader.text("BACKUP_CLOUD_QUEUE"),
    };
    if settings.enabled {
        if settings.location.is_none() {
            reader.reject_once(
                "BACKUP_CLOUD_BUCKET",
                "is not set, and BACKUP_CLOUD_ENABLED is true: set it",
            );
        }
        if settings.keys.is_none() && provider != CloudProvider::Aws {
            let problem = format!(
                "is not set, and BACKUP_CLOUD_PROVIDER is {provider} without support for roles: set it"
            );
            reader.reject_once("BACKUP_CLOUD_ACCESS_KEY", problem);
        }
    }
    settings
}

fn keys(reader: &mut Reader) -> Option<CloudKeys> {
    const NAMES: [&str; 2] = ["BACKUP_CLOUD_ACCESS_KEY", "BACKUP_CLOUD_SECRET_KEY"];
    match NAMES.map(|name| reader.secret(name)) {
        [Some(access), Some(secret)] => Some(CloudKeys { access, secret }),
        [Some(_), None] => {
            reader.reject(
                NAMES[1],
                format!("is not set, and {} is: set both or neither", NAMES[0]),
            );
            None
        }
        [None, Some(_)] => {
            reader.reject(
                NAMES[0],
                format!("is not set, and {} is: set both or neither", NAMES[1]),
            );
            None
        }
        [None, None] => None,
    }
}

/// Builds the store's URL from the names of each provider, and parses it like a URL written by an
/// operator.
fn location(
    provider: CloudProvider,
    bucket: &str,
    keys: Option<&CloudKeys>,
) -> Result<StoreLocation, String> {
    let address = match (provider, keys) {
        (CloudProvider::Aws, _) => format!("s3://{bucket}"),
        (CloudProvider::Gcp, _) => format!("gs://{bucket}"),
        (CloudProvider::Azure, Some(keys)) => format!("az://{}/{bucket}", keys.access.expose()),
        (CloudProvider::Azure, None) => {
            return Err("the name of a container, and BACKUP_CLOUD_ACCESS_KEY set to the name of its storage account"
                .to_owned());
        }
    };
    StoreLocation::parse(&address).map_err(|_| match provider {
        CloudProvider::Azure => {
            "the name of a container, optionally with a slash and a prefix, and \
                                 BACKUP_CLOUD_ACCESS_KEY set to the name of its storage account"
                .to_owned()
        }
        _ => "the name of a bucket, optionally with a slash and a prefix".to_owned(),
    })
}

fn endpoint(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).ok().filter(|url| {
        let is_plain =
            url.username().is_empty() && url.password().is_none() && url.query().is_none();
        matches!(url.scheme(), "http" | "https") && url.has_host() && is_plain
    });
    url.ok_or_else(|| "a URL, for example https://storage.example".to_owned())
}
