//! Size limit of a response. Lambda accepts JSON of at most 6 MB. The response is one escaped
//! string in this JSON.

use serde::Serialize;

/// Bytes of an answer as Lambda counts them. Lambda's limit is 6,291,556, status and headers
/// included.
pub const MAX_ANSWER_BYTES: usize = 6_000_000;

/// The bytes of a JSON text inside a JSON string. Serialized JSON has no raw control characters, so
/// only quotes and backslashes are escaped.
#[must_use]
pub fn escaped_bytes(json: &[u8]) -> usize {
    json.len()
        + json
            .iter()
            .filter(|byte| matches!(byte, b'"' | b'\\'))
            .count()
}

/// The remaining bytes of a response.
#[derive(Debug)]
pub(crate) struct Budget(usize);

impl Budget {
    /// A budget with a reserve for the rest of the response.
    pub(crate) const fn new() -> Self {
        Self(MAX_ANSWER_BYTES / 6 * 5)
    }

    /// Keeps the first items that fit, and returns how many were left out.
    pub(crate) fn fit<T: Serialize>(&mut self, items: &mut Vec<T>) -> u64 {
        let fitting = items.iter().take_while(|item| self.take(item)).count();
        let omitted = items.len() - fitting;
        items.truncate(fitting);
        omitted as u64
    }

    /// Takes the bytes of an item and its comma. Returns whether there was room for them.
    fn take(&mut self, item: &impl Serialize) -> bool {
        // An item that cannot be encoded fails the complete response, regardless of its size.
        let bytes = serde_json::to_vec(item).map_or(0, |json| escaped_bytes(&json) + 1);
        let left = self.0.checked_sub(bytes);
        // After an item without room, no smaller one is taken.
        self.0 = left.unwrap_or(0);
        left.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_measured_as_lambda_sends_it() {
        let answer =
            serde_json::to_string(&serde_json::json!({ "a\"b": "\u{0}\u{1F980}\\" })).unwrap();
        let sent = serde_json::to_string(&answer).unwrap();
        assert_eq!(escaped_bytes(answer.as_bytes()) + 2, sent.len());
    }

    #[test]
    fn what_does_not_fit_is_left_out_and_counted() {
        let mut budget = Budget::new();
        let mut few = vec!["x"; 10];
        assert_eq!((budget.fit(&mut few), few.len()), (0, 10));
        let mut many = vec!["\"".repeat(1000); 100_000];
        let omitted = budget.fit(&mut many);
        assert_eq!(omitted + many.len() as u64, 100_000);
        assert!(
            escaped_bytes(&serde_json::to_vec(&many).unwrap()) < MAX_ANSWER_BYTES
                && many.len() > 1000
        );
        assert_eq!(budget.fit(&mut vec!["x".repeat(2_000_000)]), 1);
        assert_eq!(budget.fit(&mut vec!["x"]), 1, "order is kept");
    }
}
