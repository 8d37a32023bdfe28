//! The deployed second copy: made after each commit without a request, by an independent function.
//! It restores everything after the loss of the first bucket and the catalogue. A failed copy
//! raises an alarm, but does not fail the backup.

use std::time::Duration;

use aws_sdk_s3::{
    Client,
    config::{Builder, Region},
    types::{BucketLocationConstraint, CreateBucketConfiguration},
};
use holdfast_testing::{IpfsNode, aws_config, s3_client, unique};
use serde_json::{Value, json};

use crate::{
    alarms::raised_by_what_was_emitted,
    stage::{Deployment, Variant, collections_of, event, fill_with_noise, small_pieces, until},
};

const KEY: &str = "5d7e9f1a2b4c6d8e0f1a3b5c7d9e0f2a4b6c8d8f3c1d5e7a9b2c4d6e8f0a1b3c";
const REGION: &str = "eu-central-1";
const PREFIX: &str = "of/the/first";

/// A bucket in another region.
struct Second {
    s3: Client,
    bucket: String,
}

impl Second {
    async fn new() -> Self {
        let config = Builder::from(&aws_config())
            .region(Region::new(REGION))
            .force_path_style(true);
        let (s3, bucket) = (Client::from_conf(config.build()), unique("second"));
        let there = CreateBucketConfiguration::builder()
            .location_constraint(BucketLocationConstraint::from(REGION));
        s3.create_bucket()
            .bucket(&bucket)
            .create_bucket_configuration(there.build())
            .send()
            .await
            .unwrap();
        Self { s3, bucket }
    }

    fn parameter(&self) -> String {
        format!("{}/{PREFIX}", self.bucket)
    }

    async fn keys(&self) -> Vec<String> {
        let mut pages = self
            .s3
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

    async fn remove(self) {
        for key in self.keys().await {
            self.s3
                .delete_object()
                .bucket(&self.bucket)
                .key(key)
                .send()
                .await
                .unwrap();
        }
        self.s3
            .delete_bucket()
            .bucket(&self.bucket)
            .send()
            .await
            .unwrap();
    }
}

impl Deployment {
    fn copied_to(self, bucket: &str) -> Self {
        self.with("CloudEnabled", "true")
            .with("CloudBucket", bucket)
            .with("CloudRegion", REGION)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn data_lost_with_bucket_and_catalogue_are_restored_from_the_automatic_copy() {
    let (node, second) = (IpfsNode::start(), Second::new().await);
    let deployment = Deployment::named("copied")
        .fetching_from(&node)
        .copied_to(&second.parameter());
    let mut variant = deployment.encrypted_under(KEY).files_too().deploy().await;
    fill_with_noise(&variant.server, &variant.source, 12).await;
    let pieces = small_pieces(&node, 20).await;
    variant.publish(&pieces).await;
    let (database, content) = (
        variant.api.back_up().await,
        variant.api.back_up_of("content").await,
    );
    for job in [&database, &content] {
        let copy = copy_with_status(&variant, id(job), "completed").await;
        assert_eq!(
            copy["store"],
            format!("s3://{}/{PREFIX}/", second.bucket),
            "{copy}"
        );
    }
    let first: Vec<String> = variant
        .keys()
        .await
        .into_iter()
        .map(|key| format!("{PREFIX}/{key}"))
        .collect();
    assert_eq!(
        second.keys().await,
        first,
        "the same objects under the same names"
    );
    nothing_is_left_to_do(&variant).await;
    let original = collections_of(&variant.server, &variant.source).await;

    lose_bucket_and_catalogue(&variant).await;
    variant.environment.insert(
        "BACKUP_CATALOG_URI".to_owned(),
        "mongodb://127.0.0.1:9/x?serverSelectionTimeoutMS=300".to_owned(),
    );
    variant.environment.insert(
        "BACKUP_STORE".to_owned(),
        format!("s3://{}/{PREFIX}", second.bucket),
    );
    variant
        .environment
        .insert("BACKUP_CLOUD_BUCKET".to_owned(), second.parameter());
    variant
        .environment
        .insert("BACKUP_CLOUD_REGION".to_owned(), REGION.to_owned());
    for job in [&database, &content] {
        variant
            .operator(&["verify", id(job), "--level", "structure"])
            .await
            .expect(0);
    }
    let restored = variant.restored(&["database", id(&database)]).await;
    assert_eq!(collections_of(&variant.server, &restored).await, original);
    variant.server.drop(&[&restored]).await;
    variant.content_comes_back(id(&content), &pieces).await;
    second.remove().await;
    variant.finish(id(&database)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_fails_is_an_alarm_and_no_failed_backup() {
    let variant = Deployment::named("uncopied")
        .copied_to(&unique("no-such-bucket"))
        .deploy()
        .await;
    fill_with_noise(&variant.server, &variant.source, 1).await;
    let job = variant.api.back_up().await;
    let copy = copy_with_status(&variant, id(&job), "failed").await;
    assert!(
        copy["error"]["message"]
            .as_str()
            .unwrap()
            .contains("the second store s3://no-such-bucket"),
        "{copy}"
    );
    assert!(
        copy["error"]["hint"]
            .as_str()
            .unwrap()
            .contains("BACKUP_CLOUD_"),
        "{copy}"
    );
    assert_eq!(variant.api.job(id(&job)).await["status"], "completed");
    raised_by_what_was_emitted(&variant, &["-CopyFailedAlarm"]).await;
    // It is not requested again at once, but it is reported as waiting.
    let asked = variant
        .invoke("replication", &event("schedule-copies"))
        .await;
    assert_eq!(
        (&asked.payload["asked"], &asked.payload["uncopied"]),
        (&json!([]), &json!(1)),
        "{asked:?}"
    );
    variant.finish(id(&job)).await;
}

fn id(job: &Value) -> &str {
    job["backupId"].as_str().unwrap()
}

/// Waits for a copy with this status.
async fn copy_with_status(variant: &Variant, id: &str, status: &str) -> Value {
    until(
        &format!("a copy that is {status}"),
        Duration::from_mins(3),
        || async {
            let job = variant.api.job(id).await;
            (job["copy"]["status"] == status).then(|| job["copy"].clone())
        },
    )
    .await
}

async fn nothing_is_left_to_do(variant: &Variant) {
    let asked = variant
        .invoke("replication", &event("schedule-copies"))
        .await;
    assert_eq!(
        (&asked.payload["asked"], &asked.payload["uncopied"]),
        (&json!([]), &json!(0)),
        "{asked:?}"
    );
    let removed = variant
        .invoke("replication", &event("schedule-copies-retention"))
        .await;
    let report = &removed.payload;
    let shown = (
        &report["deleted"],
        &report["retained"],
        &report["problems"],
        &report["collection"]["problems"],
    );
    assert_eq!(
        shown,
        (&json!([]), &json!(2), &json!([]), &json!([])),
        "{removed:?}"
    );
}

async fn lose_bucket_and_catalogue(variant: &Variant) {
    let s3 = s3_client();
    for key in variant.keys().await {
        s3.delete_object()
            .bucket(&variant.bucket)
            .key(key)
            .send()
            .await
            .unwrap();
    }
    let catalog = variant.rows("backup_jobs").namespace().db;
    variant.server.drop(&[&catalog]).await;
}
