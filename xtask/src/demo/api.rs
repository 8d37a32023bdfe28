//! The demonstration as a caller of the API: triggers a backup, and follows its job to the end.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use reqwest::{Client, RequestBuilder};
use serde::Deserialize;
use serde_json::Value;

use crate::{progress::Step, stack::Description};

const PATIENCE: Duration = Duration::from_mins(2);

/// A completed backup, as the API tells of it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Backup {
    #[serde(rename = "backupId")]
    pub(crate) id: String,
    pub(crate) engine: Engine,
    pub(crate) duration_ms: u64,
    pub(crate) original_size: u64,
    pub(crate) size: u64,
    pub(crate) checksum: String,
    pub(crate) key: String,
}

/// What wrote the dump.
#[derive(Deserialize)]
pub(crate) struct Engine {
    pub(crate) name: String,
    pub(crate) version: String,
}

/// Triggers a backup of the database, waits for it, and says how far it is.
pub(crate) async fn back_up(stack: &Description, step: &Step) -> Result<Backup> {
    let client = Client::builder().timeout(Duration::from_secs(35)).build()?;
    let call = |request: RequestBuilder| data(request.bearer_auth(&stack.tokens.admin));
    let triggered = call(client.post(format!("{}/api/backups/database", stack.api))).await?;
    let id = triggered["backupId"].as_str().context("the trigger was answered without a backupId")?;
    let job = format!("{}/api/backups/jobs/{id}", stack.api);
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        let state = call(client.get(&job)).await?;
        match state["status"].as_str().unwrap_or_default() {
            "completed" => return serde_json::from_value(state).context("the completed job lacks something"),
            "failed" | "cancelled" => bail!("the backup {id} is {}: {}", state["status"], state["error"]),
            status => step.at(&how_far(status, &state["progress"])),
        }
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    bail!("the backup {id} was not completed in {} s", PATIENCE.as_secs())
}

/// The `data` of an answer; anything but success is an error.
async fn data(request: RequestBuilder) -> Result<Value> {
    let response = request.send().await.context("the API does not answer")?;
    let (url, status) = (response.url().clone(), response.status());
    let said = response.text().await?;
    let answer: Value = serde_json::from_str(&said).with_context(|| format!("{url} answered {status}: {said}"))?;
    ensure!(status.is_success() && answer["success"] == true, "{url} answered {status}: {said}");
    Ok(answer["data"].clone())
}

fn how_far(status: &str, progress: &Value) -> String {
    let (read, expected) = (progress["bytesRead"].as_u64(), progress["bytesExpected"].as_u64());
    match (read, expected) {
        (Some(read), Some(expected)) if expected > 0 => format!("({status}, {} %)", (read * 100 / expected).min(99)),
        (Some(read), _) if read > 0 => format!("({status}, {read} bytes)"),
        _ => format!("({status})"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_estimate_that_was_too_small_does_not_exceed_the_whole() {
        assert_eq!(how_far("running", &json!({ "bytesRead": 300, "bytesExpected": 200 })), "(running, 99 %)");
        assert_eq!(how_far("pending", &Value::Null), "(pending)");
    }
}
