//! A message's body: JSON in ASCII only. SQS accepts only the characters of XML 1.0. An item's id
//! may contain others.

use std::fmt::Write as _;

use holdfast_domain::DownloadMessage;
use holdfast_operations::{QueueError, RefusedMessage};

/// Maximum number of messages in one call.
const MAX_MESSAGES: usize = 10;
/// Maximum bytes of all bodies in one call: the lowest limit of SQS so far.
const MAX_BYTES: usize = 256 * 1024;

/// A message with its body.
#[derive(Debug)]
pub(super) struct Outgoing {
    content_id: String,
    body: String,
}

impl Outgoing {
    fn new(message: &DownloadMessage) -> Result<Self, QueueError> {
        let json = serde_json::to_string(message);
        let json = json.map_err(|error| QueueError {
            message: error.to_string(),
            is_transient: false,
        })?;
        Ok(Self {
            content_id: message.content_id.clone(),
            body: ascii(&json),
        })
    }

    pub(super) fn body(&self) -> &str {
        &self.body
    }

    pub(super) fn refused(&self, reason: String) -> RefusedMessage {
        RefusedMessage {
            content_id: self.content_id.clone(),
            reason,
        }
    }
}

/// Groups the messages into calls, in their order. A message that is too large for a call is
/// refused here.
pub(super) fn batches(
    messages: &[DownloadMessage],
    refused: &mut Vec<RefusedMessage>,
) -> Result<Vec<Vec<Outgoing>>, QueueError> {
    let mut batches: Vec<Vec<Outgoing>> = Vec::new();
    let mut bytes = 0;
    for message in messages {
        let message = Outgoing::new(message)?;
        let size = message.body.len();
        if size > MAX_BYTES {
            refused.push(message.refused(format!("it has {size} bytes: the limit is {MAX_BYTES}")));
            continue;
        }
        bytes += size;
        if let Some(batch) = batches
            .last_mut()
            .filter(|batch| batch.len() < MAX_MESSAGES && bytes <= MAX_BYTES)
        {
            batch.push(message);
        } else {
            bytes = size;
            batches.push(vec![message]);
        }
    }
    Ok(batches)
}

/// The same JSON with every character beyond ASCII escaped.
fn ascii(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for character in json.chars() {
        if character.is_ascii() {
            text.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                // Writing to a string does not fail.
                let _ = write!(text, "\\u{unit:04x}");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(content_id: &str) -> DownloadMessage {
        DownloadMessage {
            backup_id: "content_1_aa".parse().unwrap(),
            content_id: content_id.to_owned(),
        }
    }

    #[test]
    fn batches_keep_to_ten_messages_and_to_the_bytes_of_a_call() {
        let mut refused = Vec::new();
        let sizes =
            |messages: &[DownloadMessage], refused: &mut Vec<RefusedMessage>| -> Vec<usize> {
                batches(messages, refused)
                    .unwrap()
                    .iter()
                    .map(Vec::len)
                    .collect()
            };
        assert_eq!(sizes(&vec![message("1"); 25], &mut refused), [10, 10, 5]);
        assert_eq!(
            sizes(&vec![message(&"x".repeat(100_000)); 5], &mut refused),
            [2, 2, 1]
        );
        assert!(refused.is_empty());
        let messages = [message("1"), message(&"x".repeat(300_000)), message("2")];
        assert_eq!(sizes(&messages, &mut refused), [2]);
        assert!(
            refused.len() == 1 && refused[0].content_id.len() == 300_000,
            "the others go on"
        );
    }

    proptest! {
        #[test]
        fn any_content_id_is_sent_in_ascii_and_read_back(id: String) {
            let sent = message(&id);
            let body = Outgoing::new(&sent).unwrap().body;
            prop_assert!(body.bytes().all(|byte| matches!(byte, b' '..=b'~' | 0x7f)));
            prop_assert_eq!(serde_json::from_str::<DownloadMessage>(&body).unwrap(), sent);
        }
    }

    #[test]
    fn characters_outside_of_xml_are_escaped() {
        for character in ['\u{fffe}', '\u{ffff}', '\u{1}', '\u{0}', '\u{10ffff}', 'ü'] {
            let body = Outgoing::new(&message(&format!("a{character}")))
                .unwrap()
                .body;
            assert!(body.is_ascii() && body.contains("\\u"), "{body}");
        }
    }
}
