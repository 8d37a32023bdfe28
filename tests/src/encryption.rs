//! Encryption is switched on and off on a deployed stack, by updates of its parameters. The roles
//! are as deployed: each function has only its own rights.

use holdfast_testing::IpfsNode;
use serde_json::{Value, json};

use crate::stage::{Deployment, Variant, fill_with_noise, small_pieces};

const KEY: &str = "1c3e5a7b9d0f2a4c6e8b1d3f5a7c9e0b2d4f6a8c1e3b5d7f9a0c2e4b6d8f1a3c";

const SWITCHES: [(&str, &str); 2] = [
    ("database", "DatabaseEncryption"),
    ("content", "ContentEncryption"),
];

#[tokio::test(flavor = "multi_thread")]
async fn encryption_is_switched_on_and_off_first_for_the_database() {
    switched_on_and_off(SWITCHES).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn encryption_is_switched_on_and_off_first_for_content() {
    let [database, content] = SWITCHES;
    switched_on_and_off([content, database]).await;
}

/// Both types are backed up after each change. Every backup is verified at the end, with the key
/// that the stack still has.
async fn switched_on_and_off(switches: [(&str, &str); 2]) {
    let node = IpfsNode::start();
    let deployment = Deployment::named("switched").fetching_from(&node);
    let mut variant = deployment.with_key(KEY).deploy().await;
    fill_with_noise(&variant.server, &variant.source, 8).await;
    let pieces = small_pieces(&node, 5).await;
    variant.publish(&pieces).await;
    let key = variant
        .parameter("EncryptionKeySecretArn")
        .map(str::to_owned);
    let key = key.as_deref();
    variant.update(&[("EncryptionKeySecretArn", None)]).await;

    let mut encrypted = std::collections::BTreeSet::new();
    let mut ids = back_up_both(&variant, &encrypted).await;
    for (kind, switch) in switches {
        variant
            .update(&[("EncryptionKeySecretArn", key), (switch, Some("true"))])
            .await;
        encrypted.insert(kind);
        ids.extend(back_up_both(&variant, &encrypted).await);
    }
    for (kind, switch) in switches {
        variant.update(&[(switch, Some("false"))]).await;
        encrypted.remove(kind);
        ids.extend(back_up_both(&variant, &encrypted).await);
    }
    for id in &ids {
        let path = format!("/api/backups/jobs/{id}/verify");
        let answer = variant.api.post(&path, "application/json", "{}").await;
        let answer = answer.expect(200);
        assert_eq!(answer.data()["status"], "passed", "{answer:?}");
    }
    variant.finish(&ids[0]).await;
}

/// Backs up both types and checks which of them are encrypted.
async fn back_up_both(
    variant: &Variant,
    encrypted: &std::collections::BTreeSet<&str>,
) -> Vec<String> {
    let mut ids = Vec::new();
    for kind in ["database", "content"] {
        let job: Value = variant.api.back_up_of(kind).await;
        let is_encrypted = encrypted.contains(kind);
        assert_eq!(job["encrypted"], json!(is_encrypted), "{job}");
        ids.push(job["backupId"].as_str().unwrap().to_owned());
    }
    ids
}
