//! The demonstration as a caller of the API: triggers backups, and follows each job to its end.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use reqwest::{Client, RequestBuilder};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{progress::Step, stack::Description};

const PATIENCE: Duration = Duration::from_mins(4);

/// A caller of a stack's API, as an administrator.
pub(crate) struct Api<'a> {
    stack: &'a Description,
    client: Client,
}

/// A completed backup of the database, as the API returns it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DatabaseBackup {
    #[serde(rename = "backupId")]
    pub(crate) id: String,
    pub(crate) engine: Engine,
    pub(crate) duration_ms: u64,
    pub(crate) original_size: u64,
    pub(crate) size: u64,
    pub(crate) checksum: String,
    pub(crate) key: String,
}

/// The engine of the dump.
#[derive(Deserialize)]
pub(crate) struct Engine {
    pub(crate) name: String,
    pub(crate) version: String,
}

/// A completed backup of the content.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ContentBackup {
    #[serde(rename = "backupId")]
    pub(crate) id: String,
    pub(crate) duration_ms: u64,
    pub(crate) items: Items,
}

/// The results of its items.
#[derive(Deserialize)]
pub(crate) struct Items {
    pub(crate) expected: u64,
    /// Fetched by this backup.
    pub(crate) done: u64,
    /// Stored already.
    pub(crate) unchanged: u64,
    pub(crate) failed: u64,
}

/// The copy of a backup in the second store.
#[derive(Deserialize)]
pub(crate) struct Copy {
    pub(crate) store: String,
    /// Sent bytes. Objects shared with an earlier backup are stored already.
    #[serde(default)]
    pub(crate) bytes: u64,
}

impl<'a> Api<'a> {
    pub(crate) fn of(stack: &'a Description) -> Result<Self> {
        Ok(Self {
            stack,
            client: Client::builder().timeout(Duration::from_secs(35)).build()?,
        })
    }

    /// Backs up the database alone.
    pub(crate) async fn back_up_database(&self, step: &Step) -> Result<DatabaseBackup> {
        let triggered = self.trigger("database").await?;
        self.followed(id(&triggered)?, step).await
    }

    /// Backs up the content alone.
    pub(crate) async fn back_up_content(&self, step: &Step) -> Result<ContentBackup> {
        let triggered = self.trigger("content").await?;
        self.followed(id(&triggered)?, step).await
    }

    /// Backs up both, at the same time.
    pub(crate) async fn back_up_both(
        &self,
        step: &Step,
    ) -> Result<(DatabaseBackup, ContentBackup)> {
        let triggered = self.trigger("full").await?;
        let parts = triggered["parts"]
            .as_array()
            .context("the answer of the trigger has no parts")?;
        let ids = parts.iter().map(id).collect::<Result<Vec<_>>>()?;
        let part = |kind: &str| {
            let found = ids.iter().copied().find(|id| id.starts_with(kind));
            found.with_context(|| format!("none of the parts is {kind}…: {ids:?}"))
        };
        let database = self.followed(part("db_")?, step).await?;
        let content = self.followed(part("content_")?, step).await?;
        let _: Value = self.followed(id(&triggered)?, step).await?;
        Ok((database, content))
    }

    async fn trigger(&self, kind: &str) -> Result<Value> {
        self.call(
            self.client
                .post(format!("{}/api/backups/{kind}", self.stack.api)),
        )
        .await
    }

    /// Waits for a job to complete, and prints its progress.
    async fn followed<T: DeserializeOwned>(&self, id: &str, step: &Step) -> Result<T> {
        let job = format!("{}/api/backups/jobs/{id}", self.stack.api);
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            let state = self.call(self.client.get(&job)).await?;
            match state["status"].as_str().unwrap_or_default() {
                "completed" => {
                    return serde_json::from_value(state)
                        .context("the completed job is not readable");
                }
                "failed" | "cancelled" => {
                    bail!("the backup {id} is {}: {}", state["status"], state["error"])
                }
                status => step.at(&how_far(status, &state)),
            }
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
        bail!(
            "the backup {id} was not completed in {} s",
            PATIENCE.as_secs()
        )
    }

    /// Waits for the copy of a completed backup.
    pub(crate) async fn copied(&self, id: &str, step: &Step) -> Result<Copy> {
        let job = format!("{}/api/backups/jobs/{id}", self.stack.api);
        let (began, mut copy) = (Instant::now(), Value::Null);
        while began.elapsed() < PATIENCE {
            copy = self.call(self.client.get(&job)).await?["copy"].take();
            if let Some(whole) = whole(id, &copy)? {
                return Ok(whole);
            }
            step.at(&format!(
                "({id}: {})",
                copy["status"].as_str().unwrap_or("not begun")
            ));
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
        bail!(
            "{id} was not copied in {} s. State of the copy in its job: {copy}",
            PATIENCE.as_secs()
        )
    }

    /// The `data` of an answer. An answer without success is an error.
    async fn call(&self, request: RequestBuilder) -> Result<Value> {
        let response = request
            .bearer_auth(&self.stack.tokens.admin)
            .send()
            .await
            .context("the API does not answer")?;
        let (url, status) = (response.url().clone(), response.status());
        let said = response.text().await?;
        let answer: Value = serde_json::from_str(&said)
            .with_context(|| format!("{url} answered {status}: {said}"))?;
        ensure!(
            status.is_success() && answer["success"] == true,
            "{url} answered {status}: {said}"
        );
        Ok(answer["data"].clone())
    }
}

fn id(triggered: &Value) -> Result<&str> {
    triggered["backupId"]
        .as_str()
        .context("the answer of the trigger has no backupId")
}

/// A complete copy. A failed copy is an error here, because its retry comes only after an hour.
fn whole(id: &str, copy: &Value) -> Result<Option<Copy>> {
    match copy["status"].as_str() {
        Some("completed") => Ok(Some(
            Copy::deserialize(copy).context("the completed copy is not readable")?,
        )),
        Some("failed" | "deleted") => {
            bail!("the copy of {id} is {}: {}", copy["status"], copy["error"])
        }
        _ => Ok(None),
    }
}

fn how_far(status: &str, job: &Value) -> String {
    let (progress, items) = (&job["progress"], &job["items"]);
    if let Some(expected) = items["expected"].as_u64().filter(|expected| *expected > 0) {
        let settled: u64 = ["done", "unchanged", "failed"]
            .iter()
            .filter_map(|word| items[word].as_u64())
            .sum();
        return format!("({status}, {settled} of {expected} items)");
    }
    let (read, expected) = (
        progress["bytesRead"].as_u64(),
        progress["bytesExpected"].as_u64(),
    );
    match (read, expected) {
        (Some(read), Some(expected)) if expected > 0 => {
            format!("({status}, {} %)", (read * 100 / expected).min(99))
        }
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
        let job = json!({ "progress": { "bytesRead": 300, "bytesExpected": 200 } });
        assert_eq!(how_far("running", &job), "(running, 99 %)");
        assert_eq!(how_far("pending", &Value::Null), "(pending)");
    }

    #[test]
    fn a_copy_is_waited_for_until_it_is_whole_or_failed() {
        for unfinished in [
            Value::Null,
            json!({ "status": "pending" }),
            json!({ "status": "running" }),
        ] {
            assert!(
                whole("db_1_a", &unfinished).unwrap().is_none(),
                "{unfinished}"
            );
        }
        let copy = json!({ "status": "completed", "store": "az://account/container/", "bytes": 7 });
        assert_eq!(whole("db_1_a", &copy).unwrap().unwrap().bytes, 7);
        let failed =
            json!({ "status": "failed", "error": { "message": "the second store is full" } });
        let why = whole("db_1_a", &failed).err().unwrap().to_string();
        assert!(
            why.contains("db_1_a") && why.contains("the second store is full"),
            "{why}"
        );
    }

    #[test]
    fn items_count_however_they_were_settled() {
        let items = json!({ "items": { "expected": 9, "done": 4, "unchanged": 2, "failed": 1 } });
        assert_eq!(how_far("running", &items), "(running, 7 of 9 items)");
    }
}
