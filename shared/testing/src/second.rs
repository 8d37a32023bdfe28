//! Stores for a second copy, each in its own bucket or container: in Azure, in a service with S3's
//! calls only, in another region of AWS.

use std::{collections::BTreeMap, sync::Arc};

use aws_config::{Region, SdkConfig};
use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};
use futures_util::TryStreamExt as _;
use holdfast_domain::{Secret, settings::StoreLocation};
use holdfast_storage::{
    AzureKey, AzureStore, RetryPolicy, S3Store, Store, interoperable_client, s3_client,
};
use url::Url;

use crate::{aws_config_at, parts, store::quick_retry, unique};

/// The storage account of the local stand-in for Azure.
pub const AZURE_ACCOUNT: &str = "holdfasttest";

/// Its key: public, and of no other use.
pub const AZURE_KEY: &str =
    "b3BlbnMgdGhlIGxvY2FsIHN0YW5kLWluIGZvciBBenVyZSwgYW5kIG5vdGhpbmcgZWxzZQ==";

/// The keys of the other S3. It accepts any keys.
const OTHER_KEYS: [&str; 2] = ["other", "other-secret"];

const PREFIX: &str = "second/copy";
const OTHER_REGION: &str = "eu-west-1";

/// A second store, empty to begin with.
pub struct SecondStore {
    /// The store.
    pub store: Arc<dyn Store>,
    /// Its address.
    pub location: StoreLocation,
    variables: BTreeMap<&'static str, String>,
}

impl SecondStore {
    /// In Azure.
    pub async fn azure() -> Self {
        Self::azure_at(&parts().azure_endpoint()).await
    }

    /// In Azure, with requests to `endpoint` (a [`crate::proxy::FaultProxy`]) and short waits
    /// between attempts.
    ///
    /// # Panics
    /// If the container cannot be created.
    pub async fn azure_at(endpoint: &str) -> Self {
        let container = unique("holdfast-test");
        let made = azure_store(&parts().azure_endpoint(), &container)
            .create_container()
            .await;
        made.unwrap_or_else(|error| panic!("container {container}: {error}"));
        Self {
            store: Arc::new(azure_store(endpoint, &container)),
            location: location(&format!("az://{AZURE_ACCOUNT}/{container}/{PREFIX}")),
            variables: variables(
                "azure",
                &container,
                [AZURE_ACCOUNT, AZURE_KEY],
                Some(endpoint),
            ),
        }
    }

    /// In a store with S3's calls, but without its checksums and conditions.
    pub async fn interoperable() -> Self {
        Self::interoperable_at(&parts().s3_other_endpoint()).await
    }

    /// The same, with requests to `endpoint` and short waits between attempts.
    pub async fn interoperable_at(endpoint: &str) -> Self {
        let bucket = unique("holdfast-test");
        make_bucket(&aws_config_at(&parts().s3_other_endpoint()), &bucket).await;
        let client = interoperable_client(&aws_config_at(endpoint));
        Self {
            store: Arc::new(
                S3Store::interoperable(client, &bucket, PREFIX).with_retry(quick_retry()),
            ),
            location: location(&format!("gs://{bucket}/{PREFIX}")),
            variables: variables("gcp", &bucket, OTHER_KEYS, Some(endpoint)),
        }
    }

    /// In another region of the local AWS.
    pub async fn in_another_region() -> Self {
        let bucket = unique("holdfast-test");
        let endpoint = &parts().aws_endpoint;
        let region = Region::from_static(OTHER_REGION);
        let config = aws_config_at(endpoint)
            .into_builder()
            .region(region)
            .build();
        make_bucket(&config, &bucket).await;
        let store = S3Store::new(s3_client(&config), &bucket, PREFIX).with_retry(quick_retry());
        Self {
            store: Arc::new(store),
            location: location(&format!("s3://{bucket}/{PREFIX}")),
            variables: variables("aws", &bucket, ["test", "test"], Some(endpoint)),
        }
    }

    /// The settings of the second copy's store, enabled.
    #[must_use]
    pub fn variables(&self) -> Vec<(String, String)> {
        self.variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect()
    }

    /// The same, one of them otherwise.
    #[must_use]
    pub fn with_variable(mut self, name: &'static str, value: &str) -> Self {
        self.variables.insert(name, value.to_owned());
        self
    }

    /// Every key in it.
    ///
    /// # Panics
    /// If it cannot be listed.
    pub async fn all_keys(&self) -> Vec<String> {
        let listed = self
            .store
            .list("")
            .map_ok(|info| info.key.to_string())
            .try_collect()
            .await;
        listed.unwrap_or_else(|error| panic!("listing {}: {error}", self.location))
    }

    /// Asserts that no object and no unfinished upload is left. Waits a moment for background work.
    ///
    /// # Panics
    /// If something is left.
    pub async fn assert_empty(&self) {
        let mut left = (Vec::new(), 0);
        for _ in 0..100 {
            let uploads = self.store.list_unfinished_uploads("").await;
            let uploads = uploads
                .unwrap_or_else(|error| panic!("listing uploads of {}: {error}", self.location));
            left = (self.all_keys().await, uploads.len());
            if left == (Vec::new(), 0) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!(
            "left in {}: objects {:?}, {} unfinished uploads",
            self.location, left.0, left.1
        );
    }

    /// Deletes its contents. Its bucket or container ends with its local part.
    pub async fn remove(self) {
        for key in self.all_keys().await {
            if let Ok(key) = key.parse() {
                let _ = self.store.delete(&key).await;
            }
        }
    }
}

/// A store in a container of the local Azure, even if it does not exist. The key may be wrong.
///
/// # Panics
/// If the key is malformed.
#[must_use]
pub fn azure_store_with(
    endpoint: &str,
    container: &str,
    key: &str,
    retry: RetryPolicy,
) -> AzureStore {
    let key = AzureKey::parse(&Secret::new(key)).unwrap_or_else(|| panic!("no base64"));
    let endpoint = Url::parse(endpoint).unwrap_or_else(|error| panic!("{endpoint}: {error}"));
    let store = AzureStore::new(AZURE_ACCOUNT, key, Some(&endpoint), container, PREFIX);
    store
        .unwrap_or_else(|error| panic!("{error}"))
        .with_retry(retry)
}

fn azure_store(endpoint: &str, container: &str) -> AzureStore {
    azure_store_with(endpoint, container, AZURE_KEY, quick_retry())
}

async fn make_bucket(config: &SdkConfig, bucket: &str) {
    let region = config.region().map_or("us-east-1", Region::as_ref);
    let place = CreateBucketConfiguration::builder()
        .location_constraint(BucketLocationConstraint::from(region))
        .build();
    let place = (region != "us-east-1").then_some(place);
    let made = s3_client(config)
        .create_bucket()
        .bucket(bucket)
        .set_create_bucket_configuration(place);
    made.send()
        .await
        .unwrap_or_else(|error| panic!("bucket {bucket}: {error:?}"));
}

fn variables(
    provider: &str,
    bucket: &str,
    [access, secret]: [&str; 2],
    endpoint: Option<&str>,
) -> BTreeMap<&'static str, String> {
    let mut variables = BTreeMap::from([
        ("BACKUP_CLOUD_ENABLED", "true".to_owned()),
        ("BACKUP_CLOUD_PROVIDER", provider.to_owned()),
        ("BACKUP_CLOUD_BUCKET", format!("{bucket}/{PREFIX}")),
        ("BACKUP_CLOUD_REGION", OTHER_REGION.to_owned()),
        ("BACKUP_CLOUD_ACCESS_KEY", access.to_owned()),
        ("BACKUP_CLOUD_SECRET_KEY", secret.to_owned()),
    ]);
    variables.extend(endpoint.map(|endpoint| ("BACKUP_CLOUD_ENDPOINT", endpoint.to_owned())));
    variables
}

fn location(address: &str) -> StoreLocation {
    StoreLocation::parse(address).unwrap_or_else(|error| panic!("{address}: {error}"))
}
