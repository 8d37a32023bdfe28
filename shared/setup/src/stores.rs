//! Opens the store at an address with the keys of the settings. No request is sent.

use std::sync::Arc;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use holdfast_domain::settings::{CloudKeys, CloudProvider, CloudSettings, StoreLocation};
use holdfast_operations::OperationError;
use holdfast_storage::{
    AzureKey, AzureStore, DirectoryStore, S3Store, Store, interoperable_client, s3_client,
};

use crate::settings::setting_fault;

/// Address of Google's S3-compatible interface, and the region of its signatures. It finds the
/// bucket's region itself.
const GOOGLE: (&str, &str) = ("https://storage.googleapis.com", "auto");

const A_REGION: &str = "set it, or `region` in the profile of the AWS configuration";

/// Opens a store. The settings of the second copy open its S3 location only. The AWS SDK's own
/// chain opens every other S3 location. Both copies may be in one bucket, and another address may
/// have a bucket with the same name.
pub(crate) fn open(
    aws: &SdkConfig,
    cloud: &CloudSettings,
    location: &StoreLocation,
) -> Result<Arc<dyn Store>, OperationError> {
    match location {
        StoreLocation::S3 { bucket, prefix } => {
            let config = if cloud.location.as_ref() == Some(location) {
                &second(aws, cloud)
            } else {
                aws
            };
            if config.region().is_none() {
                return Err(setting_fault(
                    "AWS_REGION",
                    format!("is not set, but {location} needs a region: {A_REGION}"),
                ));
            }
            Ok(Arc::new(S3Store::new(s3_client(config), bucket, prefix)))
        }
        StoreLocation::Gcs { bucket, prefix } => {
            let keys = keys(cloud, CloudProvider::Gcp, location)?;
            let (endpoint, region) = cloud
                .endpoint
                .as_ref()
                .map_or(GOOGLE, |url| (url.as_str(), cloud.region.as_str()));
            let config = elsewhere(aws, endpoint, region, Some(credentials(keys)));
            Ok(Arc::new(S3Store::interoperable(
                interoperable_client(&config),
                bucket,
                prefix,
            )))
        }
        StoreLocation::Directory(directories) => {
            Ok(Arc::new(DirectoryStore::new(directories.clone())))
        }
        StoreLocation::Azure {
            account,
            container,
            prefix,
        } => {
            let key = account_key(keys(cloud, CloudProvider::Azure, location)?, account)?;
            Ok(Arc::new(AzureStore::new(
                account,
                key,
                cloud.endpoint.as_ref(),
                container,
                prefix,
            )?))
        }
    }
}

/// Another bucket, region or account of AWS, or a service with its protocol and checksums.
fn second(aws: &SdkConfig, cloud: &CloudSettings) -> SdkConfig {
    let credentials = cloud
        .keys
        .as_ref()
        .map(credentials)
        .or_else(|| aws.credentials_provider());
    if let Some(endpoint) = &cloud.endpoint {
        return elsewhere(aws, endpoint.as_str(), &cloud.region, credentials);
    }
    let mut config = aws.to_builder().region(Region::new(cloud.region.clone()));
    config.set_credentials_provider(credentials);
    config.build()
}

/// A store outside AWS. The configuration is built from nothing, because the AWS variables of the
/// environment must not reach it.
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
    config
        .set_credentials_provider(credentials)
        .set_http_client(aws.http_client());
    config.build()
}

fn credentials(keys: &CloudKeys) -> SharedCredentialsProvider {
    let keys = Credentials::new(
        keys.access.expose(),
        keys.secret.expose(),
        None,
        None,
        "BACKUP_CLOUD_ACCESS_KEY",
    );
    SharedCredentialsProvider::new(keys)
}

/// The keys of a store without roles.
fn keys<'a>(
    cloud: &'a CloudSettings,
    provider: CloudProvider,
    location: &StoreLocation,
) -> Result<&'a CloudKeys, OperationError> {
    if cloud.provider != provider {
        let problem = format!(
            "is {}, but {location} needs the keys of {provider}: set {provider}",
            cloud.provider
        );
        return Err(setting_fault("BACKUP_CLOUD_PROVIDER", problem));
    }
    let (access, secret) = match provider {
        CloudProvider::Azure => ("the storage account's name", "one of its two access keys"),
        CloudProvider::Aws | CloudProvider::Gcp => {
            ("an HMAC key's access ID", "the secret of that HMAC key")
        }
    };
    let problem = || {
        let problem = format!(
            "is not set, but {location} needs it: set it to {access}, and BACKUP_CLOUD_SECRET_KEY to {secret}"
        );
        setting_fault("BACKUP_CLOUD_ACCESS_KEY", problem)
    };
    cloud.keys.as_ref().ok_or_else(problem)
}

/// The key of this account, if the settings have it.
fn account_key(keys: &CloudKeys, account: &str) -> Result<AzureKey, OperationError> {
    if keys.access.expose() != account {
        let problem = format!("names another storage account than {account}: set {account}");
        return Err(setting_fault("BACKUP_CLOUD_ACCESS_KEY", problem));
    }
    let problem = "is not the key of a storage account: set one of the account's two access keys, as complete base64";
    AzureKey::parse(&keys.secret).ok_or_else(|| setting_fault("BACKUP_CLOUD_SECRET_KEY", problem))
}
