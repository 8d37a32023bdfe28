//! The content of a response.

use bytes::Bytes;

use super::Request;

/// Status, headers and body.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Bytes,
}

impl Reply {
    /// 304 if the client already has it.
    pub(super) fn unless_known(self, request: &Request) -> Self {
        let held = |condition, validator| {
            let (asked, own) = (request.header(condition), self.header(validator));
            asked.is_some() && asked == own
        };
        if self.status == 200
            && (held("if-none-match", "etag") || held("if-modified-since", "last-modified"))
        {
            return Self {
                status: 304,
                body: Bytes::new(),
                ..self
            };
        }
        self
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}
