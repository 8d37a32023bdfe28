//! Stores for a second copy, in addition to another region of the local AWS: a local Azure Blob
//! Storage with one account, and another implementation of S3. Both choose their port and keep no
//! data.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::Url;

use super::announced;
use crate::{
    process::{Service, Supervisor},
    tools::Tools,
};

/// The account of the local Azure, and its key: public, and of no other use. The tests know both.
pub(crate) const AZURE_ACCOUNT: &str = "holdfasttest";
pub(crate) const AZURE_KEY: &str =
    "b3BlbnMgdGhlIGxvY2FsIHN0YW5kLWluIGZvciBBenVyZSwgYW5kIG5vdGhpbmcgZWxzZQ==";

/// Container of the demonstration's second copy.
pub(crate) const CONTAINER: &str = "holdfast-second";

/// A running local Azure.
pub(crate) struct LocalAzure {
    endpoint: String,
    _service: Service,
}

impl LocalAzure {
    /// Starts it and makes its container.
    pub(crate) async fn start(tools: &Tools, supervisor: &Supervisor) -> Result<Self> {
        let azurite = tools.azurite().context("no local Azure was installed")?;
        let run = supervisor.run_directory();
        let mut command = azurite.command();
        command
            .env_clear()
            .env("HOME", run)
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .current_dir(run);
        command.env("AZURITE_ACCOUNTS", format!("{AZURE_ACCOUNT}:{AZURE_KEY}"));
        command.args([
            "--inMemoryPersistence",
            "--disableTelemetry",
            "--silent",
            "--loose",
        ]);
        command.args([
            "--skipApiVersionCheck",
            "--disableProductStyleUrl",
            "--blobHost",
            "127.0.0.1",
            "--blobPort",
            "0",
        ]);
        let mut service = supervisor.serve("azure", &mut command)?;
        let address = announced::address(&mut service, "the local Azure").await?;
        let azure = Self {
            endpoint: format!("{address}/{AZURE_ACCOUNT}"),
            _service: service,
        };
        azure.create_container(CONTAINER).await?;
        Ok(azure)
    }

    /// The address of its account's blobs.
    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    async fn create_container(&self, name: &str) -> Result<()> {
        let url =
            Url::parse_with_params(&format!("{}/{name}", self.endpoint), container_access()?)?;
        let client = reqwest::Client::builder()
            .timeout(Duration::from_mins(1))
            .build()?;
        let answer = client
            .put(url)
            .header("content-length", 0)
            .send()
            .await
            .context("the local Azure does not answer")?;
        let status = answer.status();
        if !status.is_success() {
            bail!(
                "the local Azure did not create the container: {status} {}",
                answer.text().await.unwrap_or_default()
            );
        }
        Ok(())
    }
}

/// A shared access signature with permission to create containers.
/// <https://learn.microsoft.com/en-us/rest/api/storageservices/create-account-sas>
fn container_access() -> Result<Vec<(&'static str, String)>> {
    let (version, until, protocol) = ("2023-11-03", "2100-01-01T00:00:00Z", "https,http");
    let text = format!("{AZURE_ACCOUNT}\ncw\nb\nc\n\n{until}\n\n{protocol}\n{version}\n\n");
    let key = hmac::Key::new(hmac::HMAC_SHA256, &STANDARD.decode(AZURE_KEY)?);
    let signature = STANDARD.encode(hmac::sign(&key, text.as_bytes()));
    let words = [
        ("restype", "container"),
        ("sp", "cw"),
        ("ss", "b"),
        ("srt", "c"),
        ("se", until),
        ("spr", protocol),
    ];
    let words = words
        .into_iter()
        .map(|(name, value)| (name, value.to_owned()));
    Ok(words
        .chain([("sv", version.to_owned()), ("sig", signature)])
        .collect())
}

/// Another running implementation of S3. It accepts any keys.
pub(crate) struct OtherS3 {
    endpoint: String,
    _service: Service,
}

impl OtherS3 {
    /// Starts it.
    pub(crate) async fn start(tools: &Tools, supervisor: &Supervisor) -> Result<Self> {
        let run = supervisor.run_directory();
        let mut command = tokio::process::Command::new(tools.program("moto_server"));
        command
            .env_clear()
            .env("HOME", run)
            .env("TMPDIR", run.join("tmp"))
            .current_dir(run);
        let mut service =
            supervisor.serve("other-s3", command.args(["-H", "127.0.0.1", "-p", "0"]))?;
        let endpoint = announced::address(&mut service, "the other S3").await?;
        Ok(Self {
            endpoint,
            _service: service,
        })
    }

    /// Its address.
    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }
}
