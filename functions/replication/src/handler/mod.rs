//! Maps an event to its work: messages of backups to copy, the hourly search for lost messages, the
//! daily deletion.

use aws_lambda_events::sqs::SqsEvent;
use holdfast_domain::Timestamp;
use holdfast_lambda::{Event, EventFault, Function, InvocationError};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{copies, removal};

/// Copies, requests copies, or deletes.
pub(crate) async fn handle(
    function: &Function,
    payload: &Value,
    deadline: Timestamp,
) -> Result<Value, InvocationError> {
    if payload.get("Records").is_some() {
        let batch = SqsEvent::deserialize(payload)
            .map_err(|error| EventFault::Malformed(error.to_string()))?;
        return Ok(json!(copies::make(function, batch, deadline).await?));
    }
    match Event::parse(payload)? {
        Event::Tick { schedule, .. } if removal::is_its_schedule(schedule.as_deref()) => {
            Ok(removal::run(function, deadline).await?)
        }
        Event::Tick { .. } => Ok(copies::ask_for_what_is_due(function).await?),
        _ => Err(EventFault::Malformed("it does not request a copy".to_owned()).into()),
    }
}

#[cfg(test)]
mod tests;
