//! Addresses of the real local parts of the tests. `cargo xtask test` starts them and sets the
//! environment.

use std::{
    collections::BTreeMap,
    process,
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use aws_config::{Region, SdkConfig};
use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};

use crate::IpfsNode;

/// The addresses of the parts.
#[derive(Debug, Clone)]
pub struct Parts {
    /// A MongoDB server for databases of tests.
    pub mongodb_uri: String,
    /// A local AWS, S3 by path style.
    pub aws_endpoint: String,
}

/// The template as it was deployed for the end-to-end tests.
#[derive(Debug, Clone, serde::Deserialize)]
pub struct Stack {
    /// The API's base URL.
    pub api: String,
    /// A token for each role.
    pub tokens: Tokens,
    /// The server that the stack backs up.
    pub mongodb_uri: String,
    /// The local AWS.
    pub aws_endpoint: String,
    /// The stack's region.
    pub region: String,
    /// The bucket with the backups.
    pub bucket: String,
    /// The stack's name in CloudFormation.
    pub stack: String,
    /// The environment of `holdfast` for this stack.
    pub env: BTreeMap<String, String>,
    /// The packaged template's address, for further stacks next to this one.
    pub template: String,
    /// The parameters of this one.
    pub parameters: BTreeMap<String, String>,
    /// The outputs of this one.
    pub outputs: BTreeMap<String, String>,
}

/// Bearer tokens by the role they claim.
#[derive(Debug, Clone, serde::Deserialize)]
pub struct Tokens {
    /// Role `admin`.
    pub admin: String,
    /// Role `creator`.
    pub creator: String,
    /// Valid, but without a permitted role.
    pub none: String,
}

/// The running parts.
///
/// # Panics
/// If the environment does not name them.
#[must_use]
pub fn parts() -> &'static Parts {
    static PARTS: OnceLock<Parts> = OnceLock::new();
    PARTS.get_or_init(|| Parts {
        mongodb_uri: variable("HOLDFAST_TEST_MONGODB_URI"),
        aws_endpoint: variable("HOLDFAST_TEST_AWS_ENDPOINT"),
    })
}

impl Parts {
    /// The IPFS gateway and Gaia origin of all tests. They share its counters.
    ///
    /// # Panics
    /// If the environment does not name it.
    #[must_use]
    pub fn ipfs_node(&self) -> IpfsNode {
        IpfsNode::at(&variable("HOLDFAST_TEST_IPFS_NODE"))
    }

    /// A local Azure Blob Storage: the account's own address, with its name as the path.
    ///
    /// # Panics
    /// If the environment does not name it.
    #[must_use]
    pub fn azure_endpoint(&self) -> String {
        variable("HOLDFAST_TEST_AZURE_ENDPOINT")
    }

    /// Another implementation of S3 than the local AWS.
    ///
    /// # Panics
    /// If the environment does not name it.
    #[must_use]
    pub fn s3_other_endpoint(&self) -> String {
        variable("HOLDFAST_TEST_S3_OTHER_ENDPOINT")
    }
}

/// The deployed stack.
///
/// # Panics
/// If the environment does not describe it.
#[must_use]
pub fn stack() -> &'static Stack {
    static STACK: OnceLock<Stack> = OnceLock::new();
    STACK.get_or_init(|| {
        serde_json::from_str(&variable("HOLDFAST_TEST_STACK")).unwrap_or_else(|error| {
            panic!("HOLDFAST_TEST_STACK is not the line printed by `cargo xtask demo`: {error}")
        })
    })
}

/// The SDK's configuration for the local AWS.
#[must_use]
pub fn aws_config() -> SdkConfig {
    aws_config_at(&parts().aws_endpoint)
}

/// The same at another address: a proxy, or a port without a listener.
#[must_use]
pub fn aws_config_at(endpoint: &str) -> SdkConfig {
    let credentials = Credentials::new("test", "test", None, None, "tests");
    SdkConfig::builder()
        .behavior_version(aws_config::BehaviorVersion::latest())
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .endpoint_url(endpoint)
        .region(Region::from_static("us-east-1"))
        .build()
}

/// An S3 client for the local AWS.
#[must_use]
pub fn s3_client() -> aws_sdk_s3::Client {
    holdfast_storage::s3_client(&aws_config())
}

/// A name unused by any other test, even of an earlier run. It is valid for buckets and databases.
#[must_use]
pub fn unique(prefix: &str) -> String {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let since_1970 = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    format!(
        "{prefix}-{:x}-{:x}-{count}",
        since_1970.as_millis(),
        process::id()
    )
}

/// Whether slow cases of several minutes run too: `cargo xtask test --long`.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "a variable of the tests, not a setting"
)]
pub fn long_cases() -> bool {
    std::env::var("HOLDFAST_TEST_LONG").is_ok_and(|value| value == "1")
}

/// The program of a small MongoDB server, for a test that kills or misconfigures its own server.
///
/// # Panics
/// If the environment does not name it.
#[must_use]
pub fn mongodb_server_program() -> std::path::PathBuf {
    variable("HOLDFAST_TEST_MONGODB_SERVER").into()
}

/// The official tool of the age format, as operators use it.
///
/// # Panics
/// If the environment does not name it.
#[must_use]
pub fn age_program() -> std::path::PathBuf {
    variable("HOLDFAST_TEST_AGE").into()
}

#[expect(
    clippy::disallowed_methods,
    reason = "variables of the tests, not settings"
)]
pub(crate) fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set: run `cargo xtask test` to start the local parts and set it")
    })
}
