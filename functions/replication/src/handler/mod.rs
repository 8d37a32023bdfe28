//! Maps an event to its work: messages of backups to copy, the hourly search for lost messages, the
//! daily deletion.

use holdfast_domain::Timestamp;
use holdfast_lambda::{Event, Function, InvocationError, batch_in};
use serde_json::{Value, json};

use crate::{copies, removal};

/// Copies, requests copies, or deletes.
pub(crate) async fn handle(
    function: &Function,
    payload: &Value,
    deadline: Timestamp,
) -> Result<Value, InvocationError> {
    if payload.get("Records").is_some() {
        let batch = batch_in(payload)?;
        return Ok(json!(copies::make(function, batch, deadline).await?));
    }
    match Event::parse(payload)? {
        Event::Tick { schedule, .. } if removal::is_its_schedule(schedule.as_deref()) => {
            Ok(removal::run(function, deadline).await?)
        }
        Event::Tick { .. } => Ok(copies::request_due_copies(function).await?),
        other => Err(other.misdirected("a tick, or a batch of copies").into()),
    }
}

#[cfg(test)]
mod tests;
