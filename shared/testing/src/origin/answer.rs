//! A response and its form on the wire: correct, or with one of the faults of untrusted servers.

use std::{
    fmt::Display,
    io::{self, Write as _},
    time::Duration,
};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use tokio::time::sleep;

use super::{
    Request,
    connection::Wire,
    gateway::{Alteration, Gateway},
    reply::Reply,
};
use crate::IpfsNode;

/// One response of a script. By default it is correct and complete.
#[derive(Debug, Clone)]
pub struct Answer {
    content: Content,
    delivery: Delivery,
}

#[derive(Debug, Clone)]
enum Content {
    Reply(Reply),
    Gateway(Gateway),
}

#[derive(Debug, Clone, Copy)]
enum Delivery {
    Whole,
    Chunked,
    Nothing,
    Silence,
    CutAfter(usize),
    StallAfter(usize),
    SayingLength(u64),
    Dripping { bytes: usize, pause: Duration },
    Endless,
}

impl Answer {
    /// 200 with that body.
    #[must_use]
    pub fn ok(body: impl Into<Bytes>) -> Self {
        Self::reply(200, Vec::new(), body.into())
    }

    /// A status, with a few words for a body.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self::reply(
            status,
            Vec::new(),
            Bytes::from(format!("status {status}, as the test wants it\n")),
        )
    }

    /// 302 to a URL.
    #[must_use]
    pub fn redirect(to: &str) -> Self {
        Self::status(302).with_header("location", to)
    }

    /// 200 with the body compressed, even if the client does not accept it.
    ///
    /// # Panics
    /// Never, because writing into memory cannot fail.
    #[must_use]
    pub fn gzipped(body: &[u8]) -> Self {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        let compressed = encoder.write_all(body).and_then(|()| encoder.finish());
        Self::ok(compressed.unwrap_or_else(|error| panic!("memory is full: {error}")))
            .with_header("content-encoding", "gzip")
    }

    /// 200 with a page for people, the reply of many gateways to unsupported requests.
    #[must_use]
    pub fn page() -> Self {
        Self::reply(
            200,
            vec![("content-type".into(), "text/html; charset=utf-8".into())],
            PAGE.into(),
        )
    }

    /// The response of a real node, changed by [`Self::altered`].
    #[must_use]
    pub fn gateway(node: &IpfsNode) -> Self {
        Self {
            content: Content::Gateway(Gateway::before(node)),
            delivery: Delivery::Whole,
        }
    }

    /// The connection is closed at once, without a byte.
    #[must_use]
    pub fn nothing() -> Self {
        Self::status(200).delivered(Delivery::Nothing)
    }

    /// Sends nothing, and keeps the connection open until the client closes it.
    #[must_use]
    pub fn silence() -> Self {
        Self::status(200).delivered(Delivery::Silence)
    }

    /// Adds a header. A GET with an `If-None-Match` or `If-Modified-Since` equal to the `ETag` or
    /// `Last-Modified` of this response gets 304.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: impl Display) -> Self {
        match &mut self.content {
            Content::Reply(reply) => reply.headers.push((name.to_owned(), value.to_string())),
            Content::Gateway(gateway) => gateway.add_header(name, &value.to_string()),
        }
        self
    }

    /// A gateway's response with this fault. May be called several times.
    ///
    /// # Panics
    /// If it is not a gateway's response.
    #[must_use]
    pub fn altered(mut self, alteration: Alteration) -> Self {
        match &mut self.content {
            Content::Gateway(gateway) => gateway.alter(alteration),
            Content::Reply(_) => panic!("only responses of a gateway can be altered"),
        }
        self
    }

    /// Complete, but without an announced length.
    #[must_use]
    pub fn chunked(self) -> Self {
        self.delivered(Delivery::Chunked)
    }

    /// Closes the connection after this number of bytes, although the complete body was announced.
    #[must_use]
    pub fn cut_after(self, bytes: usize) -> Self {
        self.delivered(Delivery::CutAfter(bytes))
    }

    /// Sends this number of bytes of the body, then nothing more, and keeps the connection open.
    #[must_use]
    pub fn stall_after(self, bytes: usize) -> Self {
        self.delivered(Delivery::StallAfter(bytes))
    }

    /// `Content-Length` announces this number of bytes. The body is sent unchanged, and the
    /// connection closed.
    #[must_use]
    pub fn with_length(self, bytes: u64) -> Self {
        self.delivered(Delivery::SayingLength(bytes))
    }

    /// Sends the body in pieces of this number of bytes with a pause between them.
    #[must_use]
    pub fn dripping(self, bytes: usize, pause: Duration) -> Self {
        self.delivered(Delivery::Dripping {
            bytes: bytes.max(1),
            pause,
        })
    }

    /// The body again and again, without end.
    ///
    /// # Panics
    /// If the body is empty.
    #[must_use]
    pub fn endless(self) -> Self {
        assert!(
            !matches!(&self.content, Content::Reply(reply) if reply.body.is_empty()),
            "nothing again is nothing"
        );
        self.delivered(Delivery::Endless)
    }

    fn reply(status: u16, headers: Vec<(String, String)>, body: Bytes) -> Self {
        Self {
            content: Content::Reply(Reply {
                status,
                headers,
                body,
            }),
            delivery: Delivery::Whole,
        }
    }

    fn delivered(mut self, delivery: Delivery) -> Self {
        self.delivery = delivery;
        self
    }

    /// Puts it on the wire.
    pub(super) async fn give(self, wire: Wire, request: &Request) -> io::Result<()> {
        match self.delivery {
            Delivery::Nothing => return Ok(()),
            Delivery::Silence => return wire.until_hung_up().await,
            _ => {}
        }
        let reply = match self.content {
            Content::Reply(reply) => reply.unless_known(request),
            Content::Gateway(gateway) => gateway.answer(request).await,
        };
        if request.method == "HEAD" {
            return wire.finish(reply.head(self.delivery).as_bytes()).await;
        }
        reply.deliver(wire, self.delivery).await
    }
}

const PAGE: &str =
    "<!doctype html><title>Gateway</title><p>This is a page, not the requested file.\n";

/// An empty chunk would be the end.
fn chunk(bytes: &[u8]) -> Vec<u8> {
    match bytes.len() {
        0 => Vec::new(),
        length => [format!("{length:x}\r\n").as_bytes(), bytes, b"\r\n"].concat(),
    }
}

impl Reply {
    async fn deliver(&self, mut wire: Wire, delivery: Delivery) -> io::Result<()> {
        let head = self.head(delivery);
        let up_to =
            |bytes: usize| [head.as_bytes(), &self.body[..bytes.min(self.body.len())]].concat();
        match delivery {
            Delivery::CutAfter(bytes) => wire.finish(&up_to(bytes)).await,
            Delivery::StallAfter(bytes) => {
                wire.write(&up_to(bytes)).await?;
                wire.until_hung_up().await
            }
            Delivery::Dripping { bytes, pause } => {
                wire.write(head.as_bytes()).await?;
                let (drops, last) = self
                    .body
                    .split_at(self.body.len().saturating_sub(1) / bytes * bytes);
                for drop in drops.chunks(bytes) {
                    wire.write(drop).await?;
                    sleep(pause).await;
                }
                wire.finish(last).await
            }
            Delivery::Chunked => {
                wire.write(head.as_bytes()).await?;
                wire.write(&chunk(&self.body)).await?;
                wire.finish(b"0\r\n\r\n").await
            }
            Delivery::Endless => {
                wire.write(head.as_bytes()).await?;
                let chunk = chunk(&self.body);
                loop {
                    wire.write(&chunk).await?;
                }
            }
            _ => wire.finish(&up_to(usize::MAX)).await,
        }
    }

    fn head(&self, delivery: Delivery) -> String {
        let length = match delivery {
            Delivery::Chunked | Delivery::Endless => "transfer-encoding: chunked\r\n".to_owned(),
            Delivery::SayingLength(bytes) => format!("content-length: {bytes}\r\n"),
            _ if self.status == 304 => String::new(),
            _ => format!("content-length: {}\r\n", self.body.len()),
        };
        let mut head = format!(
            "HTTP/1.1 {} Scripted\r\nconnection: close\r\n{length}",
            self.status
        );
        for (name, value) in &self.headers {
            head.extend([name, ": ", value, "\r\n"]);
        }
        head.push_str("\r\n");
        head
    }
}
