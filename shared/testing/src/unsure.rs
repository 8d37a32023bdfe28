//! A relay in front of MongoDB. It makes a successful write appear unacknowledged by a majority in
//! time.

use std::{
    collections::BTreeSet,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::{
    messages::{i32_at, relay_messages},
    relay::{mongodb_host, mongodb_uri_at},
};

/// A running relay. It ends when dropped.
pub struct UnsureWrites {
    address: String,
    state: Arc<Mutex<State>>,
    listener: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    /// The collection of the next insert to doubt.
    doubted: Option<String>,
    /// Requests with a response to change.
    requests: BTreeSet<[u8; 4]>,
}

impl UnsureWrites {
    /// Starts a relay in front of the tests' MongoDB server.
    ///
    /// # Panics
    /// If no port is free.
    pub async fn before_mongodb() -> Self {
        let socket = TcpListener::bind("127.0.0.1:0")
            .await
            .unwrap_or_else(|error| panic!("a free port: {error}"));
        let address = socket
            .local_addr()
            .unwrap_or_else(|error| panic!("its address: {error}"))
            .to_string();
        let state = Arc::default();
        let listener = tokio::spawn(accept(socket, Arc::clone(&state)));
        Self {
            address,
            state,
            listener,
        }
    }

    /// The connection string of a database of the tests' MongoDB server, through this relay.
    #[must_use]
    pub fn mongodb_uri(&self, database: &str) -> String {
        mongodb_uri_at(&self.address, database)
    }

    /// Executes the next insert into this collection, but its response reports a time-out of the
    /// write concern.
    pub fn doubt_next_insert(&self, collection: &str) {
        lock(&self.state).doubted = Some(collection.to_owned());
    }
}

impl Drop for UnsureWrites {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(socket: TcpListener, state: Arc<Mutex<State>>) {
    while let Ok((client, _)) = socket.accept().await {
        let state = Arc::clone(&state);
        tokio::spawn(async move { serve(client, &state).await.ok() });
    }
}

async fn serve(client: TcpStream, state: &Mutex<State>) -> io::Result<()> {
    let server = TcpStream::connect(mongodb_host()).await?;
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let requests = relay_messages(&mut from_client, &mut to_server, |message| {
        note(message, state);
    });
    let answers = relay_messages(&mut from_server, &mut to_client, |message| {
        change(message, state);
    });
    tokio::try_join!(requests, answers).map(drop)
}

fn note(message: &[u8], state: &Mutex<State>) {
    let mut state = lock(state);
    let Some(collection) = &state.doubted else {
        return;
    };
    let has = |text: &[u8]| message.windows(text.len()).any(|window| window == text);
    if has(b"\x02insert\0") && has(format!("{collection}\0").as_bytes()) {
        state.doubted = None;
        state
            .requests
            .insert(message[4..8].try_into().unwrap_or_default());
    }
}

/// Adds the error to the response's document. It follows the header, the flags and a byte for the
/// kind of section.
fn change(message: &mut Vec<u8>, state: &Mutex<State>) {
    const DOCUMENT_AT: usize = 21;
    let answers: [u8; 4] = message[8..12].try_into().unwrap_or_default();
    if !lock(state).requests.remove(&answers) {
        return;
    }
    let error = write_concern_error();
    message.pop();
    message.extend(&error);
    message.push(0);
    let added = i32::try_from(error.len()).unwrap_or_default();
    for at in [0, DOCUMENT_AT] {
        let length = i32_at(message, at) + added;
        message[at..at + 4].copy_from_slice(&length.to_le_bytes());
    }
}

/// `writeConcernError: {code: 64, codeName: "WriteConcernTimeout", errmsg: "timed out"}`, as BSON.
fn write_concern_error() -> Vec<u8> {
    let text = |name: &str, value: &str| {
        let length = i32::try_from(value.len() + 1).unwrap_or_default();
        [
            b"\x02",
            name.as_bytes(),
            b"\0",
            &length.to_le_bytes(),
            value.as_bytes(),
            b"\0",
        ]
        .concat()
    };
    let fields = [
        [&b"\x10code\0"[..], &64_i32.to_le_bytes()].concat(),
        text("codeName", "WriteConcernTimeout"),
        text("errmsg", "timed out"),
    ]
    .concat();
    let length = i32::try_from(fields.len() + 5).unwrap_or_default();
    [
        &b"\x03writeConcernError\0"[..],
        &length.to_le_bytes(),
        &fields,
        b"\0",
    ]
    .concat()
}
