//! The local AWS: one process, and the few calls of a deployment. Its root key is `test`. The
//! functions run under their own roles, and it evaluates their policies.

use std::{collections::BTreeMap, net::TcpListener, time::Duration};

use anyhow::{Context as _, Result, bail};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::{
    process::{Service, Supervisor},
    tools::Tools,
};

pub(crate) const REGION: &str = "us-east-1";
pub(crate) const ACCESS_KEY: &str = "test";
pub(crate) const SECRET_KEY: &str = "test";

/// A running local AWS.
pub(crate) struct LocalAws {
    endpoint: String,
    client: Client,
    _service: Service,
}

impl LocalAws {
    /// Starts it on a free port. If another process takes the port first, another port is tried.
    pub(crate) async fn start(tools: &Tools, supervisor: &Supervisor) -> Result<Self> {
        let mut last_words = String::new();
        for _ in 0..3 {
            let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
            let mut service = supervisor.serve("aws", &mut command(tools, supervisor, port))?;
            let endpoint = format!("http://127.0.0.1:{port}");
            let client = Client::builder().timeout(Duration::from_mins(1)).build()?;
            if is_up(&client, &endpoint, &mut service).await {
                return Ok(Self {
                    endpoint,
                    client,
                    _service: service,
                });
            }
            last_words = service.last_words();
        }
        bail!("the local AWS did not start:\n{last_words}")
    }

    /// Its address.
    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Makes a bucket.
    pub(crate) async fn create_bucket(&self, bucket: &str) -> Result<()> {
        let request = self.request(Method::PUT, &format!("/{bucket}"), "s3");
        answer(request, "s3:CreateBucket").await.map(drop)
    }

    /// Makes a bucket readable for everyone.
    pub(crate) async fn open_bucket(&self, bucket: &str) -> Result<()> {
        let unblock = self.request(
            Method::DELETE,
            &format!("/{bucket}?publicAccessBlock"),
            "s3",
        );
        answer(unblock, "s3:DeletePublicAccessBlock").await?;
        let policy = json!({ "Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": format!("arn:aws:s3:::{bucket}/*"),
        }] });
        let request = self
            .request(Method::PUT, &format!("/{bucket}?policy"), "s3")
            .json(&policy);
        answer(request, "s3:PutBucketPolicy").await.map(drop)
    }

    /// Puts an object.
    pub(crate) async fn put_object(&self, bucket: &str, key: &str, body: Vec<u8>) -> Result<()> {
        let request = self
            .request(Method::PUT, &format!("/{bucket}/{key}"), "s3")
            .body(body);
        answer(request, "s3:PutObject").await.map(drop)
    }

    /// Makes a secret and returns its ARN.
    pub(crate) async fn create_secret(&self, name: &str, value: &str) -> Result<String> {
        let request = self
            .request(Method::POST, "/", "secretsmanager")
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", "secretsmanager.CreateSecret")
            .body(
                json!({ "Name": name, "SecretString": value, "ClientRequestToken": name })
                    .to_string(),
            );
        let said: Value =
            serde_json::from_str(&answer(request, "secretsmanager:CreateSecret").await?)?;
        said["ARN"]
            .as_str()
            .map(str::to_owned)
            .context("secretsmanager:CreateSecret answered without an ARN")
    }

    /// Calls CloudFormation and returns its XML.
    pub(crate) async fn cloudformation(
        &self,
        action: &str,
        fields: &BTreeMap<String, String>,
    ) -> Result<String> {
        let mut form = BTreeMap::from([("Action", action), ("Version", "2010-05-15")]);
        form.extend(
            fields
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str())),
        );
        let request = self.request(Method::POST, "/", "cloudformation");
        let request = request
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form_encoded(&form));
        answer(request, &format!("cloudformation:{action}")).await
    }

    /// A request of the root key. Its signature is not checked. The credential's scope names the
    /// service.
    fn request(&self, method: Method, path: &str, service: &str) -> RequestBuilder {
        let credential = format!("{ACCESS_KEY}/20260101/{REGION}/{service}/aws4_request");
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host;x-amz-date, Signature=0"
        );
        let request = self
            .client
            .request(method, format!("{}{path}", self.endpoint));
        request
            .header("authorization", authorization)
            .header("x-amz-date", "20260101T000000Z")
    }
}

/// The functions inherit the environment of the local AWS, so nothing of our own environment is in
/// it.
fn command(tools: &Tools, supervisor: &Supervisor, port: u16) -> Command {
    let run = supervisor.run_directory();
    let mut command = Command::new(tools.program("ministack"));
    command.env_clear().current_dir(run);
    command
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("HOME", run)
        .env("TMPDIR", run.join("tmp"));
    command
        .env("BIND_HOST", "127.0.0.1")
        .env("GATEWAY_PORT", port.to_string())
        .env("MINISTACK_HOST", "127.0.0.1");
    command
        .env("IOT_MTLS_ENABLED", "0")
        .env("MINISTACK_REGION", REGION);
    // Policies are evaluated: a missing permission of a role fails here as in the real AWS.
    command.env("AUTH", "true");
    command
}

async fn is_up(client: &Client, endpoint: &str, service: &mut Service) -> bool {
    for _ in 0..600 {
        let health = client
            .get(format!("{endpoint}/_ministack/health"))
            .timeout(Duration::from_secs(2))
            .send();
        if health
            .await
            .is_ok_and(|response| response.status().is_success())
        {
            return !service.has_ended();
        }
        if service.has_ended() {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    false
}

async fn answer(request: RequestBuilder, call: &str) -> Result<String> {
    let response = request
        .send()
        .await
        .with_context(|| format!("{call}: the local AWS does not answer"))?;
    let status = response.status();
    let said = response
        .text()
        .await
        .with_context(|| format!("{call}: the response was truncated"))?;
    if !status.is_success() {
        bail!("{call} answered {status}: {said}");
    }
    Ok(said)
}

/// `application/x-www-form-urlencoded`, with every questionable byte escaped.
fn form_encoded(fields: &BTreeMap<&str, &str>) -> String {
    let pairs = fields
        .iter()
        .map(|(name, value)| format!("{}={}", percent_encoded(name), percent_encoded(value)));
    pairs.collect::<Vec<_>>().join("&")
}

fn percent_encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' => {
            char::from(byte).to_string()
        }
        other => format!("%{other:02X}"),
    };
    text.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_escapes_what_would_end_a_field() {
        let form = form_encoded(&BTreeMap::from([("Body", "a=b&c d\n+é"), ("X", "1")]));
        assert_eq!(form, "Body=a%3Db%26c%20d%0A%2B%C3%A9&X=1");
    }
}
