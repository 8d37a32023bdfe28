//! The faults of a proxy before the local S3.

/// The fate of a request.
#[derive(Debug, Clone)]
pub enum WireFault {
    /// Gets this response, and never reaches S3.
    Answer {
        /// The status.
        status: u16,
        /// The body, as XML.
        body: String,
    },
    /// Resets the connection after this number of bytes of its body. S3 receives nothing of it.
    ResetAfter(usize),
    /// S3 executes it, but the connection is reset before the response.
    LoseAnswer,
    /// S3 executes it, but the response never arrives.
    HoldAnswer,
    /// S3 executes it, but its response is truncated after this number of bytes of the body.
    CutAnswerAfter(usize),
    /// A byte of its body is altered on the way to S3.
    AlterBody,
    /// Nothing happens any more.
    Hang,
    /// S3 executes it, but the response loses all headers with this prefix.
    WithoutHeaders(&'static str),
    /// The store's clock is ahead by this number of seconds: its responses show it, and signatures
    /// that differ by 15 minutes are refused.
    ClockAhead(i64),
}

impl WireFault {
    /// S3's own form of an error.
    #[must_use]
    pub fn error(status: u16, code: &str) -> Self {
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>injected</Message>\
             <RequestId>0</RequestId></Error>"
        );
        Self::Answer { status, body }
    }

    /// 503, as S3 throttles.
    #[must_use]
    pub fn slow_down() -> Self {
        Self::error(503, "SlowDown")
    }
}

/// A complete response with this body.
pub(crate) fn answer(status: u16, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} Injected\r\ncontent-type: application/xml\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n{body}"
    )
}
