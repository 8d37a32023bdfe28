//! A repository in its own bucket on the local S3.

use std::sync::Arc;

use aws_sdk_s3::{
    Client,
    types::{
        BucketVersioningStatus, ObjectLockLegalHold, ObjectLockLegalHoldStatus,
        VersioningConfiguration,
    },
};
use holdfast_domain::ObjectKey;
use holdfast_storage::{RetryPolicy, S3Store, Store};

use crate::{aws_config, aws_config_at, unique};

/// A store, empty at first, and the means to inspect it.
pub struct TestStore {
    /// The store.
    pub store: Arc<dyn Store>,
    /// A client with direct access to S3.
    pub client: Client,
    /// The bucket, of this store alone.
    pub bucket: String,
    /// The repository's prefix in it.
    pub prefix: String,
}

impl TestStore {
    /// An empty store in a fresh bucket.
    pub async fn new() -> Self {
        Self::at(&crate::parts().aws_endpoint).await
    }

    /// The same, with the store's requests to `endpoint` (a [`crate::proxy::FaultProxy`]) and short
    /// waits between attempts.
    pub async fn at(endpoint: &str) -> Self {
        let bucket = fresh_bucket().await;
        let prefix = "tests/repository".to_owned();
        let client = holdfast_storage::s3_client(&aws_config_at(endpoint));
        let store = S3Store::new(client, &bucket, &prefix).with_retry(quick_retry());
        Self {
            store: Arc::new(store),
            client: crate::s3_client(),
            bucket,
            prefix,
        }
    }

    /// An empty store in a fresh bucket with object lock, and therefore with versions.
    ///
    /// # Panics
    /// If it cannot be created.
    pub async fn with_object_lock() -> Self {
        let bucket = unique("holdfast-locked");
        let client = holdfast_storage::s3_client(&aws_config());
        let made = client
            .create_bucket()
            .bucket(&bucket)
            .object_lock_enabled_for_bucket(true)
            .send()
            .await;
        made.unwrap_or_else(|error| panic!("bucket {bucket}: {error:?}"));
        let prefix = "tests/repository".to_owned();
        let store = S3Store::new(client, &bucket, &prefix).with_retry(quick_retry());
        Self {
            store: Arc::new(store),
            client: crate::s3_client(),
            bucket,
            prefix,
        }
    }

    /// Puts an object of the repository under a legal hold.
    ///
    /// # Panics
    /// If S3 refuses.
    pub async fn put_under_legal_hold(&self, key: &ObjectKey) {
        let hold = ObjectLockLegalHold::builder()
            .status(ObjectLockLegalHoldStatus::On)
            .build();
        let request = self
            .client
            .put_object_legal_hold()
            .bucket(&self.bucket)
            .key(format!("{}/{key}", self.prefix));
        request
            .legal_hold(hold)
            .send()
            .await
            .unwrap_or_else(|error| panic!("legal hold on {key}: {error:?}"));
    }

    /// Every key in the bucket, with the prefix.
    ///
    /// # Panics
    /// If S3 does not respond.
    pub async fn all_keys(&self) -> Vec<String> {
        let mut pages = self
            .client
            .list_objects_v2()
            .bucket(&self.bucket)
            .into_paginator()
            .send();
        let mut keys = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.unwrap_or_else(|error| panic!("listing {}: {error:?}", self.bucket));
            keys.extend(
                page.contents()
                    .iter()
                    .filter_map(|object| object.key().map(ToOwned::to_owned)),
            );
        }
        keys
    }

    /// Number of uploads neither completed nor aborted.
    ///
    /// # Panics
    /// If S3 does not respond.
    pub async fn unfinished_uploads(&self) -> usize {
        let uploads = self
            .client
            .list_multipart_uploads()
            .bucket(&self.bucket)
            .send()
            .await;
        uploads
            .unwrap_or_else(|error| panic!("listing uploads of {}: {error:?}", self.bucket))
            .uploads()
            .len()
    }

    /// Asserts that no object and no unfinished upload is left. Waits a moment for background work.
    ///
    /// # Panics
    /// If something is left.
    pub async fn assert_empty(&self) {
        for _ in 0..100 {
            if self.unfinished_uploads().await == 0 && self.all_keys().await.is_empty() {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        let (uploads, keys) = (self.unfinished_uploads().await, self.all_keys().await);
        panic!(
            "left in {}: {uploads} unfinished uploads, objects {keys:?}",
            self.bucket
        );
    }

    /// Deletes the bucket with its contents.
    pub async fn remove(self) {
        for key in self.all_keys().await {
            let _ = self
                .client
                .delete_object()
                .bucket(&self.bucket)
                .key(key)
                .send()
                .await;
        }
        let _ = self
            .client
            .delete_bucket()
            .bucket(&self.bucket)
            .send()
            .await;
    }
}

/// Waits short enough for a test.
#[must_use]
pub fn quick_retry() -> RetryPolicy {
    let milliseconds = std::time::Duration::from_millis;
    RetryPolicy {
        attempts: 5,
        first_wait: milliseconds(5),
        longest_wait: milliseconds(50),
    }
}

/// A bucket unused by any other test.
///
/// # Panics
/// If it cannot be created.
pub async fn fresh_bucket() -> String {
    let bucket = unique("holdfast-test");
    let client = holdfast_storage::s3_client(&aws_config());
    let made = client.create_bucket().bucket(&bucket).send().await;
    made.unwrap_or_else(|error| panic!("bucket {bucket}: {error:?}"));
    bucket
}

/// The same, with every version of an object kept, as in the deployed bucket.
///
/// # Panics
/// If it cannot be created.
pub async fn fresh_versioned_bucket() -> String {
    let bucket = fresh_bucket().await;
    let versioning = VersioningConfiguration::builder()
        .status(BucketVersioningStatus::Enabled)
        .build();
    let request = crate::s3_client()
        .put_bucket_versioning()
        .bucket(&bucket)
        .versioning_configuration(versioning);
    request
        .send()
        .await
        .unwrap_or_else(|error| panic!("versioning of {bucket}: {error:?}"));
    bucket
}
