//! A proxy between a client and a MongoDB server that answers chosen commands itself, or changes
//! the server's answers.
#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a test fails by panicking"
)]

use std::{
    collections::HashMap,
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use bson::Document;
use tokio::{
    io::AsyncWriteExt,
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::Mutex as AsyncMutex,
    task::JoinHandle,
};

use crate::{
    messages::{i32_at, read_message},
    relay::{mongodb_host, mongodb_uri_at},
};

/// Bytes before a message's body: length, request, response to, operation.
const HEADER_BYTES: usize = 16;
/// Flags, and the kind of the first section.
const BEFORE_DOCUMENT: [u8; 5] = [0; 5];
const OP_MSG: i32 = 2013;

/// What becomes of a command.
pub enum Rule {
    /// The server executes it, and the client gets the server's answer.
    Pass,
    /// The server never sees it. The client gets this answer.
    Answer(Document),
    /// The server executes it, and the client gets the answer with these fields in the place of the
    /// server's.
    Change(Document),
}

type Rules = dyn Fn(&Document) -> Rule + Send + Sync;

/// A running proxy. It ends when dropped.
pub struct MongoProxy {
    address: String,
    listener: JoinHandle<()>,
}

impl MongoProxy {
    /// Starts a proxy in front of the tests' MongoDB server. The rules see each command without its
    /// document sequences.
    pub async fn start(rules: impl Fn(&Document) -> Rule + Send + Sync + 'static) -> Self {
        Self::before(mongodb_host(), rules).await
    }

    /// Starts a proxy in front of the server at `upstream`, a host and a port.
    pub async fn before(
        upstream: &str,
        rules: impl Fn(&Document) -> Rule + Send + Sync + 'static,
    ) -> Self {
        let upstream = upstream.to_owned();
        let socket = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = socket.local_addr().expect("an address").to_string();
        let rules: Arc<Rules> = Arc::new(rules);
        let listener = tokio::spawn(async move {
            while let Ok((client, _)) = socket.accept().await {
                let (upstream, rules) = (upstream.clone(), Arc::clone(&rules));
                tokio::spawn(async move { serve(client, &upstream, rules).await });
            }
        });
        Self { address, listener }
    }

    /// Where clients connect to: a host and a port.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The connection string of a database of the tests' MongoDB server, through this proxy.
    #[must_use]
    pub fn uri(&self, database: &str) -> String {
        mongodb_uri_at(&self.address, database)
    }
}

impl Drop for MongoProxy {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

/// The error that a server answers with.
#[must_use]
pub fn server_error(code: i32, name: &str, message: &str) -> Document {
    bson::doc! { "ok": 0.0, "code": code, "codeName": name, "errmsg": message }
}

/// Rules of a server whose capped collection rolls over: the next `times` reads of it lose their
/// position.
pub fn losing_position(
    collection: &'static str,
    times: &Arc<AtomicU64>,
) -> impl Fn(&Document) -> Rule + Send + Sync + 'static {
    let times = Arc::clone(times);
    move |command| {
        let take_one = |left: u64| left.checked_sub(1);
        let is_lost = command.contains_key("getMore")
            && command
                .get_str("collection")
                .is_ok_and(|read| read == collection)
            && times
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, take_one)
                .is_ok();
        if is_lost {
            Rule::Answer(server_error(
                136,
                "CappedPositionLost",
                "CappedPositionLost",
            ))
        } else {
            Rule::Pass
        }
    }
}

/// The changes to answers that are on their way, by the request.
type Changes = Mutex<HashMap<i32, Document>>;

async fn serve(client: TcpStream, upstream: &str, rules: Arc<Rules>) {
    let Ok(server) = TcpStream::connect(upstream).await else {
        return;
    };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let to_client = AsyncMutex::new(to_client);
    let changes = Changes::default();
    tokio::select! {
        _ = requests(from_client, to_server, &to_client, &*rules, &changes) => (),
        _ = answers(from_server, &to_client, &changes) => (),
    }
}

async fn requests(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    to_client: &AsyncMutex<OwnedWriteHalf>,
    rules: &Rules,
    changes: &Changes,
) -> io::Result<()> {
    loop {
        let message = read_message(&mut from).await?;
        let request = i32_at(&message, 4);
        match command_of(&message).map_or(Rule::Pass, |command| rules(&command)) {
            Rule::Pass => to.write_all(&message).await?,
            Rule::Answer(answer) => {
                to_client
                    .lock()
                    .await
                    .write_all(&answer_to(request, &answer))
                    .await?;
            }
            Rule::Change(change) => {
                changes
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(request, change);
                to.write_all(&message).await?;
            }
        }
    }
}

async fn answers(
    mut from: OwnedReadHalf,
    to: &AsyncMutex<OwnedWriteHalf>,
    changes: &Changes,
) -> io::Result<()> {
    loop {
        let mut message = read_message(&mut from).await?;
        let request = i32_at(&message, 8);
        let change = changes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&request);
        if let (Some(change), Some(mut answer)) = (change, command_of(&message)) {
            answer.extend(change);
            message = answer_to(request, &answer);
        }
        to.lock().await.write_all(&message).await?;
    }
}

/// The command or the answer, if its document is the first section.
fn command_of(message: &[u8]) -> Option<Document> {
    let body = message.get(HEADER_BYTES + BEFORE_DOCUMENT.len()..)?;
    let is_document = i32_at(message, 12) == OP_MSG && message[HEADER_BYTES + 4] == 0;
    if is_document {
        Document::from_reader(body).ok()
    } else {
        None
    }
}

fn answer_to(request: i32, answer: &Document) -> Vec<u8> {
    let mut body = Vec::new();
    answer.to_writer(&mut body).expect("it is small");
    let length =
        i32::try_from(HEADER_BYTES + BEFORE_DOCUMENT.len() + body.len()).expect("it is small");
    let header = [length, 0, request, OP_MSG].map(i32::to_le_bytes).concat();
    [&header[..], &BEFORE_DOCUMENT, &body].concat()
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn a_message_with_a_length_below_that_of_its_header_reaches_the_server() {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy =
            MongoProxy::before(&server.local_addr().unwrap().to_string(), |_| Rule::Pass).await;
        for length in [4, -1] {
            let header = [length, 7, 0, OP_MSG].map(i32::to_le_bytes).concat();
            let mut client = TcpStream::connect(proxy.address()).await.unwrap();
            client.write_all(&header).await.unwrap();
            let mut received = vec![0; HEADER_BYTES];
            server
                .accept()
                .await
                .unwrap()
                .0
                .read_exact(&mut received)
                .await
                .unwrap();
            assert_eq!(received, header, "{length}");
        }
    }
}
