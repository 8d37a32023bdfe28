//! A lying gateway: it forwards requests to a real node and alters the responses.

use bytes::Bytes;
use reqwest::{Client, Method, redirect::Policy};

use super::{Request, car, reply::Reply};
use crate::IpfsNode;

/// Fault of a gateway. Blocks of a CAR count from 0, the root's.
#[derive(Debug, Clone)]
pub enum Alteration {
    /// Flips a bit of that block in every CAR.
    FlipBlock(usize),
    /// Omits that block from every CAR.
    DropBlock(usize),
    /// Ends every CAR after this number of bytes, as if it were complete.
    CutCar(usize),
    /// Sends this block for every request of a single one.
    OtherBlock(Bytes),
    /// Responds to requests of CARs with this status.
    RefuseCar(u16),
    /// Responds to requests of single blocks with this status.
    RefuseRaw(u16),
}

/// A gateway before a real node.
#[derive(Debug, Clone)]
pub(super) struct Gateway {
    node: String,
    alterations: Vec<Alteration>,
    headers: Vec<(String, String)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Car,
    Raw,
    Plain,
}

impl Format {
    fn of(request: &Request) -> Self {
        let accept = request.header("accept").unwrap_or_default();
        let asks = |word: &str| request.target.contains(&format!("format={word}"));
        if asks("car") {
            Self::Car
        } else if asks("raw") {
            Self::Raw
        } else if accept.contains("vnd.ipld.car") {
            Self::Car
        } else if accept.contains("vnd.ipld.raw") {
            Self::Raw
        } else {
            Self::Plain
        }
    }
}

impl Gateway {
    pub(super) fn before(node: &IpfsNode) -> Self {
        Self {
            node: node.address().to_owned(),
            alterations: Vec::new(),
            headers: Vec::new(),
        }
    }

    pub(super) fn alter(&mut self, alteration: Alteration) {
        self.alterations.push(alteration);
    }

    pub(super) fn add_header(&mut self, name: &str, value: &str) {
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    pub(super) async fn answer(self, request: &Request) -> Reply {
        let format = Format::of(request);
        let mut reply = self.request(request).await;
        for alteration in &self.alterations {
            alteration.apply(format, &mut reply);
        }
        reply.headers.extend(self.headers);
        reply
    }

    /// The response of the node. If it fails, the test fails by a 502 with the reason.
    async fn request(&self, request: &Request) -> Reply {
        match self.try_request(request).await {
            Ok(reply) => reply,
            Err(error) => Reply {
                status: 502,
                headers: Vec::new(),
                body: error.to_string().into(),
            },
        }
    }

    async fn try_request(&self, request: &Request) -> reqwest::Result<Reply> {
        const HANDED_ON: [&str; 3] = ["accept", "if-none-match", "range"];
        const HANDED_BACK: [&str; 4] = ["content-type", "etag", "x-ipfs-roots", "location"];
        let method = if request.method == "HEAD" {
            Method::HEAD
        } else {
            Method::GET
        };
        let client = Client::builder().redirect(Policy::none()).build()?;
        let mut asked = client.request(method, format!("{}{}", self.node, request.target));
        for name in HANDED_ON {
            if let Some(value) = request.header(name) {
                asked = asked.header(name, value);
            }
        }
        let response = asked.send().await?;
        let header = |name: &str| {
            Some((
                name.to_owned(),
                response.headers().get(name)?.to_str().ok()?.to_owned(),
            ))
        };
        let headers = HANDED_BACK.into_iter().filter_map(header).collect();
        Ok(Reply {
            status: response.status().as_u16(),
            headers,
            body: response.bytes().await?,
        })
    }
}

impl Alteration {
    fn apply(&self, format: Format, reply: &mut Reply) {
        match (self, format) {
            (Self::FlipBlock(number), Format::Car) => reply.body = car::flip(&reply.body, *number),
            (Self::DropBlock(number), Format::Car) => reply.body = car::drop(&reply.body, *number),
            (Self::CutCar(bytes), Format::Car) => reply.body.truncate(*bytes),
            (Self::OtherBlock(block), Format::Raw) => reply.body = block.clone(),
            (Self::RefuseCar(status), Format::Car) | (Self::RefuseRaw(status), Format::Raw) => {
                *reply = Reply {
                    status: *status,
                    headers: Vec::new(),
                    body: Bytes::new(),
                };
            }
            _ => {}
        }
    }
}
