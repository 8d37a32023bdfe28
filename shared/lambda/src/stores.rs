//! The store at an address, opened by what the settings have for it. Nothing is sent yet.

use std::sync::Arc;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use holdfast_domain::settings::{CloudKeys, CloudProvider, CloudSettings, StoreLocation};
use holdfast_operations::OperationError;
use holdfast_storage::{AzureKey, AzureStore, DirectoryStore, S3Store, Store, interoperable_client, s3_client};

use crate::clients::fault;

/// Where Google's S3-compatible interface answers, and the region that is signed there: it finds the bucket's by itself.
const GOOGLE: (&str, &str) = ("https://storage.googleapis.com", "auto");

const A_REGION: &str = "set it, or `region` in the profile of the AWS configuration";

/// The second copy's place is opened by the settings of that, any other place in S3 by the AWS SDK's own chain: a bucket
/// may hold both, and one of the same name may be at another address.
pub(crate) fn open(
    aws: &SdkConfig,
    cloud: &CloudSettings,
    location: &StoreLocation,
) -> Result<Arc<dyn Store>, OperationError> {
    match location {
        StoreLocation::S3 { bucket, prefix } => {
            let config = if cloud.location.as_ref() == Some(location) { &second(aws, cloud) } else { aws };
            if config.region().is_none() {
                return Err(fault("AWS_REGION", format!("is not set, and {location} is in a region: {A_REGION}")));
            }
            // What stands in for AWS has no name for each bucket.
            let client = s3_client(config, config.endpoint_url().is_some());
            Ok(Arc::new(S3Store::new(client, bucket, prefix)))
        }
        StoreLocation::Gcs { bucket, prefix } => {
            let keys = keys(cloud, CloudProvider::Gcp, location)?;
            let (endpoint, region) =
                cloud.endpoint.as_ref().map_or(GOOGLE, |url| (url.as_str(), cloud.region.as_str()));
            let config = elsewhere(aws, endpoint, region, Some(credentials(keys)));
            Ok(Arc::new(S3Store::interoperable(interoperable_client(&config), bucket, prefix)))
        }
        StoreLocation::Directory(directories) => Ok(Arc::new(DirectoryStore::new(directories.clone()))),
        StoreLocation::Azure { account, container, prefix } => {
            let key = account_key(keys(cloud, CloudProvider::Azure, location)?, account)?;
            Ok(Arc::new(AzureStore::new(account, key, cloud.endpoint.as_ref(), container, prefix)?))
        }
    }
}

/// Another bucket, region or account of AWS, or what speaks its protocol with checksums.
fn second(aws: &SdkConfig, cloud: &CloudSettings) -> SdkConfig {
    let credentials = cloud.keys.as_ref().map(credentials).or_else(|| aws.credentials_provider());
    if let Some(endpoint) = &cloud.endpoint {
        return elsewhere(aws, endpoint.as_str(), &cloud.region, credentials);
    }
    let mut config = aws.to_builder().region(Region::new(cloud.region.clone()));
    config.set_credentials_provider(credentials);
    config.build()
}

/// At an address that is not AWS's. Built from nothing: what the environment says of AWS must not lead there.
fn elsewhere(
    aws: &SdkConfig,
    endpoint: &str,
    region: &str,
    credentials: Option<SharedCredentialsProvider>,
) -> SdkConfig {
    let mut config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(endpoint)
        .region(Region::new(region.to_owned()));
    config.set_credentials_provider(credentials).set_http_client(aws.http_client());
    config.build()
}

fn credentials(keys: &CloudKeys) -> SharedCredentialsProvider {
    let keys = Credentials::new(keys.access.expose(), keys.secret.expose(), None, None, "BACKUP_CLOUD_ACCESS_KEY");
    SharedCredentialsProvider::new(keys)
}

/// The keys of a store that knows no role.
fn keys<'a>(
    cloud: &'a CloudSettings,
    provider: CloudProvider,
    location: &StoreLocation,
) -> Result<&'a CloudKeys, OperationError> {
    if cloud.provider != provider {
        let problem =
            format!("is {}, and {location} is opened by the keys of {provider}: set {provider}", cloud.provider);
        return Err(fault("BACKUP_CLOUD_PROVIDER", problem));
    }
    let (access, secret) = match provider {
        CloudProvider::Azure => ("the storage account's name", "one of its two access keys"),
        CloudProvider::Aws | CloudProvider::Gcp => ("an HMAC key's access ID", "that key's secret"),
    };
    let problem = || {
        let problem =
            format!("is not set, but {location} needs it: set it to {access}, and BACKUP_CLOUD_SECRET_KEY to {secret}");
        fault("BACKUP_CLOUD_ACCESS_KEY", problem)
    };
    cloud.keys.as_ref().ok_or_else(problem)
}

/// The key of this account, if the settings have that.
fn account_key(keys: &CloudKeys, account: &str) -> Result<AzureKey, OperationError> {
    if keys.access.expose() != account {
        let problem =
            format!("is the name of another storage account than {account}, which is to be opened: set {account}");
        return Err(fault("BACKUP_CLOUD_ACCESS_KEY", problem));
    }
    let problem = "is not the key of a storage account: set one of the account's two access keys, as base64 and whole";
    AzureKey::parse(&keys.secret).ok_or_else(|| fault("BACKUP_CLOUD_SECRET_KEY", problem))
}
